package spstest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// defaultConfiguration returns the configuration of a new appliance. Where the guide has
// a sample of an endpoint, the body is that sample.
func defaultConfiguration() (map[string]*node, *store) {
	t := &tree{make(map[string]*node), &store{bodies: make(map[string]json.RawMessage), keys: make(map[string][]string)}}
	t.collection("aaa/local_database/groups", recordOf(map[string]*shape{
		"members": listOf(textual()),
		"name":    textual(),
	}))
	t.object("aaa/local_database/groups", "ca2dc85730ca082ee6b5c8", `{"members":[],"name":"http-write"}`)

	t.singleton("datetime/timezone", textual(), `"America/New_York"`)

	t.singleton("local_services/snmp_agent", snmpAgentShape(), `{
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

	t.singleton("management/accounting", recordOf(map[string]*shape{"require_commitlog": flag()}),
		`{"require_commitlog":false}`)
	t.singleton("management/disk_fillup_prevention", recordOf(map[string]*shape{
		"archiving_enabled": flag(), "enabled": flag(), "used_space_ratio_limit": numeric(),
	}), `{"archiving_enabled":false,"enabled":true,"used_space_ratio_limit":80}`)
	t.singleton("management/email", emailShape(), `{
		"admin_address":"admin@example.com",
		"alerting_address":"alerts@example.com",
		"reporting_address":"reports@example.com",
		"sender_address":null,
		"smtp_auth":{"enabled":false},
		"smtp_encryption":{"selection":"disabled"},
		"smtp_server":{"selection":"ip","value":"10.20.30.40"}}`)
	t.singleton("management/health_monitoring", recordOf(map[string]*shape{
		"maximum_disk_utilization_ratio": nullable(numeric()),
		"maximum_load1":                  nullable(numeric()),
		"maximum_load5":                  nullable(numeric()),
		"maximum_load15":                 nullable(numeric()),
		"maximum_swap_utilization_ratio": nullable(numeric()),
	}), `{"maximum_disk_utilization_ratio":80,"maximum_load1":null,"maximum_load5":null,"maximum_load15":null,"maximum_swap_utilization_ratio":70}`)
	t.singleton("management/snmp/trap", recordOf(map[string]*shape{
		"enabled": flag(),
		"version": recordOf(map[string]*shape{"selection": textual(), "value": opened(recordOf(nil))}),
	}), `{"enabled":true,"version":{"selection":"2c","value":{"community":"public","server":{"selection":"ip","value":"10.20.30.40"}}}}`)
	t.singleton("management/system_backup", recordOf(map[string]*shape{
		"backup_policy": nullable(refTo("configuration/policies/backup_policies")),
	}), `{"backup_policy":{"key":"35603920755b8fb4711d3c","meta":{"href":"/api/configuration/policies/backup_policies/35603920755b8fb4711d3c"}}}`)

	t.collection("policies/audit_policies", auditPolicyShape())
	t.object("policies/audit_policies", "78101850949e47437dd91d", `{
		"encryption":{"enabled":false},"name":"default","signing":{"enabled":false},
		"signing_and_timestamping_interval":30,"timestamping":{"enabled":false}}`)
	t.object("policies/audit_policies", "4110330695c094b5776670", `{
		"encryption":{"enabled":false},"name":"remote-timestamping","signing":{"enabled":false},
		"signing_and_timestamping_interval":42,
		"timestamping":{"enabled":true,"server":{"oid":{"enabled":true,"policy_oid":"2.3.5.3.1.5.32.322.32"},
			"selection":"remote","server_url":"http://tsa.example.com/"}}}`)

	t.collection("policies/backup_policies", opened(recordOf(map[string]*shape{
		"include_node_id_in_path": flag(),
		"name":                    textual(),
		"start_times":             listOf(textual()),
	})))
	t.object("policies/backup_policies", "35603920755b8fb4711d3c", `{"include_node_id_in_path":false,"name":"nightly","start_times":["10:10"]}`)

	t.collection("policies/time_policies", timePolicyShape())
	t.object("policies/time_policies", "-100", `{
		"Fri":[["0:00","23:59"]],"Mon":[["0:00","23:59"]],"Sat":[["0:00","23:59"]],"Sun":[["0:00","23:59"]],
		"Thu":[["0:00","23:59"]],"Tue":[["0:00","23:59"]],"Wed":[["0:00","23:59"]],"name":"7x24"}`)
	addAlerting(t)
	addNetwork(t)
	addSecrets(t)
	addStarling(t)
	addTrustStores(t)
	addLDAPServers(t)
	addServices(t)
	return t.nodes, t.store
}

// addServices adds endpoints for access control lists, SSH, certificates, the web interface
// and RDP. The guide has a sample of each of these endpoints.
func addServices(t *tree) {
	t.singleton("aaa/acls", listOf(recordOf(map[string]*shape{"group": textual(), "objects": listOf(textual()), "permission": textual()})), `[
		{"group":"basic-view","objects":["/special/basic"],"permission":"read"},
		{"group":"basic-write","objects":["/special/basic"],"permission":"write"}]`).readOnly = true
	t.singleton("local_services/ssh", recordOf(map[string]*shape{
		"access_restriction":    opened(recordOf(map[string]*shape{"enabled": flag()})),
		"allow_password_auth":   flag(),
		"bruteforce_protection": flag(),
		"enabled":               flag(),
		"listen":                listOf(recordOf(map[string]*shape{"address": refTo(nicsPath), "port": numeric()})),
		"public_keys":           listOf(textual()),
	}), `{
		"access_restriction":{"allowed_from":["10.40.0.48/24"],"enabled":true},
		"allow_password_auth":true,"bruteforce_protection":true,"enabled":true,
		"listen":[{"address":{"key":"nic1.interfaces.ff7574025754b3df1647001.addresses.1",
			"meta":{"href":"/api/configuration/network/nics/nic1#interfaces/ff7574025754b3df1647001/addresses/1"}},"port":22}],
		"public_keys":[]}`)
	// The tree does not contain the certificates that the references point to.
	const x509 = "configuration/x509"
	t.singleton("management/certificates", recordOf(map[string]*shape{
		"ca":     recordOf(map[string]*shape{"selection": textual(), "x509_identity": refTo(x509)}),
		"server": refTo(x509),
		"tsa":    refTo(x509),
	}), `{
		"ca":{"selection":"identity","x509_identity":{"key":"3d0c5a1e-6b8f-4e52-9c37-a1f04be2d701","meta":{"href":"/api/configuration/x509/3d0c5a1e-6b8f-4e52-9c37-a1f04be2d701"}}},
		"server":{"key":"3d0c5a1e-6b8f-4e52-9c37-a1f04be2d702","meta":{"href":"/api/configuration/x509/3d0c5a1e-6b8f-4e52-9c37-a1f04be2d702"}},
		"tsa":{"key":"3d0c5a1e-6b8f-4e52-9c37-a1f04be2d703","meta":{"href":"/api/configuration/x509/3d0c5a1e-6b8f-4e52-9c37-a1f04be2d703"}}}`)
	t.singleton("management/webinterface", recordOf(map[string]*shape{"timeout": numeric()}), `{"timeout":10}`)
	t.singleton("rdp/domain_membership", recordOf(map[string]*shape{"domain": textual(), "enabled": flag(), "realm": textual()}),
		`{"domain":"testdomain","enabled":true,"realm":"testdomain.api.test"}`)
	t.singleton("rdp/options", recordOf(map[string]*shape{
		"channel_database_cleanup": opened(recordOf(map[string]*shape{"enabled": flag()})),
		"service":                  opened(recordOf(map[string]*shape{"enabled": flag()})),
	}), `{"channel_database_cleanup":{"enabled":false},"service":{"enabled":true,"log_level":4}}`)
}

// compact removes the white space from a JSON sample.
func compact(sample string) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(sample)); err != nil {
		panic(fmt.Sprintf("spstest: %v in %s", err, sample)) // reached only by a bug in this package
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
	return recordOf(map[string]*shape{
		"access_restriction": opened(recordOf(map[string]*shape{"enabled": flag()})),
		"enabled":            flag(),
		"listen":             listOf(recordOf(map[string]*shape{"address": refTo(nicsPath), "port": numeric()})),
		"system_contact":     textual(),
		"system_description": textual(),
		"system_location":    textual(),
		"version_2c":         recordOf(map[string]*shape{"community": textual(), "enabled": flag()}),
		"version_3": recordOf(map[string]*shape{
			"enabled": flag(),
			"users": listOf(opened(recordOf(map[string]*shape{
				"auth_method":         textual(),
				"auth_password":       nullable(refTo(passwordsPath)),
				"encryption_method":   textual(),
				"encryption_password": nullable(refTo(passwordsPath)),
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
