package sps

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// handles returns the endpoints of a tree of handles, by the path of their fields.
func handles(v reflect.Value, at string, found map[string]*endpoint) {
	typ := v.Type()
	if name := typ.Name(); strings.HasPrefix(name, "Singleton") || strings.HasPrefix(name, "Collection") {
		found[at] = (*endpoint)(v.FieldByName("endpoint").UnsafePointer())
		return
	}
	for i := range typ.NumField() {
		if field := typ.Field(i); field.IsExported() && v.Field(i).Kind() == reflect.Struct {
			handles(v.Field(i), strings.TrimPrefix(at+"."+field.Name, "."), found)
		}
	}
}

// plainPath is the path that the fields of a handle stand for, without case and marks:
// each segment is one field, configuration has none, and a group with more than
// configuration has that in its field Configuration.
func plainPath(fields string) string {
	path := strings.TrimSuffix(fields, ".Configuration")
	return strings.ToLower(strings.ReplaceAll(path, ".", "/"))
}

// TestTrees compares the fields of Client and Transaction with each other, and with the
// paths of the API.
func TestTrees(t *testing.T) {
	t.Parallel()
	c := must(newClient("sps1.example.com", must(newConfig(nil)), UsernamePassword("admin", NewSecretString("password")).credential()))
	tx := c.newTransaction(t.Context(), &transactionOptions{})
	reads, writes := map[string]*endpoint{}, map[string]*endpoint{}
	handles(reflect.ValueOf(c).Elem(), "", reads)
	handles(reflect.ValueOf(tx).Elem(), "", writes)
	if len(reads) < 6 {
		t.Fatalf("only %d handles", len(reads))
	}
	paths := func(tree map[string]*endpoint, rooted bool) map[string]string {
		found := map[string]string{}
		for fields, e := range tree {
			if !rooted || e.path.Below(transactional...) {
				found[fields] = e.path.Text
			}
		}
		return found
	}
	if diff := cmp.Diff(paths(reads, true), paths(writes, false)); diff != "" {
		t.Errorf("the trees of Client and Transaction differ (-client +transaction):\n%s", diff)
	}
	for fields, e := range reads {
		path := strings.NewReplacer("_", "", "-", "").Replace(strings.TrimPrefix(e.path.Text, "configuration/"))
		if path != plainPath(fields) {
			t.Errorf("%s is client.%s", e.path.Text, fields)
		}
		if e != writes[fields] && writes[fields] != nil {
			t.Errorf("client.%s and tx.%s are described twice", fields, fields)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestHandleSize holds the handles of a transaction to one allocation, which has room for
// 200 of them.
func TestHandleSize(t *testing.T) {
	t.Parallel()
	const room, many = 4096, 200
	handle := unsafe.Sizeof(SingletonTx[TrafficAlerts]{})
	if want := 2 * unsafe.Sizeof(uintptr(0)); handle != want {
		t.Errorf("a handle has %d bytes, not %d", handle, want)
	}
	found := map[string]*endpoint{}
	handles(reflect.ValueOf(Transaction{}), "", found)
	rest := unsafe.Sizeof(Transaction{}) - uintptr(len(found))*handle
	if size := rest + many*handle; size > room {
		t.Errorf("a transaction with %d endpoints would have %d bytes", many, size)
	}
}
