package spstest

import "encoding/json"

const (
	nicsPath   = "configuration/network/nics"
	namingPath = "configuration/network/naming"
)

// naming holds the names of the appliance.
type naming struct {
	Domain   string  `json:"domainname"`
	Host     string  `json:"hostname"`
	Nickname *string `json:"nickname"`
}

// naming returns the names of the appliance in a configuration.
func (s *store) naming() (read naming) {
	_ = json.Unmarshal(s.bodies[namingPath], &read)
	return read
}

func addNetwork(t *tree) {
	t.singleton("network/dns", recordOf(map[string]*shape{"primary": nullable(textual()), "secondary": nullable(textual())}),
		`{"primary":"192.168.56.1","secondary":null}`)
	// The guide does not show the body. These three members are known from /api/info.
	t.singleton("network/naming", recordOf(map[string]*shape{"domainname": textual(), "hostname": textual(), "nickname": nullable(textual())}),
		`{"domainname":"example","hostname":"sps","nickname":null}`)
	// The guide shows only the addresses of an interface.
	t.collection("network/nics", recordOf(map[string]*shape{"interfaces": opened(recordOf(nil))})).fixed = true
	t.object("network/nics", "nic1", `{"interfaces":{
		"@order":["ff7574025754b3df1647001","ff7574025754b3df1647002"],
		"ff7574025754b3df1647001":{"addresses":{"@order":["1","2"],"1":"10.20.30.41/24","2":"10.20.30.42/24"}},
		"ff7574025754b3df1647002":{"addresses":{"@order":["1"],"1":"192.168.56.10/24"}}}}`)
	t.object("network/nics", "nic2", `{"interfaces":{"@order":[]}}`)
	t.object("network/nics", "nic3", `{"interfaces":{"@order":[]}}`)
	t.singleton("network/routing", listOf(recordOf(map[string]*shape{"gateway": textual(), "target_network": textual()})),
		`[{"gateway":"192.168.56.1","target_network":"0.0.0.0/0"}]`)
}
