package hostile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
)

func TestSecretIsHidden(t *testing.T) {
	t.Parallel()
	const text = "correct horse"
	secret := sps.NewSecretString(text)
	inside := struct {
		Exported   sps.Secret
		unexported sps.Secret
		pointer    *sps.Secret
		list       []sps.Secret
		keyed      map[string]sps.Secret
		any        any
	}{secret, secret, &secret, []sps.Secret{secret}, map[string]sps.Secret{"a": secret}, secret}
	var out bytes.Buffer
	for _, v := range []any{secret, &secret, inside, &inside, []any{secret}, sps.UsernamePassword("u", secret), sps.ExistingSession(sps.NewSecretString("correcthorse"))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%08b", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if data, err := json.Marshal(v); err == nil {
			out.Write(data)
		}
		if data, err := xml.Marshal(v); err == nil {
			out.Write(data)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	for form, leaked := range map[string]string{
		"in clear": text, "hex": fmt.Sprintf("%x", text), "HEX": fmt.Sprintf("%X", text), "bytes": strings.Trim(fmt.Sprint([]byte(text)), "[]"),
		"base64": base64.StdEncoding.EncodeToString([]byte(text)), "session": "correcthorse",
	} {
		if strings.Contains(out.String(), leaked) {
			t.Errorf("the secret is shown %s", form)
		}
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	secret := sps.NewSecret([]byte("a"))
	if got := string(secret.Expose()) + secret.ExposeString(); got != "aa" {
		t.Errorf("exposed %q", got)
	}
	if d := cmp.Diff(sps.NewSecretString("a"), secret); d != "" {
		t.Errorf("equal secrets differ: %s", d)
	}
	if secret.Equal(sps.NewSecretString("b")) || secret.IsZero() || !(sps.Secret{}).IsZero() || !(sps.Secret{}).Equal(sps.NewSecretString("")) {
		t.Error("Equal or IsZero is wrong")
	}
	if reflect.TypeFor[sps.Secret]().Comparable() || unsafe.Sizeof(secret) != unsafe.Sizeof(&secret) {
		t.Error("the type Secret is comparable with ==, or larger than a pointer")
	}
	var decoded sps.Secret
	if err := json.Unmarshal([]byte(`"x\"y"`), &decoded); err != nil || decoded.ExposeString() != `x"y` {
		t.Errorf("decoded %q, %v", decoded.ExposeString(), err)
	}
	if err := json.Unmarshal([]byte(`{"a":"hush"}`), &decoded); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("error %v", err)
	}
}
