package spstest

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const trustStoresPath = "configuration/trust_stores"

// The keys of the trust stores. The guide's sample has the stores builtInStore and
// customStore, but not the key of customStore, which is made up. The store ldapStore, to which
// an LDAP policy refers, is made up, too.
const (
	builtInStore = "-7001"
	customStore  = "5f0b1d3e-8c52-4a7e-9d4b-6f1a2c3e4d50"
	ldapStore    = "c1a7e0b4-2f63-4d18-a9c5-70de31b8f642"
)

// ldapCA is the CA certificate in ldapStore. It expires at the end of 2049.
const ldapCA = `-----BEGIN CERTIFICATE-----
MIIBpTCCAUqgAwIBAgICHakwCgYIKoZIzj0EAwIwOTELMAkGA1UEBhMCSFUxEDAO
BgNVBAoTB0V4YW1wbGUxGDAWBgNVBAMTD0V4YW1wbGUgTERBUCBDQTAeFw0yNDAx
MDEwMDAwMDBaFw00OTEyMzEwMDAwMDBaMDkxCzAJBgNVBAYTAkhVMRAwDgYDVQQK
EwdFeGFtcGxlMRgwFgYDVQQDEw9FeGFtcGxlIExEQVAgQ0EwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQQxt8Y3vfgtyNCJPvCja/bjYXqXl2IcrsnXCdQX8h5b70j
P5fAnLmXtysI55x8dgehub8Wa7Hk+mPnQkQUisr0o0IwQDAOBgNVHQ8BAf8EBAMC
AQYwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU5tMJbdC3WNwDBi7ZI/AAPZ9C
3QUwCgYIKoZIzj0EAwIDSQAwRgIhAPlHASKK4+aXPGz05s+XdP/anqVex0NWxMMv
Q6EiWqoEAiEAt6rtLA/7Y2r6WPsgMaEj+8AFGniFjPxu+6BNFkx2W14=
-----END CERTIFICATE-----
`

func addTrustStores(t *tree) {
	stores := t.collection("trust_stores", recordOf(map[string]*shape{
		"authorities":      listOf(&shape{kind: mixed}),
		"crl_urls":         listOf(textual()),
		"name":             textual(),
		"revocation_check": textual(),
		"trust_store_type": textual(),
	}))
	stores.uuids, stores.check, stores.inconsistent = true, checkTrustStore, inconsistentTrustStore
	t.object("trust_stores", builtInStore, `{"name":"Built-in","revocation_check":"none","trust_store_type":"built-in"}`)
	t.object("trust_stores", customStore, `{
		"authorities":[{
			"fingerprint":{"digest":"01:25:1f:a2:df:2a:31:1a:29:7a:ba:43:c4:03:42:a5:d7:30:ec:2d:e0:d7:7a:72:a7:1b:c3:99:c5:6c:10:ea","hash_algorithm":"sha256"},
			"issuer":"C=HU/ST=Budapest/L=None/O=Internet Widgits Pty Ltd/OU=None/CN=None/emailAddress=None",
			"pem":"-----BEGIN CERTIFICATE-----\nMIIDZzCCAk+gAwIBAgIUMlI5+EgTDAh2zqRDGYrzFRyozI8wDQYJKoZIhvcNAQEL\nBQAwQzELMAkGA1UEBhMCSFUxETAPBgNVBAgMCEJ1ZGFwZXN0MSEwHwYDVQQKDBhJ\nbnRlcm5ldCBXaWRnaXRzIFB0eSBMdGQwHhcNMTQwODEyMTIzNjQ4WhcNMzQwNjE4\nMTIzNjQ4WjBDMQswCQYDVQQGEwJIVTERMA8GA1UECAwIQnVkYXBlc3QxITAfBgNV\nBAoMGEludGVybmV0IFdpZGdpdHMgUHR5IEx0ZDCCASIwDQYJKoZIhvcNAQEBBQAD\nggEPADCCAQoCggEBALffJBDD6A/ZGBTgFbyLXHulU+hGnMW3DoPo2q4HY1/FfbkS\nrzmK+Fiz+3EwJCWi+EwK9mqve/nh6YRRw/VaAVQ7CkA7f7to+I7gP647Bq1wk0lh\nBVEJNlN0jfYYSumGxzPotw/fon1MkXuMbLc0Pr/vFX3NQC7/STAV5dZFcdboXDA7\nZZ3rzBIr93ThObsGj01MRO6wrS3rfE7Px9D7C2u9YSkP3OQ1Sfm/jqyLNaT6xt4i\nhrLnfYEc8mClnrlvILi+q/D6mIUSjb4IGvergAyl4jgPjO02UcvBzOIA9tDlBJBi\nQxZx+T620ubmEwOl9Q0G8RAWKz7szrBcXEjXhYUCAwEAAaNTMFEwHQYDVR0OBBYE\nFCDfEeq5Hsm8jMrG110iNpt5cikTMB8GA1UdIwQYMBaAFCDfEeq5Hsm8jMrG110i\nNpt5cikTMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBAK3iizM4\nCx69YD+4CWOUswULrCJA38C+nDYONLbNkact8JKXqCn/MaZTII+dZoV9RjjX4AzA\nPTQkZT+RoVeCZyt+qWHMdjq6koabXwQmXNozUtaxEZTrnoUDEWtNIbjV/gNtRcSG\nsU7i9L2YnwDzTw0cR/pu1Hykq8fwqNqjQGYnmXtJspMkKAtVe1CrtnPLiC6JBr0g\n5GZF58sHx5+gO0RkqdzJgRAGnImdfAahqfHmKRFmxoxWLyylRyqDgQ+KqcaDvZI+\ni36M+NQHVrDX4jo4CFoXhFlSOepvtDOpmzoWhugwDNMPuU1IEY7//CJBXQnjp+uf\nLO6PsNmMKDGi9Dk=\n-----END CERTIFICATE-----\n",
			"subject":"C=HU/ST=Budapest/L=None/O=Internet Widgits Pty Ltd/OU=None/CN=None/emailAddress=None"}],
		"crl_urls":["http://crl.it/sec"],"name":"My_Custom_Trust_Store","revocation_check":"full","trust_store_type":"custom"}`)
	t.object("trust_stores", ldapStore, `{
		"authorities":[{
			"fingerprint":{"digest":"dc:62:c6:99:f5:e8:bf:dc:1e:8a:60:aa:30:ef:98:54:d7:cd:0a:3a:cd:fc:8b:21:97:03:21:72:20:35:c2:48","hash_algorithm":"sha256"},
			"issuer":"C=HU/ST=None/L=None/O=Example/OU=None/CN=Example LDAP CA/emailAddress=None",
			"pem":`+strconv.Quote(ldapCA)+`,
			"subject":"C=HU/ST=None/L=None/O=Example/OU=None/CN=Example LDAP CA/emailAddress=None"}],
		"crl_urls":[],"name":"LDAP_CAs","revocation_check":"none","trust_store_type":"custom"}`)
}

// addLDAPServers adds a policy that refers to a trust store. The guide says that LDAP
// policies refer to trust stores, but does not name the member with the reference.
func addLDAPServers(t *tree) {
	t.collection("policies/ldap_servers", opened(recordOf(map[string]*shape{
		"name":        textual(),
		"schema":      opened(recordOf(map[string]*shape{"selection": textual()})),
		"trust_store": nullable(refTo(trustStoresPath)),
	})))
	t.object("policies/ldap_servers", "7db5d7a8553b7c4be1ea5", `{
		"name":"posix-simple",
		"schema":{"membership_check":{"enabled":true,"member_uid_attribute":"memberUid"},"selection":"posix"},
		"trust_store":{"key":"`+ldapStore+`","meta":{"href":"/api/`+trustStoresPath+`/`+ldapStore+`"}}}`)
}

// trustStoreDefaults returns the values of members that a written trust store may lack,
// if the variant trust-store-members permits this.
func trustStoreDefaults() object {
	return object{"authorities": []any{}, "crl_urls": []any{}, "revocation_check": "none", "trust_store_type": "custom"}
}

func checkTrustStore(a *Appliance, x *exchange, body any) (shown any, refusal answer, ok bool) {
	bad := func(message string, where ...string) (any, answer, bool) {
		return nil, a.syntacticError(x, memberPath(x.path, where), message), false
	}
	s, isObject := body.(object)
	if !isObject {
		return bad("The value has a wrong type")
	}
	var missing []string
	for name, value := range trustStoreDefaults() {
		if _, given := s[name]; !given {
			missing = append(missing, name)
			s[name] = value
		}
	}
	if slices.Sort(missing); len(missing) > 0 && a.variant("trust-store-members") != "defaulted" {
		var details any = object{"missing_paths": missing}
		if a.variant("trust-store-members") == "400:SyntacticError" {
			details = a.pathDetails(memberPath(x.path, missing[:1]))
		}
		return nil, a.refuse(x, "trust-store-members", "Members are missing", details), false
	}
	switch s["trust_store_type"] {
	case "custom":
	case "built-in":
		return nil, a.refuseBuiltIn(x, "trust_store_type"), false
	default:
		return bad("The trust store type is unknown", "trust_store_type")
	}
	urls, _ := s["crl_urls"].([]any)
	for i, u := range urls {
		if text, _ := u.(string); !downloadable(text) {
			return bad("The value is not an HTTP or HTTPS URL", "crl_urls", strconv.Itoa(i))
		}
	}
	switch s["revocation_check"] {
	case "none":
		if len(urls) > 0 {
			return bad("Without a revocation check there must be no CRL URLs", "crl_urls")
		}
	case "full", "leaf":
		if len(urls) == 0 {
			return bad("A revocation check needs CRL URLs", "crl_urls")
		}
	default:
		return bad("The revocation check is unknown", "revocation_check")
	}
	written, _ := s["authorities"].([]any)
	authorities := make([]any, len(written))
	for i, w := range written {
		authority, wrong := a.authority(w)
		if wrong != nil {
			return bad(wrong.message, append([]string{"authorities", strconv.Itoa(i)}, wrong.where...)...)
		}
		authorities[i] = authority
	}
	s["authorities"] = authorities
	return s, answer{}, true
}

// authority returns an authority with the members that are derived from its certificate.
func (a *Appliance) authority(written any) (object, *invalid) {
	given, isObject := written.(object)
	text, isText := given["pem"].(string)
	var where []string
	switch {
	case isObject:
		where = []string{"pem"}
	case a.variant("authority-text") == "accepted":
		text, isText = written.(string)
	}
	if !isText {
		return nil, &invalid{where, "The authority has no PEM"}
	}
	shown := authorityObject(text)
	if shown == nil {
		return nil, &invalid{where, "The PEM does not hold exactly one certificate"}
	}
	if a.variant("authority-derived") == "checked" {
		for _, name := range slices.Sorted(maps.Keys(shown)) {
			if v, has := given[name]; has && name != "pem" && !sameJSON(encode(v), encode(shown[name])) {
				return nil, &invalid{[]string{name}, "The value does not belong to the certificate"}
			}
		}
	}
	return shown, nil
}

// authorityObject returns the JSON object of a certificate, or nil if the text is not the
// PEM of one certificate.
func authorityObject(text string) object {
	text = strings.TrimSpace(text)
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 || !strings.HasPrefix(text, "-----BEGIN ") {
		return nil
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(block.Bytes)
	digits := make([]string, len(sum))
	for i := range sum {
		digits[i] = hex.EncodeToString(sum[i : i+1])
	}
	return object{
		"fingerprint": object{"digest": strings.Join(digits, ":"), "hash_algorithm": "sha256"},
		"issuer":      distinguishedName(certificate.Issuer),
		"pem":         string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})),
		"subject":     distinguishedName(certificate.Subject),
	}
}

// distinguishedName formats a name like the guide's sample. If an attribute occurs
// several times, it uses the first value.
func distinguishedName(name pkix.Name) string {
	parts := []struct {
		label string
		id    asn1.ObjectIdentifier
	}{
		{"C", asn1.ObjectIdentifier{2, 5, 4, 6}}, {"ST", asn1.ObjectIdentifier{2, 5, 4, 8}},
		{"L", asn1.ObjectIdentifier{2, 5, 4, 7}}, {"O", asn1.ObjectIdentifier{2, 5, 4, 10}},
		{"OU", asn1.ObjectIdentifier{2, 5, 4, 11}}, {"CN", asn1.ObjectIdentifier{2, 5, 4, 3}},
		{"emailAddress", asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}},
	}
	shown := make([]string, len(parts))
	for i, part := range parts {
		value := any("None")
		for _, attribute := range name.Names {
			if attribute.Type.Equal(part.id) {
				value = attribute.Value
				break
			}
		}
		shown[i] = fmt.Sprintf("%s=%v", part.label, value)
	}
	return strings.Join(shown, "/")
}

// inconsistentTrustStore returns the authorities and the CRL URLs that a trust store has
// twice.
func inconsistentTrustStore(p string, body json.RawMessage) []inconsistency {
	v, _ := decode(body)
	s, _ := v.(object)
	var found []inconsistency
	twice := func(member, message string, identity func(any) any) {
		list, _ := s[member].([]any)
		seen := make(map[string]bool)
		for i, v := range list {
			id := string(encode(identity(v)))
			if seen[id] {
				found = append(found, inconsistency{message, []string{memberPath(p, []string{member, strconv.Itoa(i)})}})
			}
			seen[id] = true
		}
	}
	twice("authorities", "The authorities of a trust store have to be unique", func(v any) any {
		authority, _ := v.(object)
		return authority["fingerprint"]
	})
	twice("crl_urls", "The CRL URLs of a trust store have to be unique", func(v any) any { return v })
	return found
}
