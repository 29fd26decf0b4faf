package transactions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// TestChangeText checks the names and the differences in the text of each kind of change, in
// both forms of the appliance's list of changes.
func TestChangeText(t *testing.T) {
	t.Parallel()
	one, two, three := testkit.Authority(t, "One"), testkit.Authority(t, "Two"), testkit.Authority(t, "Three")
	expires := func(name string) string {
		return "the certificate of CN=" + name + ",C=HU, which expires on " + map[string]string{
			"One": one.NotAfter.UTC().Format("2006-01-02"), "Two": two.NotAfter.UTC().Format("2006-01-02"), "Three": three.NotAfter.UTC().Format("2006-01-02"),
		}[name]
	}
	for _, form := range []string{"object", "member"} {
		a := spstest.NewServer(t, spstest.WithVariant("change-path", form))
		c := testkit.Connect(t, a)
		var key string
		if err := c.Transaction(t.Context(), func(ctx context.Context, tx *sps.Transaction) (err error) {
			store := sps.NewTrustStore("Ours", one, two)
			store.RevocationCheck, store.CRLURLs = sps.RevocationLeaf, []string{"http://crl.example/a", "http://crl.example/b"}
			key, err = tx.TrustStores.Create(ctx, store)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			change func(context.Context, *sps.Transaction) error
			named  string
			want   []string
		}{
			"rotate": {
				func(ctx context.Context, tx *sps.Transaction) error {
					return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error {
						if err := s.RemoveAuthority(sps.CertificateFingerprint(one)); err != nil {
							return err
						}
						s.CRLURLs[1] = "http://crl.example/c"
						return s.AddAuthority(three)
					})
				}, "Ours",
				[]string{
					"authorities/0: " + expires("One") + " removed", "authorities/1: " + expires("Three") + " added",
					`crl_urls/1: "http://crl.example/b" -> "http://crl.example/c"`,
				},
			},
			"another order": {
				func(ctx context.Context, tx *sps.Transaction) error {
					return tx.TrustStores.Update(ctx, key, func(s *sps.TrustStore) error {
						s.CRLURLs[0], s.CRLURLs[1] = s.CRLURLs[1], s.CRLURLs[0]
						return nil
					})
				}, "Ours",
				[]string{"crl_urls: 2 elements -> the same in another order"},
			},
			"delete": {
				func(ctx context.Context, tx *sps.Transaction) error { return tx.TrustStores.Delete(ctx, key) }, "Ours", nil,
			},
			"create": {
				func(ctx context.Context, tx *sps.Transaction) error {
					_, err := tx.TrustStores.Create(ctx, sps.NewTrustStore("New", three))
					return err
				}, "New",
				[]string{
					"authorities/0: " + expires("Three") + " added", `crl_urls: [] added`, `name: "New" added`,
					`revocation_check: "none" added`, `trust_store_type: "custom" added`,
				},
			},
			"a secret": {
				func(ctx context.Context, tx *sps.Transaction) error {
					return tx.Management.SNMP.Trap.Update(ctx, func(s *sps.SNMPTrap) error {
						s.Version.Value.Community = sps.NewSecretString("hush")
						return nil
					})
				}, "",
				[]string{"version/value/community: a secret, changed"},
			},
			"a secret that no type tells": {
				func(ctx context.Context, tx *sps.Transaction) error {
					got, err := tx.Invoke(ctx, "GET", "configuration/management/snmp/trap", nil)
					if err != nil {
						return err
					}
					var trap struct {
						Body map[string]any `json:"body"`
					}
					if err := got.Decode(&trap); err != nil {
						return err
					}
					trap.Body["version"].(map[string]any)["value"].(map[string]any)["community"] = "hush"
					_, err = tx.Invoke(ctx, "PUT", "configuration/management/snmp/trap", trap.Body)
					return err
				}, "",
				[]string{"version/value/community: a secret, changed"},
			},
			"an alert": {
				func(ctx context.Context, tx *sps.Transaction) error {
					return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error {
						s := (*a)[sps.AlertAuthFailure]
						(*a)[sps.AlertAuthFailure] = sps.AlertSetting{Email: !s.Email, SNMP: s.SNMP}
						return nil
					})
				}, "",
				[]string{"scbAuthFailure/email: false -> true"},
			},
		} {
			changes, err := c.Preview(t.Context(), test.change)
			if err != nil {
				t.Errorf("%s, %s: %v", form, name, err)
				continue
			}
			var got []string
			text := ""
			for _, change := range changes {
				for _, d := range change.Differences {
					got = append(got, d.String())
				}
				if change.Name != test.named {
					t.Errorf("%s, %s: name %q", form, name, change.Name)
				}
				text += change.String()
			}
			testkit.Diff(t, form+", "+name, test.want, got, inAnyOrder)
			if strings.Contains(text, "hush") || !strings.Contains(text, test.named) || strings.Contains(text, "\n") {
				t.Errorf("%s, %s: %s", form, name, text)
			}
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("%s, %s: %q lacks %q", form, name, text, want)
				}
			}
		}
	}
}

// inAnyOrder compares lists of strings without regard to their order.
var inAnyOrder = cmp.Transformer("Unordered", func(list []string) map[string]int {
	counted := map[string]int{}
	for _, s := range list {
		counted[s]++
	}
	return counted
})

// TestChangeTextWithoutValues checks that the differences come from the values that the
// transaction has read and written if the appliance's list of changes has no values.
func TestChangeTextWithoutValues(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "GET", Path: "transaction/changes", Status: 200, Body: `{"changes":[{"type":"replace","path":"/api/configuration/management/email"}]}`})
	var committed sps.CommittedChanges
	if err := c.Transaction(t.Context(), testkit.SetAdmin(testkit.AdminAfter), sps.WithChanges(&committed)); err != nil {
		t.Fatal(err)
	}
	testkit.Diff(t, "differences", []sps.Difference{{Path: "admin_address", Old: `"` + testkit.AdminBefore + `"`, New: `"` + testkit.AdminAfter + `"`}}, committed.Changes[0].Differences)
}

// TestChangeOfLongList checks that comparing two long lists takes a time that is linear in
// their length, and that the text of the change is abbreviated.
func TestChangeOfLongList(t *testing.T) {
	t.Parallel()
	n := 30_000
	if testkit.Race {
		n = 3_000
	}
	list := func(from int) string {
		elements := make([]string, n)
		for i := range elements {
			elements[i] = fmt.Sprintf(`{"name":"n%d","value":%d}`, i, i+from)
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	a := spstest.NewServer(t)
	c := testkit.Connect(t, a)
	a.Inject(spstest.Fault{Method: "GET", Path: "transaction/changes", Status: 200, Body: `{"changes":[{"type":"replace","path":"/api/configuration/x","old_value":` + list(0) + `,"new_value":` + list(1) + `}]}`})
	start := time.Now()
	changes, err := c.Preview(t.Context(), testkit.SetAdmin(testkit.AdminAfter))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Minute { // quadratic time would be many minutes
		t.Errorf("the comparison took %s", took)
	}
	if got := len(changes[0].Differences); got != n {
		t.Errorf("%d differences", got)
	}
	if text := changes[0].String(); len(text) > 10_000 || !strings.Contains(text, fmt.Sprintf("and %d more", n-20)) {
		t.Errorf("a text of %d bytes: %.300s", len(text), text)
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	trap := sps.SNMPTrap{Enabled: true, Version: sps.SNMPVersion{Selection: "2c", Value: sps.SNMPTarget{Community: sps.NewSecretString("hush")}}}
	same, other := trap, trap
	same.Version.Value.Community = sps.NewSecretString("hush")
	other.Version.Value.Community = sps.NewSecretString("loud")
	if !sps.Equal(trap, same) || sps.Equal(trap, other) {
		t.Error("secrets are not compared")
	}
	one, two := sps.NewTrustStore("One"), sps.NewTrustStore("One")
	two.Authorities, two.CRLURLs = []sps.TrustStoreAuthority{}, nil
	if !sps.Equal(one, two) || !sps.Equal(&one, &two) {
		t.Error("a nil list differs from an empty list")
	}
	if two.Name = "Two"; sps.Equal(one, two) {
		t.Error("names are not compared")
	}
	if !sps.Equal(json.RawMessage(`{"a":1, "b":2}`), json.RawMessage(`{"b":2,"a":1}`)) {
		t.Error("spelling is compared")
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	type inner struct {
		List []string
		Self *inner
	}
	type all struct {
		Map     map[string]*inner
		Any     any
		Array   [1][]int
		Raw     json.RawMessage
		Secret  sps.Secret
		Nil     []string
		NilMap  map[string]int
		when    time.Time
		Pointer *sps.Secret
	}
	secret := sps.NewSecretString("hush")
	loop := &inner{List: []string{"a"}}
	loop.Self = loop
	original := all{
		Map: map[string]*inner{"x": loop}, Any: []string{"b"}, Array: [1][]int{{1}}, Raw: json.RawMessage(`{}`), Secret: secret, when: time.Unix(1, 0), Pointer: &secret,
	}
	copied := sps.Copy(original)
	if !copied.Secret.Equal(secret) || !copied.Pointer.Equal(secret) || copied.Nil != nil || copied.NilMap != nil || !copied.when.Equal(original.when) {
		t.Errorf("copied %+v", copied)
	}
	if copied.Map["x"].Self != copied.Map["x"] || copied.Map["x"] == loop {
		t.Error("a value that contains itself is not copied")
	}
	copied.Map["x"].List[0], copied.Any.([]string)[0], copied.Array[0][0], copied.Raw[0] = "z", "z", 9, '['
	copied.Map["y"] = nil
	*copied.Pointer = sps.Secret{}
	testkit.Diff(t, "original", []any{"a", "b", 1, "{}", 1, "hush"}, []any{loop.List[0], original.Any.([]string)[0], original.Array[0][0], string(original.Raw), len(original.Map), secret.ExposeString()})
	if got := sps.Copy[any](nil); got != nil {
		t.Errorf("copy of nil: %v", got)
	}
}
