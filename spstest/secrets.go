package spstest

const (
	passwordsPath   = "configuration/passwords"
	privateKeysPath = "configuration/private_keys"
)

// addSecrets adds the collections of passwords and private keys. The configuration refers
// to these secrets, but responses do not show them.
func addSecrets(t *tree) {
	for _, name := range []string{"passwords", "private_keys"} {
		n := t.collection(name, opened(recordOf(nil)))
		n.secrets, n.uuids, n.check = true, true, hideSecret
	}
	// The sample of the SNMP agent refers to these two passwords.
	t.object("passwords", "6a2b9e0c-77a0-4b33-9f1f-0d2cfa6a1f01", `{}`)
	t.object("passwords", "6a2b9e0c-77a0-4b33-9f1f-0d2cfa6a1f02", `{}`)
}

// holdsSecrets reports whether a path is a collection of secrets, which cannot be listed.
func (a *Appliance) holdsSecrets(p string) bool {
	n := a.nodes[p]
	return n != nil && n.secrets
}

func hideSecret(a *Appliance, x *exchange, body any) (shown any, refusal answer, ok bool) {
	if written, _ := body.(object); len(written) == 0 {
		return nil, a.syntacticError(x, memberPath(x.path, nil), "The object is empty"), false
	}
	if a.variant("secret-body") == "written" {
		return body, answer{}, true
	}
	return object{}, answer{}, true
}
