package sps

var emailPath = mustPath("configuration/management/email")

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
	// SMTPServer is the mail server.
	SMTPServer Selection `json:"smtp_server"`
}

// Selection is a tagged value of the API: what Value means depends on Selection,
// "ip" for an address of the network. A tag that needs no value has an empty one.
type Selection struct {
	Selection string `json:"selection"`
	Value     string `json:"value,omitempty"`
}
