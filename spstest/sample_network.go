package spstest

const nicsPath = "configuration/network/nics"

func addNetwork(t *tree) {
	t.singleton("network/dns", recordOf(map[string]*shape{"primary": nullable(textual()), "secondary": nullable(textual())}),
		`{"primary":"192.168.56.1","secondary":null}`)
	// Of the body of an interface no more is readable than its addresses.
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
