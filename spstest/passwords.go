package spstest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// passwordsJoinPath is the endpoint that joins the appliance to Safeguard for Privileged
// Passwords.
const passwordsJoinPath = "cluster/spp"

// alreadyJoined is the error code of Safeguard for Privileged Passwords for an appliance
// that is already joined.
const alreadyJoined = 60657

// joinPasswords joins the appliance to Safeguard for Privileged Passwords. It does not
// check the token.
func (a *Appliance) joinPasswords(x *exchange) answer {
	body, ok := x.jsonObject()
	if !ok {
		return a.invalidBody(x)
	}
	address, _ := body["spp"].(string)
	if ans, ok := a.checkPasswordsJoin(x, body); !ok {
		return ans
	}
	if a.passwords != "" {
		return a.refuse(x, "spp-joined-again", "The appliance is joined already",
			object{"response": object{"Code": alreadyJoined, "Message": "The appliance is joined already"}})
	}
	if x.holds() {
		return answer{}
	}
	a.passwords = address
	code, form, _ := strings.Cut(a.variant("spp-join-answer"), "-")
	status, _ := strconv.Atoi(code)
	switch {
	case status == http.StatusNoContent:
		return empty(status)
	case form == "body":
		return reply(status, object{"body": object{"spp": address}, "key": x.last(), "meta": x.meta()})
	}
	return reply(status, object{"meta": x.meta()})
}

// checkPasswordsJoin checks the body of a join. It accepts a certificate chain as a list
// of texts or as one text, because the vendor's clients send both forms.
func (a *Appliance) checkPasswordsJoin(x *exchange, body object) (answer, bool) {
	members := []string{"spp", "spp_api_token", "spp_cert_chain"}
	if missing := slices.DeleteFunc(slices.Clone(members), func(name string) bool {
		return body[name] != nil && (body[name] != "" || name == "spp_cert_chain")
	}); len(missing) > 0 {
		var details any = object{"missing_paths": missing}
		if a.variant("spp-without-members") == "400:SyntacticError" {
			details = a.pathDetails(memberPath(x.path, missing[:1]))
		}
		return a.refuse(x, "spp-without-members", "Some paths were missing from the request body", details), false
	}
	for _, name := range members {
		where := []string{name}
		switch v := body[name].(type) {
		case string:
			continue
		case []any:
			i := slices.IndexFunc(v, func(e any) bool { _, isText := e.(string); return !isText })
			if name == "spp_cert_chain" && i < 0 {
				continue
			}
			if name == "spp_cert_chain" {
				where = append(where, strconv.Itoa(i))
			}
		}
		return a.syntacticError(x, memberPath(x.path, where), "The value has a wrong type"), false
	}
	return answer{}, true
}
