package spstest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// defaultConfiguration is the tree a new appliance has. The bodies are the
// samples of the guide where it has one.
func defaultConfiguration() (map[string]*node, *store) {
	nodes := make(map[string]*node)
	s := &store{bodies: make(map[string]json.RawMessage), keys: make(map[string][]string)}
	singleton := func(p string, of *shape, body string) {
		p = configurationPath + "/" + p
		nodes[p] = &node{shape: of}
		s.bodies[p] = compact(body)
	}
	collection := func(p string, of *shape) string {
		p = configurationPath + "/" + p
		nodes[p] = &node{collection: true, shape: of}
		return p
	}

	groups := collection("aaa/local_database/groups", recordOf(map[string]*shape{
		"members": listOf(textual()),
		"name":    textual(),
	}))
	s.add(groups, "ca2dc85730ca082ee6b5c8", compact(`{"members":[],"name":"http-write"}`))

	singleton("datetime/timezone", textual(), `"America/New_York"`)

	singleton("local_services/snmp_agent", snmpAgentShape(), `{
		"access_restriction":{"enabled":false},
		"enabled":true,
		"listen":[{"address":{"key":"nic1.interfaces.ff7574025754b3df1647001.addresses.1",
			"meta":{"href":"/api/configuration/network/nics/nic1#interfaces/ff7574025754b3df1647001/addresses/1"}},"port":161}],
		"system_contact":"mycontact","system_description":"mydescription","system_location":"mylocation",
		"version_2c":{"community":"mycommunity","enabled":true},
		"version_3":{"enabled":true,"users":[{
			"auth_method":"sha",
			"auth_password":{"key":"6a2b9e0c-77a0-4b33-9f1f-0d2cfa6a1f01","meta":{"href":"/api/configuration/passwords/6a2b9e0c-77a0-4b33-9f1f-0d2cfa6a1f01"}},
			"encryption_method":"aes",
			"encryption_password":{"key":"6a2b9e0c-77a0-4b33-9f1f-0d2cfa6a1f02","meta":{"href":"/api/configuration/passwords/6a2b9e0c-77a0-4b33-9f1f-0d2cfa6a1f02"}}}]}}`)

	singleton("management/accounting", recordOf(map[string]*shape{"require_commitlog": flag()}),
		`{"require_commitlog":false}`)
	singleton("management/disk_fillup_prevention", recordOf(map[string]*shape{
		"archiving_enabled": flag(), "enabled": flag(), "used_space_ratio_limit": numeric(),
	}), `{"archiving_enabled":false,"enabled":true,"used_space_ratio_limit":80}`)
	singleton("management/email", emailShape(), `{
		"admin_address":"admin@example.com",
		"alerting_address":"alerts@example.com",
		"reporting_address":"reports@example.com",
		"sender_address":null,
		"smtp_auth":{"enabled":false},
		"smtp_encryption":{"selection":"disabled"},
		"smtp_server":{"selection":"ip","value":"10.20.30.40"}}`)
	singleton("management/health_monitoring", recordOf(map[string]*shape{
		"maximum_disk_utilization_ratio": nullable(numeric()),
		"maximum_load1":                  nullable(numeric()),
		"maximum_load5":                  nullable(numeric()),
		"maximum_load15":                 nullable(numeric()),
		"maximum_swap_utilization_ratio": nullable(numeric()),
	}), `{"maximum_disk_utilization_ratio":80,"maximum_load1":null,"maximum_load5":null,"maximum_load15":null,"maximum_swap_utilization_ratio":70}`)
	singleton("management/snmp/trap", recordOf(map[string]*shape{
		"enabled": flag(),
		"version": recordOf(map[string]*shape{"selection": textual(), "value": opened(recordOf(nil))}),
	}), `{"enabled":true,"version":{"selection":"2c","value":{"community":"public","server":{"selection":"ip","value":"10.20.30.40"}}}}`)
	singleton("management/system_backup", recordOf(map[string]*shape{
		"backup_policy": nullable(refTo("configuration/policies/backup_policies")),
	}), `{"backup_policy":{"key":"35603920755b8fb4711d3c","meta":{"href":"/api/configuration/policies/backup_policies/35603920755b8fb4711d3c"}}}`)

	audit := collection("policies/audit_policies", auditPolicyShape())
	s.add(audit, "78101850949e47437dd91d", compact(`{
		"encryption":{"enabled":false},"name":"default","signing":{"enabled":false},
		"signing_and_timestamping_interval":30,"timestamping":{"enabled":false}}`))
	s.add(audit, "4110330695c094b5776670", compact(`{
		"encryption":{"enabled":false},"name":"remote-timestamping","signing":{"enabled":false},
		"signing_and_timestamping_interval":42,
		"timestamping":{"enabled":true,"server":{"oid":{"enabled":true,"policy_oid":"2.3.5.3.1.5.32.322.32"},
			"selection":"remote","server_url":"http://tsa.example.com/"}}}`))

	backup := collection("policies/backup_policies", opened(recordOf(map[string]*shape{
		"include_node_id_in_path": flag(),
		"name":                    textual(),
		"start_times":             listOf(textual()),
	})))
	s.add(backup, "35603920755b8fb4711d3c", compact(`{"include_node_id_in_path":false,"name":"nightly","start_times":["10:10"]}`))

	times := collection("policies/time_policies", timePolicyShape())
	s.add(times, "-100", compact(`{
		"Fri":[["0:00","23:59"]],"Mon":[["0:00","23:59"]],"Sat":[["0:00","23:59"]],"Sun":[["0:00","23:59"]],
		"Thu":[["0:00","23:59"]],"Tue":[["0:00","23:59"]],"Wed":[["0:00","23:59"]],"name":"7x24"}`))
	return nodes, s
}

// compact takes the white space out of a sample.
func compact(sample string) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(sample)); err != nil {
		panic(fmt.Sprintf("spstest: %v in %s", err, sample)) // only a bug of this package gets here
	}
	return b.Bytes()
}

func emailShape() *shape {
	return recordOf(map[string]*shape{
		"admin_address":     textual(),
		"alerting_address":  textual(),
		"reporting_address": textual(),
		"sender_address":    nullable(textual()),
		"smtp_auth":         opened(recordOf(map[string]*shape{"enabled": flag()})),
		"smtp_encryption":   opened(recordOf(map[string]*shape{"selection": textual()})),
		"smtp_server":       recordOf(map[string]*shape{"selection": textual(), "value": textual()}),
	})
}

func snmpAgentShape() *shape {
	address := refTo("configuration/network/nics")
	const key = "nic1.interfaces.ff7574025754b3df1647001.addresses.1"
	address.links = map[string]string{key: "/api/configuration/network/nics/nic1#interfaces/ff7574025754b3df1647001/addresses/1"}
	return recordOf(map[string]*shape{
		"access_restriction": opened(recordOf(map[string]*shape{"enabled": flag()})),
		"enabled":            flag(),
		"listen":             listOf(recordOf(map[string]*shape{"address": address, "port": numeric()})),
		"system_contact":     textual(),
		"system_description": textual(),
		"system_location":    textual(),
		"version_2c":         recordOf(map[string]*shape{"community": textual(), "enabled": flag()}),
		"version_3": recordOf(map[string]*shape{
			"enabled": flag(),
			"users": listOf(opened(recordOf(map[string]*shape{
				"auth_method":         textual(),
				"auth_password":       nullable(refTo("configuration/passwords")),
				"encryption_method":   textual(),
				"encryption_password": nullable(refTo("configuration/passwords")),
			}))),
		}),
	})
}

func auditPolicyShape() *shape {
	enabled := func() *shape { return opened(recordOf(map[string]*shape{"enabled": flag()})) }
	return recordOf(map[string]*shape{
		"encryption":                        enabled(),
		"name":                              textual(),
		"signing":                           enabled(),
		"signing_and_timestamping_interval": numeric(),
		"timestamping":                      enabled(),
	})
}

func timePolicyShape() *shape {
	members := map[string]*shape{"name": textual()}
	for _, day := range []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"} {
		members[day] = listOf(listOf(textual()))
	}
	return recordOf(members)
}
