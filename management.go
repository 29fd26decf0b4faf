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

// ManagementTx writes the endpoints that [Management] reads.
type ManagementTx struct {
	// DiskFillUpPrevention writes configuration/management/disk_fillup_prevention.
	DiskFillUpPrevention SingletonTx[DiskFillUpPrevention]
	// Email writes configuration/management/email.
	Email SingletonTx[EmailSettings]
	// SNMP writes configuration/management/snmp.
	SNMP ManagementSNMPTx
}

// ManagementSNMPTx writes the endpoints that [ManagementSNMP] reads.
type ManagementSNMPTx struct {
	// Trap writes configuration/management/snmp/trap.
	Trap SingletonTx[SNMPTrap]
}

func newManagementTx(tx *Transaction) ManagementTx {
	return ManagementTx{managementDiskFillUpPrevention.singletonTx(tx), managementEmail.singletonTx(tx), ManagementSNMPTx{managementSNMPTrap.singletonTx(tx)}}
}

// DiskFillUpPrevention makes the appliance stop connections before recordings fill the
// disk (guide: Basic settings, Management, Disk space fill-up prevention;
// configuration/management/disk_fillup_prevention).
type DiskFillUpPrevention struct {
	// Enabled is true if the appliance stops connections at the limit.
	Enabled bool `json:"enabled"`
	// UsedSpaceRatioLimit is the limit, in percent of the disk.
	UsedSpaceRatioLimit int `json:"used_space_ratio_limit"`
	// ArchivingEnabled is true if the appliance starts all archiving and clean-up jobs at
	// the limit.
	ArchivingEnabled bool `json:"archiving_enabled"`
}

// EmailSettings are the settings for mail (guide: Basic settings, E-mail;
// configuration/management/email).
type EmailSettings struct {
	// AdminAddress is the administrator's address.
	AdminAddress string `json:"admin_address"`
	// AlertingAddress receives the alerts.
	AlertingAddress string `json:"alerting_address"`
	// ReportingAddress receives the reports.
	ReportingAddress string `json:"reporting_address"`
	// SenderAddress is the sender address of the appliance's mails, or nil for the
	// appliance's default.
	SenderAddress *string `json:"sender_address"`
	// SMTPServer is the mail server. Its Selection is "ip", and its Value is the address.
	SMTPServer Selection `json:"smtp_server"`
	// SMTPEncryption is the encryption of the connection to the mail server.
	SMTPEncryption SMTPEncryption `json:"smtp_encryption"`
	// SMTPAuth is the login of the appliance to the mail server.
	SMTPAuth SMTPAuth `json:"smtp_auth"`
}

// SMTPEncryption is the encryption of the connection to a mail server. The guide does not
// document the other members, and an update keeps them. To set them, call [NewSingleton]
// with a type of your own.
type SMTPEncryption struct {
	// Selection is the kind of encryption; the guide shows "disabled".
	Selection string `json:"selection"`
}

// UnmarshalJSON decodes the selection like a [Selection].
func (e *SMTPEncryption) UnmarshalJSON(data []byte) error {
	var s Selection
	err := s.UnmarshalJSON(data)
	e.Selection = s.Selection
	return err
}

// SMTPAuth is the login of the appliance to a mail server. The guide does not document
// the members for an enabled login, and an update keeps them.
type SMTPAuth struct {
	// Enabled is true if the appliance logs in.
	Enabled bool `json:"enabled"`
}

// SNMPTrap are the settings for SNMP alerts (guide: Basic settings, SNMP;
// configuration/management/snmp/trap).
type SNMPTrap struct {
	// Enabled is true if SNMP alerts are sent.
	Enabled bool `json:"enabled"`
	// Version is the SNMP version, with the settings for this version.
	Version SNMPVersion `json:"version"`
}

// SNMPVersion is the SNMP version for traps, with the settings for this version.
type SNMPVersion struct {
	// Selection is the version. The guide documents only the settings of "2c".
	Selection string `json:"selection"`
	// Value has the settings of version 2c.
	Value SNMPTarget `json:"value"`
}

// SNMPTarget has the settings for traps with SNMP 2c. For another version, it decodes the
// members that have the same names.
type SNMPTarget struct {
	// Community is the community string, which works like a password.
	Community Secret `json:"community"`
	// Server is the server that receives the traps. Its Selection is "ip", and its Value
	// is the address.
	Server Selection `json:"server"`
}

// Selection is a tagged value of the API. The meaning of Value depends on Selection: for
// "ip", it is a network address. Value is empty if the tag has no value or if the value
// is not a string. An update keeps a value that is not a string.
type Selection struct {
	Selection string `json:"selection"`       // the tag
	Value     string `json:"value,omitempty"` // the value of the tag, such as "10.20.30.40"
}

// UnmarshalJSON decodes a tag with its value.
func (s *Selection) UnmarshalJSON(data []byte) error {
	*s = Selection{}
	if wire.Kind(data) == wire.Null {
		return nil
	}
	members, err := wire.Members(data)
	if err != nil {
		return wire.Unfit("a selection is not an object")
	}
	s.Selection, _ = wire.Text(wire.Find(members, "selection"))
	if value := wire.Find(members, "value"); wire.Kind(value) == wire.String {
		s.Value, _ = wire.Text(value)
	}
	return nil
}
