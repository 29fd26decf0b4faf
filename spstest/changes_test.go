package spstest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangesAfterCommitOfAnother(t *testing.T) {
	t.Parallel()
	a := newInProcess(t)
	c := inProcess(t, a).logIn("admin", "a")
	c.want(200, "PUT", timezone, `"UTC"`)
	a.SetConfiguration("datetime/timezone", json.RawMessage(`"Asia/Tokyo"`))
	changes := c.want(200, "GET", "/api/transaction/changes", "").body["changes"]
	want := fromJSON(t, `[{"type":"replace","path":"`+timezone+`","old_value":"Asia/Tokyo","new_value":"UTC"}]`)
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	a.SetConfiguration("datetime/timezone", json.RawMessage(`"UTC"`))
	if changes := c.want(200, "GET", "/api/transaction/changes", "").body["changes"]; changes != nil {
		t.Errorf("changes %v, although the staged value equals the committed value", changes)
	}
}

func TestReorder(t *testing.T) {
	t.Parallel()
	const nic1 = "/api/configuration/network/nics/nic1"
	const before = `"ff7574025754b3df1647001","ff7574025754b3df1647002"`
	const after = `"ff7574025754b3df1647002","ff7574025754b3df1647001"`
	const second = `"ff7574025754b3df1647002":{"addresses":{"@order":["1"],"1":"192.168.56.10/24"}}}}`
	body := func(interfaces, addresses, first string) string {
		return `{"interfaces":{"@order":[` + interfaces + `],"ff7574025754b3df1647001":{"addresses":{"@order":[` + addresses + `],"1":"` + first + `","2":"10.20.30.42/24"}},` + second
	}
	was := body(before, `"1","2"`, "10.20.30.41/24")
	moved := body(after, `"2","1"`, "10.20.30.41/24")
	changed := body(after, `"1","2"`, "10.20.30.99/24")
	order := func(place string) string {
		return `{"type":"reorder","path":"` + nic1 + place + `","old_order":[` + before + `],"new_order":[` + after + `]}`
	}
	inner := func(place string) string {
		return `{"type":"reorder","path":"` + nic1 + place + `","old_order":["1","2"],"new_order":["2","1"]}`
	}
	replace := func(now string) string {
		return `[{"type":"replace","path":"` + nic1 + `","old_value":` + was + `,"new_value":` + now + `}]`
	}
	for _, test := range []struct{ name, variant, body, want string }{
		{"moved", "change-path=object", moved, `[` + order("") + `,` + inner("") + `]`},
		{"moved, members", "change-path=member", moved, `[` + order("#interfaces") + `,` + inner("#interfaces/ff7574025754b3df1647001/addresses") + `]`},
		{"moved, variant", "reorder=replace", moved, replace(moved)},
		{"moved and changed", "reorder=reorder", changed, replace(changed)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := inProcess(t, newInProcess(t, variants(t, test.variant)...)).logIn("admin", "a")
			c.want(200, "PUT", nic1, test.body)
			if diff := cmp.Diff(fromJSON(t, test.want), c.want(200, "GET", "/api/transaction/changes", "").body["changes"]); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}
