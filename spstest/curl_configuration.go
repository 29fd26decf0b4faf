package spstest

import (
	"fmt"
	"strconv"
)

// curlCall is a curl command without the address, the CA and the cookies.
type curlCall struct {
	method string // "" means that curl chooses the method
	path   string // the path below /api/, with the query
	accept string
	data   *string
}

// changed returns the calls, between a call that opens a transaction and a call that
// commits it. The call that opens the transaction has an empty body: without a body, curl
// sends no Content-Length, and the appliance refuses the request.
func (a *Appliance) changed(calls ...curlCall) []curlCall {
	nothing, commit := "", `{"status": "commit"}`
	if a.messageRequired() {
		commit = `{"status": "commit", "` + a.messageMember() + `": "test"}`
	}
	all := append([]curlCall{{path: "transaction", data: &nothing}}, calls...)
	return append(all, curlCall{method: "PUT", path: "transaction", data: &commit})
}

// curlConfiguration returns the calls for alerts, trust stores and Starling.
func (a *Appliance) curlConfiguration() []curlCall {
	a.enter()
	defer a.mu.Unlock()
	const alerts = configurationPath + "/alerting/traffic_alerts"
	body := string(a.enabledAlert(alerts, "scbConnectionDenied"))
	calls := []curlCall{{path: alerts}}
	calls = append(calls, a.changed(curlCall{method: "PUT", path: alerts, data: &body})...)
	calls = append(calls, a.curlTrustStores()...)
	return append(calls, a.curlStarling()...)
}

// enabledAlert returns the body at a path of alerts, with one more alert sent by e-mail.
func (a *Appliance) enabledAlert(p, alert string) []byte {
	v, _ := decode(a.committed.bodies[p])
	body, _ := v.(object)
	if body == nil {
		body = object{}
	}
	body[alert] = object{"email": true, "snmp": false}
	return encode(body)
}

// curlTrustStores returns calls that create a trust store, and that update and delete a
// trust store that no other object refers to.
func (a *Appliance) curlTrustStores() []curlCall {
	names := make(map[string]bool)
	spare := ""
	for _, key := range a.committed.keys[trustStoresPath] {
		p := trustStoresPath + "/" + key
		names[nameOf(a.committed.bodies[p])] = true
		if spare == "" && !builtIn(key) && len(a.committed.usersOf(href(p))) == 0 {
			spare = p
		}
	}
	name := "My_Trust_Store"
	for n := 2; names[name]; n++ {
		name = "My_Trust_Store_" + strconv.Itoa(n)
	}
	store := func(name string) *string {
		s := fmt.Sprintf(`{"name": %s, "authorities": [{"pem": %s}], "crl_urls": [], "revocation_check": "none", "trust_store_type": "custom"}`, encode(name), encode(ldapCA))
		return &s
	}
	calls := []curlCall{{path: trustStoresPath}, {path: trustStoresPath + "/" + builtInStore}}
	created := curlCall{method: "POST", path: trustStoresPath, data: store(name)}
	if spare == "" {
		return append(calls, a.changed(created)...)
	}
	calls = append(calls, curlCall{path: spare})
	calls = append(calls, a.changed(created, curlCall{method: "PUT", path: spare, data: store(nameOf(a.committed.bodies[spare]))})...)
	return append(calls, a.changed(curlCall{method: "DELETE", path: spare})...)
}

// curlStarling returns calls that read, change and delete the join to Starling. If the
// appliance is not joined, the calls first join it.
func (a *Appliance) curlStarling() []curlCall {
	info := joinInfo{starlingEnvironment, starlingInstance, starlingTIMS}
	joined := a.committed.starling().JoinInfo
	if joined != nil {
		info = *joined
	}
	credentials := fmt.Sprintf(`{"credential_string": "test", "environment": %s, "product_instance": %s, "product_tims": %s}`,
		encode(info.Environment), encode(info.Instance), encode(info.TIMS))
	joins := curlCall{method: "POST", path: joinPath, data: &credentials}
	remoteAccess := func(enabled bool) []curlCall {
		body := fmt.Sprintf(`{"join_info": %s, "remote_access": {"enabled": %t}}`, encode(info), enabled)
		return a.changed(curlCall{method: "PUT", path: starlingPath, data: &body})
	}
	calls := []curlCall{
		{path: joinPath},
		{path: joinPath + "?product_tims=222-333-444"},
		{path: joinPath, accept: "text/html"},
	}
	if joined == nil {
		calls = append(calls, joins)
	}
	calls = append(calls, curlCall{path: starlingPath})
	calls = append(calls, remoteAccess(true)...)
	calls = append(calls, remoteAccess(false)...)
	return append(calls,
		curlCall{method: "DELETE", path: joinPath}, joins,
		curlCall{method: "DELETE", path: joinPath + "?force=true"})
}
