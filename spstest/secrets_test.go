package spstest_test

import "testing"

const passwords = "/api/configuration/passwords"

func TestSecrets(t *testing.T) {
	t.Parallel()
	for variant, want := range map[string]string{"empty": `{}`, "written": `{"plain":"secret"}`} {
		for _, path := range []string{passwords, "/api/configuration/private_keys"} {
			c := inProcess(t, newInProcess(t, variants(t, "secret-body="+variant)...)).logIn("admin", "a")
			key := c.want(201, "POST", path, `{"plain":"secret"}`).body["key"].(string)
			wantJSON(t, want, string(encodeJSON(t, c.want(200, "GET", path+"/"+key, "").body["body"])))
			wantError(t, c.do("PUT", path+"/"+key, `{"plain":"other"}`), 405, "MethodNotAllowed", nil)
			wantError(t, c.do("DELETE", path+"/"+key, ""), 405, "MethodNotAllowed", nil)
			wantError(t, c.do("POST", path, `{}`), 400, "SyntacticError", path)
		}
	}
	for refusal, want := range map[string]struct {
		status int
		kind   string
	}{
		"405:MethodNotAllowed":     {405, "MethodNotAllowed"},
		"403:ForbiddenActionError": {403, "ForbiddenActionError"},
		"403:Unauthorized":         {403, "Unauthorized"},
		"404:ResourceNotFound":     {404, "ResourceNotFound"},
	} {
		c := inProcess(t, newInProcess(t, variants(t, "secret-list="+refusal)...)).logIn("admin", "a")
		if kind, _ := c.want(want.status, "GET", passwords, "").errorOf(); kind != want.kind {
			t.Errorf("%s: %s", refusal, kind)
		}
	}
}

func TestSecretsAreUsedOnce(t *testing.T) {
	t.Parallel()
	const agent = "/api/configuration/local_services/snmp_agent"
	c := inProcess(t, newInProcess(t)).logIn("admin", "a")
	key := c.want(201, "POST", passwords, `{"plain":"secret"}`).body["key"].(string)
	user := func(auth, encryption string) string {
		return `{"version_3":{"enabled":true,"users":[{"auth_password":"` + auth + `","encryption_password":"` + encryption + `"}]}}`
	}
	c.want(200, "PUT", agent, user(key, key))
	r := c.do("PUT", "/api/transaction", `{"status":"commit"}`)
	wantError(t, r, 400, "SemanticError", []any{"Several references use the same secret: " + passwords + "/" + key + ", " + agent + ", " + agent})
	c.want(200, "PUT", agent, user(key, c.want(201, "POST", passwords, `{"plain":"other"}`).body["key"].(string)))
	c.want(200, "PUT", "/api/transaction", `{"status":"commit"}`)
}
