package sps

import "github.com/go-sps/sps/internal/wire"

var (
	managementDiskFillUpPrevention = spec[DiskFillUpPrevention]{describe("configuration/management/disk_fillup_prevention")}
	managementEmail                = spec[EmailSettings]{describe("configuration/management/email")}
	managementSNMPTrap             = spec[SNMPTrap]{describe("configuration/management/snmp/trap")}
)

// Management reads the settings for the disk, mail and SNMP (guide: Basic settings,
// Management; configuration/management).
type Management struct {
	// DiskFillUpPrevention reads configuration/management/disk_fillup_prevention.
	DiskFillUpPrevention Singleton[DiskFillUpPrevention]
	// Email reads configuration/management/email.
	Email Singleton[EmailSettings]
	// SNMP reads configuration/management/snmp.
	SNMP ManagementSNMP
}

// ManagementSNMP reads the settings for SNMP (configuration/management/snmp).
type ManagementSNMP struct {
	// Trap reads configuration/management/snmp/trap.
	Trap Singleton[SNMPTrap]
}

func newManagement(c *Client) Management {
	return Management{managementDiskFillUpPrevention.singleton(c), managementEmail.singleton(c), ManagementSNMP{managementSNMPTrap.singleton(c)}}
}

// ManagementTx writes what [Management] reads.
type ManagementTx struct {
	// DiskFillUpPrevention writes configuration/management/disk_fillup_prevention.
	DiskFillUpPrevention SingletonTx[DiskFillUpPrevention]
	// Email writes configuration/management/email.
	Email SingletonTx[EmailSettings]
	// SNMP writes configuration/management/snmp.
	SNMP ManagementSNMPTx
}

// ManagementSNMPTx writes what [ManagementSNMP] reads.
type ManagementSNMPTx struct {
	// Trap writes configuration/management/snmp/trap.
	Trap SingletonTx[SNMPTrap]
}

func newManagementTx(tx *Transaction) ManagementTx {
	return ManagementTx{managementDiskFillUpPrevention.singletonTx(tx), managementEmail.singletonTx(tx), ManagementSNMPTx{managementSNMPTrap.singletonTx(tx)}}
}

// DiskFillUpPrevention stops connections before recordings fill the disk (guide: Basic
// settings, Management, Disk space fill-up prevention;
// configuration/management/disk_fillup_prevention).
type DiskFillUpPrevention struct {
	// Enabled tells whether the appliance stops connections at the limit.
	Enabled bool `json:"enabled"`
	// UsedSpaceRatioLimit is the limit, in percent of the disk.
	UsedSpaceRatioLimit int `json:"used_space_ratio_limit"`
	// ArchivingEnabled tells whether the appliance starts all archiving and clean-up jobs
	// at the limit.
	ArchivingEnabled bool `json:"archiving_enabled"`
}

// EmailSettings is where alerts and reports go by mail (guide: Basic settings,
// E-mail; configuration/management/email). E-mail alerts go to AlertingAddress.
type EmailSettings struct {
	// AdminAddress is the administrator's address.
	AdminAddress string `json:"admin_address"`
	// AlertingAddress receives the alerts.
	AlertingAddress string `json:"alerting_address"`
	// ReportingAddress receives the reports.
	ReportingAddress string `json:"reporting_address"`
	// SenderAddress is the sender of all mails, nil for the appliance's own.
	SenderAddress *string `json:"sender_address"`
	// SMTPServer is the mail server, with the selection "ip" and its address.
	SMTPServer Selection `json:"smtp_server"`
	// SMTPEncryption is how the connection to it is protected.
	SMTPEncryption SMTPEncryption `json:"smtp_encryption"`
	// SMTPAuth is how the appliance logs in to it.
	SMTPAuth SMTPAuth `json:"smtp_auth"`
}

// SMTPEncryption is how the connection to a mail server is protected. What stands
// beside the selection is not known, and an update leaves it as it is: type the
// endpoint yourself with [NewSingleton] to set it.
type SMTPEncryption struct {
	// Selection is the kind of it; "disabled" is the one that the guide shows.
	Selection string `json:"selection"`
}

// UnmarshalJSON decodes the selection as that of a [Selection].
func (e *SMTPEncryption) UnmarshalJSON(data []byte) error {
	var s Selection
	err := s.UnmarshalJSON(data)
	e.Selection = s.Selection
	return err
}

// SMTPAuth is how the appliance logs in to a mail server. What it needs where it is
// enabled is not known, and an update leaves it as it is.
type SMTPAuth struct {
	// Enabled tells whether it logs in.
	Enabled bool `json:"enabled"`
}

// SNMPTrap is where alerts go by SNMP (guide: Basic settings, SNMP;
// configuration/management/snmp/trap).
type SNMPTrap struct {
	// Enabled tells whether SNMP alerts are sent.
	Enabled bool `json:"enabled"`
	// Version is the version of SNMP, with what it needs.
	Version SNMPVersion `json:"version"`
}

// SNMPVersion is the version of SNMP that traps are sent with.
type SNMPVersion struct {
	// Selection is the version: "2c" is the one whose value is known.
	Selection string `json:"selection"`
	// Value is what version 2c needs.
	Value SNMPTarget `json:"value"`
}

// SNMPTarget is what SNMP 2c needs to send a trap. Of another version's it has what
// has the same names.
type SNMPTarget struct {
	// Community is the community string, which works like a password.
	Community Secret `json:"community"`
	// Server is the server, with the selection "ip" and its address.
	Server Selection `json:"server"`
}

// Selection is a tagged value of the API: what Value means depends on Selection,
// "ip" for an address of the network. A tag whose value is no text, or that needs
// none, has an empty one; an update leaves it as it is.
type Selection struct {
	Selection string `json:"selection"`       // the tag
	Value     string `json:"value,omitempty"` // what belongs to it, "10.20.30.40"
}

// UnmarshalJSON decodes a tag with its value.
func (s *Selection) UnmarshalJSON(data []byte) error {
	*s = Selection{}
	if wire.Kind(data) == wire.Null {
		return nil
	}
	members, err := wire.Members(data)
	if err != nil {
		return wire.Unfit("a selection is no object")
	}
	s.Selection, _ = wire.Text(wire.Find(members, "selection"))
	if value := wire.Find(members, "value"); wire.Kind(value) == wire.String {
		s.Value, _ = wire.Text(value)
	}
	return nil
}
