package hostile

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"go/ast"
	"html"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/testkit"
	"github.com/go-sps/sps/spstest"
)

// These secrets must not be shown. Each contains characters that encoders treat differently.
const (
	leakPassword  = `Pä"ss\wörd %41 <&> 日本`
	leakStarling  = `c3Rh"cm\xpbmc=&credential`
	leakCommunity = `cömm"un\ity <&>`
)

// leakFinder finds secrets in a text, in many encodings.
type leakFinder struct {
	mu    sync.Mutex
	forms map[string][2]string // the name and the encoding of a secret, by its encoded text
	start [1 << 16]bool        // the possible first two bytes of an encoded text
	begin map[uint16][]string
}

// add adds a secret to the secrets that find searches for.
func (f *leakFinder) add(name string, secret []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forms == nil {
		f.forms, f.begin = map[string][2]string{}, map[uint16][]string{}
	}
	for form, needle := range leakForms(secret) {
		if len(needle) < 6 {
			continue
		}
		old, known := f.forms[needle]
		if !known {
			begin := uint16(needle[0])<<8 | uint16(needle[1])
			f.start[begin] = true
			f.begin[begin] = append(f.begin[begin], needle)
		}
		if !known || form == "in clear" && old[1] != form {
			f.forms[needle] = [2]string{name, form}
		}
	}
}

// leakForms returns the encoded forms of a secret, by the names of the encodings.
func leakForms(secret []byte) map[string]string {
	text := string(secret)
	quoted, _ := json.Marshal(text)
	twice, _ := json.Marshal(string(quoted[1 : len(quoted)-1]))
	plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&")
	within := func(s string) string { return s[1 : len(s)-1] }
	forms := map[string]string{
		"in clear": text, "in JSON": within(string(quoted)), "in JSON, plain": plain.Replace(within(string(quoted))),
		"in JSON in JSON": within(string(twice)), "in JSON in JSON, plain": within(string(testkit.Must(json.Marshal(plain.Replace(within(string(quoted))))))),
		"in Go": within(strconv.Quote(text)), "in Go, ASCII": within(strconv.QuoteToASCII(text)),
		"in a query": url.QueryEscape(text), "in a path": url.PathEscape(text), "in lower case": strings.ToLower(text),
		"in a query, lower": lowerHex(url.QueryEscape(text)), "in a path, lower": lowerHex(url.PathEscape(text)), "in HTML": html.EscapeString(text),
	}
	// An encoder of bytes may also receive the JSON text of the secret.
	for of, secret := range map[string][]byte{"": secret, " of JSON": []byte(plain.Replace(within(string(quoted))))} {
		list := func(format, between string) string {
			numbers := make([]string, len(secret))
			for i, b := range secret {
				numbers[i] = fmt.Sprintf(format, b)
			}
			return strings.Join(numbers, between)
		}
		forms["in hex"+of], forms["in HEX"+of] = hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret))
		forms["in hex, spaced"+of], forms["in hex, as Go"+of] = list("%02x", " "), list("0x%x", ", ")
		forms["as bytes"+of], forms["as bytes, in a list"+of] = list("%d", " "), list("%d", ",")
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 for URLs": base64.RawURLEncoding} {
			for before := range 3 {
				encoded := encoding.EncodeToString(append(make([]byte, before), secret...))
				forms[fmt.Sprintf("in %s%s, %d bytes in", name, of, before)] = encoded[(before*8+5)/6 : (before+len(secret))*8/6]
			}
		}
	}
	return forms
}

// find returns the secrets that a text contains. Each result is the secret's name and the name
// of its encoding. It ignores the secrets whose names are in ignored.
func (f *leakFinder) find(text string, ignored ...string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []string
	for i := range max(0, len(text)-1) {
		begin := uint16(text[i])<<8 | uint16(text[i+1])
		if !f.start[begin] {
			continue
		}
		for _, needle := range f.begin[begin] {
			what := f.forms[needle]
			if seen := what[0] + " " + what[1]; strings.HasPrefix(text[i:], needle) && !slices.Contains(ignored, what[0]) && !slices.Contains(found, seen) {
				found = append(found, seen)
			}
		}
	}
	return found
}

// leakShow prints a value, the values that it points to and the errors that it wraps, with many
// formats.
func leakShow(v any) string {
	var b strings.Builder
	show(&b, v, 0)
	return b.String()
}

func show(b *strings.Builder, v any, depth int) {
	if v == nil || depth > 12 {
		return
	}
	fmt.Fprintf(b, "%v\n%+v\n%#v\n%s\n%q\n%x\n%d\n", v, v, v, v, v, v, v)
	if data, err := json.Marshal(v); err == nil {
		b.Write(data)
	} else {
		b.WriteString(err.Error())
	}
	slog.New(slog.NewTextHandler(b, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(b, nil)).Info("x", "v", v)
	switch wrapped := v.(type) {
	case interface{ Unwrap() error }:
		show(b, wrapped.Unwrap(), depth+1)
	case interface{ Unwrap() []error }:
		for _, err := range wrapped.Unwrap() {
			show(b, err, depth+1)
		}
	}
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer && !value.IsNil() && value.Elem().CanInterface() {
		show(b, value.Elem().Interface(), depth+1)
		return
	}
	if value.Kind() == reflect.Struct && strings.Contains(value.Type().PkgPath(), "go-sps") {
		for i := range value.NumField() {
			if value.Type().Field(i).IsExported() {
				show(b, value.Field(i).Interface(), depth+1)
			}
		}
	}
}

// leakWorld contains the client, the appliance and the files that an operation may use.
type leakWorld struct {
	t      *testing.T
	c      *sps.Client
	a      *spstest.Appliance
	finder *leakFinder
	log    *bytes.Buffer
	what   string
	file   string
}

// check fails the test if a value shows a secret. It ignores the secrets whose names are in
// ignored.
func (w *leakWorld) check(v any, ignored ...string) {
	if found := w.finder.find(leakShow(v), ignored...); found != nil {
		w.t.Errorf("%s: a %T shows %q: %.300s", w.what, v, found, fmt.Sprint(v))
	}
}

// leakTx returns an operation that runs a step in a transaction and also checks the transaction
// itself.
func leakTx(step func(context.Context, *leakWorld, *sps.Transaction) []any) func(context.Context, *leakWorld) []any {
	return func(ctx context.Context, w *leakWorld) []any {
		var values []any
		err := w.c.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
			values = step(ctx, w, tx)
			synctest.Wait() // so that no other goroutine changes the values while check prints them
			w.check(tx)     // also prints the handles in the fields of tx
			w.check(ctx)
			for _, v := range values {
				if err, ok := v.(error); ok {
					return err
				}
			}
			return nil
		}, sps.WithMessage("CHG-1"))
		return append(values, err)
	}
}

func leakCommunityOf(s *sps.SNMPTrap) error {
	s.Enabled = true
	s.Version.Value.Community = sps.NewSecretString(leakCommunity)
	return nil
}

// leakRaw marks a value that contains the appliance's response, which the client does not
// filter.
type leakRaw struct{ v any }

func pair[T any](v T, err error) []any { return []any{v, err} }

func each[T any](all func(func(T, error) bool)) []any {
	var values []any
	for v, err := range all {
		values = append(values, v, err)
		if len(values) > 60 {
			break
		}
	}
	return values
}

// leakOperations contains every operation of a client, by type and method.
var leakOperations = map[string]func(context.Context, *leakWorld) []any{
	"*sps.Client.Host": func(_ context.Context, w *leakWorld) []any { return []any{w.c.Host()} },
	"*sps.Client.Err":  func(_ context.Context, w *leakWorld) []any { return []any{w.c.Err()} },
	"*sps.Client.WaitReady": func(ctx context.Context, w *leakWorld) []any {
		return []any{w.c.WaitReady(ctx, sps.WithWaitLimit(2*time.Minute), sps.WithProgress(func(p sps.Progress) { w.check(p) }))}
	},
	"*sps.Client.String": func(_ context.Context, w *leakWorld) []any { return []any{w.c.String()} },
	"*sps.Client.Close": func(ctx context.Context, w *leakWorld) []any {
		err := w.c.Close(ctx)
		_, after := w.c.Info(ctx)
		return []any{err, after, w.c}
	},
	"*sps.Client.Transaction": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		return []any{tx.Management.SNMP.Trap.Update(ctx, leakCommunityOf)}
	}),
	"*sps.Client.Preview": func(ctx context.Context, w *leakWorld) []any {
		changes, err := w.c.Preview(ctx, func(ctx context.Context, tx *sps.Transaction) error {
			return tx.Management.SNMP.Trap.Update(ctx, leakCommunityOf)
		})
		for _, change := range changes { // by its documentation, a change has the values in its fields, but not in its text
			if text := fmt.Sprintf("%v %+v %s", change, change, change); len(w.finder.find(text)) > 0 {
				w.t.Errorf("%s: a change shows a secret: %s", w.what, text)
			}
		}
		return []any{leakRaw{changes}, err}
	},
	"*sps.Client.Invoke": func(ctx context.Context, w *leakWorld) []any {
		got, err := w.c.Invoke(ctx, "GET", "configuration/management/snmp/trap", nil)
		_, post := w.c.Invoke(ctx, "POST", "starling/join", map[string]any{"credential_string": sps.NewSecretString(leakCommunity)}, sps.WithQuery("token", "x"))
		return []any{leakRaw{got}, err, post}
	},
	"*sps.Client.Download": func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Download(ctx, "info", io.Discard)) },
	"*sps.Client.Listing":  func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Listing(ctx, "configuration")) },
	"*sps.Client.Walk": func(ctx context.Context, w *leakWorld) []any {
		var values []any
		for node, err := range w.c.Walk(ctx, "configuration/management") {
			values = append(values, leakRaw{node}, err)
		}
		return values
	},
	"*sps.Client.Info":               func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Info(ctx)) },
	"*sps.Client.UserInfo":           func(ctx context.Context, w *leakWorld) []any { return pair(w.c.UserInfo(ctx)) },
	"*sps.Client.HealthStatus":       func(ctx context.Context, w *leakWorld) []any { return pair(w.c.HealthStatus(ctx)) },
	"sps.Cluster.Status":             func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Cluster.Status(ctx)) },
	"*sps.Client.IntegratedProducts": func(ctx context.Context, w *leakWorld) []any { return pair(w.c.IntegratedProducts(ctx)) },
	"*sps.Client.TransactionStatus":  func(ctx context.Context, w *leakWorld) []any { return pair(w.c.TransactionStatus(ctx)) },

	"*sps.AuditSessions.Search": func(ctx context.Context, w *leakWorld) []any {
		search := w.sessions().Search(ctx, audit.Query{PageSize: 2, Fields: []string{"user.name"}})
		_, counted := search.Count()
		_, csv := search.WriteCSV(io.Discard)
		return append(each(search.All()), counted, csv, search)
	},
	"*sps.AuditSessions.Follow": func(ctx context.Context, w *leakWorld) []any {
		follow, err := w.sessions().Follow(ctx, audit.Query{}, sps.WithOnce(), sps.WithErrorFunc(func(err error) { w.check(err) }))
		checkpoint, full := follow.Checkpoint()
		_, torn := w.c.Audit.Sessions.Follow(ctx, audit.Query{}, sps.WithCheckpoint(checkpoint[:9]))
		return append(each(follow.All()), follow, err, string(checkpoint), full, torn)
	},
	"*sps.AuditSessions.Get": func(ctx context.Context, w *leakWorld) []any { return pair(w.sessions().Get(ctx, leakSession)) },
	"*sps.AuditSessions.Count": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.sessions().Count(ctx, audit.Query{}))
	},
	"*sps.AuditSessions.Stats": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.sessions().Stats(ctx, audit.StatsQuery{Field: "protocol"}))
	},
	"*sps.AuditSessions.Histogram": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.sessions().Histogram(ctx, audit.HistogramQuery{Field: "start_time"}))
	},
	"*sps.AuditSessions.Content": func(ctx context.Context, w *leakWorld) []any {
		return each(w.sessions().Content(ctx, leakSession, "ls"))
	},
	"*sps.AuditSessions.Events":    func(ctx context.Context, w *leakWorld) []any { return each(w.sessions().Events(ctx, leakSession)) },
	"*sps.AuditSessions.Alerts":    func(ctx context.Context, w *leakWorld) []any { return each(w.sessions().Alerts(ctx, leakSession)) },
	"*sps.AuditSessions.Channels":  func(ctx context.Context, w *leakWorld) []any { return each(w.sessions().Channels(ctx, leakSession)) },
	"*sps.AuditSessions.Indexing":  func(ctx context.Context, w *leakWorld) []any { return each(w.sessions().Indexing(ctx, leakSession)) },
	"*sps.AuditSessions.Downloads": func(ctx context.Context, w *leakWorld) []any { return each(w.sessions().Downloads(ctx, leakSession)) },
	"*sps.AuditSessions.DownloadTrail": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.sessions().DownloadTrail(ctx, leakSession, io.Discard))
	},
	"*sps.AuditSessions.WebAddress": func(_ context.Context, w *leakWorld) []any {
		return []any{w.sessions().WebAddress(leakSession)}
	},

	"sps.FirmwareSlots.List":   func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Firmware.Slots.List(ctx)) },
	"sps.FirmwareSlots.Get":    func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Firmware.Slots.Get(ctx, "2")) },
	"sps.FirmwareSlots.Delete": func(ctx context.Context, w *leakWorld) []any { return []any{w.c.Firmware.Slots.Delete(ctx, "4")} },
	"sps.Firmware.Test":        func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Firmware.Test(ctx, "2")) },
	"sps.FirmwareFetches.List": func(ctx context.Context, w *leakWorld) []any { w.fetch(ctx); return pair(w.c.Firmware.Fetch.List(ctx)) },
	"sps.FirmwareFetches.Get":  func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Firmware.Fetch.Get(ctx, w.fetch(ctx))) },
	"sps.FirmwareFetches.Start": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Firmware.Fetch.Start(ctx, "https://user:"+url.QueryEscape(leakPassword)+"@images.example/x.iso", strings.Repeat("0", 64)))
	},
	"sps.FirmwareFetches.Cancel": func(ctx context.Context, w *leakWorld) []any {
		return []any{w.c.Firmware.Fetch.Cancel(ctx, w.fetch(ctx))}
	},
	"sps.FirmwareFetches.Delete": func(ctx context.Context, w *leakWorld) []any {
		return []any{w.c.Firmware.Fetch.Delete(ctx, w.fetch(ctx))}
	},
	"sps.FirmwareFetches.Wait": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Firmware.Fetch.Wait(ctx, w.fetch(ctx)))
	},
	"sps.Firmware.Upload": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Firmware.Upload(ctx, spstest.Image("8.1.0", 1000), 1000))
	},
	"sps.Firmware.UploadFile": func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Firmware.UploadFile(ctx, w.file)) },
	"sps.Firmware.StartUpgrade": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Firmware.StartUpgrade(ctx, "2", sps.WithMessage("CHG-1")))
	},
	"sps.Firmware.WaitForVersion": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Firmware.WaitForVersion(ctx, "8.0.0", sps.WithWaitLimit(2*time.Minute), sps.WithProgress(func(p sps.Progress) { w.check(p) })))
	},
	"sps.Firmware.Upgrade": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Firmware.Upgrade(ctx, sps.FromFile(w.file), sps.WithMessage("CHG-1"), sps.WithProgress(func(p sps.Progress) { w.check(p) })))
	},

	"sps.Starling.JoinStatus": func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Starling.JoinStatus(ctx)) },
	"sps.Starling.JoinPage": func(ctx context.Context, w *leakWorld) []any {
		page, err := w.c.Starling.JoinPage(ctx)
		return []any{leakRaw{page}, err}
	},
	"sps.Starling.Join": func(ctx context.Context, w *leakWorld) []any {
		request := sps.StarlingJoinRequest{CredentialString: sps.NewSecretString(leakStarling), TokenEndpoint: "https://sts.example/", ProductInstance: "i"}
		return []any{w.c.Starling.Join(ctx, request), request}
	},
	"sps.Starling.Unjoin":      func(ctx context.Context, w *leakWorld) []any { return []any{w.c.Starling.Unjoin(ctx)} },
	"sps.Starling.ForceUnjoin": func(ctx context.Context, w *leakWorld) []any { return []any{w.c.Starling.ForceUnjoin(ctx)} },
	"sps.Starling.CheckUnjoin": func(ctx context.Context, w *leakWorld) []any { return pair(w.c.Starling.CheckUnjoin(ctx)) },

	"sps.SupportBundles.List": func(ctx context.Context, w *leakWorld) []any {
		w.bundle(ctx)
		return pair(w.c.Troubleshooting.SupportBundle.List(ctx))
	},
	"sps.SupportBundles.Get": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Troubleshooting.SupportBundle.Get(ctx, w.bundle(ctx)))
	},
	"sps.SupportBundles.Start": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Troubleshooting.SupportBundle.Start(ctx))
	},
	"sps.SupportBundles.Wait": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.Troubleshooting.SupportBundle.Wait(ctx, w.bundle(ctx)))
	},
	"sps.SupportBundles.Download": func(ctx context.Context, w *leakWorld) []any {
		key := w.bundle(ctx)
		w.c.Troubleshooting.SupportBundle.Wait(ctx, key)
		return pair(w.c.Troubleshooting.SupportBundle.Download(ctx, key, io.Discard))
	},
	"sps.SupportBundles.Delete": func(ctx context.Context, w *leakWorld) []any {
		return []any{w.c.Troubleshooting.SupportBundle.Delete(ctx, w.bundle(ctx))}
	},

	"sps.Singleton.Get": func(ctx context.Context, w *leakWorld) []any {
		raw, err := sps.NewSingleton[json.RawMessage](w.c, "configuration/management/snmp/trap").Get(ctx)
		return slices.Concat([]any{leakRaw{raw}, err}, pair(w.c.Management.SNMP.Trap.Get(ctx)), pair(w.c.Management.Email.Get(ctx)), pair(w.c.Alerting.TrafficAlerts.Get(ctx)), pair(w.c.Alerting.SystemAlerts.Get(ctx)), pair(w.c.Starling.Configuration.Get(ctx)))
	},
	"sps.Singleton.In": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		handle := w.c.Management.SNMP.Trap.In(tx)
		return []any{handle, handle.Update(ctx, leakCommunityOf), handle}
	}),
	"sps.Collection.All":  func(ctx context.Context, w *leakWorld) []any { return each(w.c.TrustStores.All(ctx)) },
	"sps.Collection.List": func(ctx context.Context, w *leakWorld) []any { return pair(w.c.TrustStores.List(ctx)) },
	"sps.Collection.Get": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.TrustStores.Get(ctx, sps.BuiltInTrustStoreKey))
	},
	"sps.Collection.GetByName": func(ctx context.Context, w *leakWorld) []any {
		return pair(w.c.TrustStores.GetByName(ctx, "LDAP_CAs"))
	},
	"sps.Collection.In": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		handle := w.c.TrustStores.In(tx)
		return append(pair(handle.List(ctx)), handle)
	}),

	"*sps.Transaction.Invoke": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		got, err := tx.Invoke(ctx, "GET", "configuration/management/snmp/trap", nil)
		if err != nil {
			return []any{err}
		}
		var whole struct {
			Body map[string]any `json:"body"`
		}
		if err := got.Decode(&whole); err != nil || whole.Body == nil {
			return []any{err}
		}
		whole.Body["version"] = map[string]any{"selection": "2c", "value": map[string]any{"community": sps.NewSecretString(leakCommunity), "server": map[string]any{"selection": "ip", "value": "10.0.0.1"}}}
		put, err := tx.Invoke(ctx, "PUT", "configuration/management/snmp/trap", whole.Body)
		return []any{leakRaw{got}, leakRaw{put}, err}
	}),
	"*sps.Transaction.Changes": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		if err := tx.Management.SNMP.Trap.Update(ctx, leakCommunityOf); err != nil {
			return []any{err}
		}
		changes, err := tx.Changes(ctx)
		return []any{leakRaw{changes}, err}
	}),
	"sps.SingletonTx.Get": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		return slices.Concat([]any{tx.Management.SNMP.Trap.Update(ctx, leakCommunityOf)}, pair(tx.Management.SNMP.Trap.Get(ctx)))
	}),
	"sps.SingletonTx.Update": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		return []any{tx.Management.SNMP.Trap.Update(ctx, leakCommunityOf)}
	}),
	"sps.SingletonTx.Replace": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		trap := sps.SNMPTrap{Version: sps.SNMPVersion{Selection: "2c", Value: sps.SNMPTarget{Server: sps.Selection{Selection: "ip", Value: "10.0.0.1"}}}}
		leakCommunityOf(&trap)
		return []any{tx.Management.SNMP.Trap.Replace(ctx, trap), trap}
	}),
	"sps.CollectionTx.All": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		return each(tx.TrustStores.All(ctx))
	}),
	"sps.CollectionTx.List": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		return pair(tx.TrustStores.List(ctx))
	}),
	"sps.CollectionTx.Get": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		return pair(tx.TrustStores.Get(ctx, sps.BuiltInTrustStoreKey))
	}),
	"sps.CollectionTx.GetByName": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		return pair(tx.TrustStores.GetByName(ctx, "LDAP_CAs"))
	}),
	"sps.CollectionTx.Create": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		_, secret := w.list(tx).Create(ctx, leakBody("new"))
		return append(pair(tx.TrustStores.Create(ctx, sps.NewTrustStore("new"))), secret)
	}),
	"sps.CollectionTx.Update": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		secret := w.list(tx).Update(ctx, leakStore(ctx, tx), func(body *map[string]any) error { *body = leakBody("other"); return nil })
		return []any{tx.TrustStores.Update(ctx, leakStore(ctx, tx), func(s *sps.TrustStore) error { s.Name = "other"; return nil }), secret}
	}),
	"sps.CollectionTx.Replace": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		secret := w.list(tx).Replace(ctx, leakStore(ctx, tx), leakBody("other"))
		return []any{tx.TrustStores.Replace(ctx, leakStore(ctx, tx), sps.NewTrustStore("other")), secret}
	}),
	"sps.CollectionTx.Delete": leakTx(func(ctx context.Context, w *leakWorld, tx *sps.Transaction) []any {
		return []any{tx.TrustStores.Delete(ctx, leakStore(ctx, tx))}
	}),

	// The following functions are called without a client.
	"sps.Connect": func(ctx context.Context, w *leakWorld) []any {
		credential := sps.UsernamePassword("admin", sps.NewSecretString(leakPassword+"!"), sps.WithLoginMethod("local"))
		c, err := sps.Connect(ctx, w.a.Addr(), credential, w.options()...)
		if err == nil {
			err = c.Close(ctx)
		}
		return []any{credential, err}
	},
	"sps.ConnectFromEnv": func(ctx context.Context, w *leakWorld) []any { // TestLeaks sets SPS_PASSWORD
		c, err := sps.ConnectFromEnv(ctx, w.options()...)
		if err == nil {
			synctest.Wait()
			w.check(c)
			err = c.Close(ctx)
		}
		return []any{err}
	},
	"sps.LoginMethods": func(ctx context.Context, w *leakWorld) []any {
		return pair(sps.LoginMethods(ctx, w.a.Addr(), w.options()...))
	},
	"sps.SetupStatus": func(ctx context.Context, w *leakWorld) []any {
		return pair(sps.SetupStatus(ctx, w.a.Addr(), w.options()...))
	},
}

// list returns a handle whose bodies are maps, so that a body can hold a Secret in any member.
func (w *leakWorld) list(tx *sps.Transaction) sps.CollectionTx[map[string]any] {
	return sps.NewCollection[map[string]any](w.c, "configuration/trust_stores").In(tx)
}

func leakBody(name string) map[string]any {
	return map[string]any{"name": name, "authorities": []any{}, "revocation_check": "none", "trust_store_type": "custom", "comment": []any{sps.NewSecretString(leakCommunity)}}
}

func leakStore(ctx context.Context, tx *sps.Transaction) string {
	store, err := tx.TrustStores.GetByName(ctx, "My_Custom_Trust_Store")
	if err != nil {
		return "1"
	}
	return store.Key
}

// leakSession is the key of a recorded session.
const leakSession = "svc-leak"

// sessions creates three recorded sessions and returns the handle for them.
func (w *leakWorld) sessions() *sps.AuditSessions {
	for _, key := range []string{"1", "2", leakSession} {
		start := time.Now().Add(-time.Hour)
		w.a.AddAuditSession(spstest.AuditSession{Key: key, Start: start, End: start.Add(time.Minute), TrailSize: 1000})
	}
	return w.c.Audit.Sessions
}

func (w *leakWorld) fetch(ctx context.Context) string {
	key, err := w.c.Firmware.Fetch.Start(ctx, "https://images.example/x.iso", strings.Repeat("0", 64))
	w.check(err)
	if err != nil {
		return "1"
	}
	return key
}

func (w *leakWorld) bundle(ctx context.Context) string {
	key, err := w.c.Troubleshooting.SupportBundle.Start(ctx)
	w.check(err)
	if err != nil {
		return "1"
	}
	return key
}

// options returns options that log everything, and that record the session IDs in responses as
// secrets.
func (w *leakWorld) options() []sps.Option {
	return []sps.Option{
		sps.WithLogger(slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug - 100, AddSource: true}))),
		sps.WithTransport(func(http.RoundTripper) http.RoundTripper {
			return testkit.RoundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := leakMode(r.Context()).answer(w.a, r)
				if err == nil {
					for _, line := range resp.Header["Set-Cookie"] {
						if cookie, err := http.ParseSetCookie(line); err == nil && len(cookie.Value) >= 8 {
							w.finder.add("session", []byte(cookie.Value))
						}
					}
				}
				return resp, err
			})
		}),
	}
}

// leakEcho returns a response that repeats the request. text contains the whole request, and
// quoted is text as a JSON string.
type leakEcho func(r *http.Request, text, quoted string) (*http.Response, error)

type leakModeKey struct{}

// leakAppliance is a mode of the appliance: it describes how the appliance responds.
type leakAppliance struct {
	fault  *spstest.Fault
	echo   leakEcho
	login  bool // the responses to logins repeat the request, too
	writes bool // only the responses to writes repeat the request, and only its body
	raw    bool // successful responses repeat the request in their data
}

func leakMode(ctx context.Context) *leakAppliance {
	if m, ok := ctx.Value(leakModeKey{}).(*leakAppliance); ok {
		return m
	}
	return &leakAppliance{}
}

func (m *leakAppliance) answer(a *spstest.Appliance, r *http.Request) (*http.Response, error) {
	opens := r.URL.Path == "/api/transaction" && r.Method != "PUT"
	if m.echo == nil || !m.login && (r.URL.Path == "/api/authentication" || opens) || m.writes && (r.Method == "GET" || r.Body == nil) {
		return a.RoundTrip(r)
	}
	var text strings.Builder
	if m.writes {
		body, _ := io.ReadAll(r.Body)
		return m.echo(r, string(body), string(testkit.Must(json.Marshal(string(body)))))
	}
	fmt.Fprintf(&text, "%s %s\n", r.Method, r.URL)
	r.Header.Write(&text)
	for name, values := range r.Header {
		fmt.Fprintf(&text, "%s=%s;", name, values)
	}
	if basic, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Basic "); ok {
		decoded, _ := base64.StdEncoding.DecodeString(basic)
		text.Write(decoded)
	}
	if r.Body != nil {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		text.Write(body)
	}
	return m.echo(r, text.String(), string(testkit.Must(json.Marshal(text.String()))))
}

// leakModes returns the modes of the appliance in TestLeaks, by their names.
func leakModes() map[string]*leakAppliance {
	jsonHeader := http.Header{"Content-Type": {"application/json"}}
	says := func(status int, format string) leakEcho {
		return func(r *http.Request, _, quoted string) (*http.Response, error) {
			return testkit.Answer(r, status, jsonHeader.Clone(), strings.ReplaceAll(format, "ECHO", quoted)), nil
		}
	}
	spelled := func(spell func(string) string) leakEcho {
		return func(r *http.Request, text, _ string) (*http.Response, error) {
			quoted := string(testkit.Must(json.Marshal(spell(text))))
			body := strings.ReplaceAll(`{"error":{"type":"SemanticError","message":ECHO,"details":{"errors":[{"message":ECHO,"paths":[ECHO]}]}}}`, "ECHO", quoted)
			return testkit.Answer(r, 400, jsonHeader.Clone(), body), nil
		}
	}
	id := func(r *http.Request) string { return strings.TrimPrefix(r.Header.Get("Cookie"), "session_id=") }
	modes := map[string]*leakAppliance{
		"no fault":                           {},
		"connection breaks before execution": {fault: &spstest.Fault{CutBefore: true}},
		"connection breaks after execution":  {fault: &spstest.Fault{CutAfter: true}},
		"connection refused":                 {fault: &spstest.Fault{Refuse: true}},
		"response truncated":                 {fault: &spstest.Fault{Truncate: 7}},
		"503":                                {fault: &spstest.Fault{Status: 503}},
		"500":                                {fault: &spstest.Fault{Status: 500, Body: `{"error":{"type":"X","message":"y"}}`}},
		"not JSON":                           {fault: &spstest.Fault{Status: 200, Body: "<html>", ContentType: "text/html"}},
		"session expired":                    {fault: &spstest.Fault{ExpireSession: true}},
		"message":                            {echo: says(400, `{"error":{"type":"SomeError","message":ECHO}}`)},
		"error is a string":                  {echo: says(400, `{"error":ECHO}`)},
		"error with status 200":              {echo: says(200, `{"error":{"type":"SomeError","message":ECHO,"details":ECHO}}`)},
		"error with status 500":              {echo: says(500, `{"error":{"type":"SomeError","message":ECHO,"details":{"request":ECHO}}}`)},
		"type":                               {echo: says(400, `{"error":{"type":ECHO,"message":"x"}}`)},
		"details":                            {echo: says(400, `{"error":{"type":"SomeError","details":{"a":[ECHO,{"b":ECHO}]}}}`)},
		"login, 401":                         {echo: says(401, `{"error":{"type":"AuthenticationFailure","message":ECHO,"details":ECHO}}`), login: true},
		"login, 503":                         {echo: says(503, `{"error":{"type":"Busy","message":ECHO,"details":ECHO}}`), login: true},
		"JSON in JSON": {echo: func(r *http.Request, _, quoted string) (*http.Response, error) {
			twice := testkit.Must(json.Marshal(`{"request":` + quoted + `}`))
			return testkit.Answer(r, 400, jsonHeader.Clone(), `{"error":{"type":"SomeError","message":`+string(twice)+`,"details":`+string(twice)+`}}`), nil
		}},
		"query encoding":               {echo: spelled(url.QueryEscape)},
		"query encoding in lower case": {echo: spelled(func(text string) string { return lowerHex(url.QueryEscape(text)) })},
		"path encoding":                {echo: spelled(url.PathEscape)},
		"path encoding in lower case":  {echo: spelled(func(text string) string { return lowerHex(url.PathEscape(text)) })},
		"query encoding of JSON":       {echo: spelled(func(text string) string { return url.QueryEscape(string(testkit.Must(json.Marshal(text)))) })},
		"HTML":                         {echo: spelled(html.EscapeString)},
		"Go source":                    {echo: spelled(strconv.QuoteToASCII)},
		"renewed session": {echo: func(r *http.Request, _, quoted string) (*http.Response, error) {
			header := jsonHeader.Clone()
			header.Set("Set-Cookie", "session_id=renewed-"+id(r)[:min(8, len(id(r)))])
			return testkit.Answer(r, 400, header, `{"error":{"type":"SomeError","message":`+quoted+`,"details":`+quoted+`}}`), nil
		}},
		"redirect": {echo: func(r *http.Request, _, _ string) (*http.Response, error) {
			return testkit.Answer(r, 302, http.Header{"Location": {"https://" + id(r) + ".evil.example/"}}, "moved"), nil
		}},
		"content type": {echo: func(r *http.Request, _, _ string) (*http.Response, error) {
			return testkit.Answer(r, 200, http.Header{"Content-Type": {"text/" + id(r)}}, "page"), nil
		}},
		"content type of an error": {echo: func(r *http.Request, _, _ string) (*http.Response, error) {
			return testkit.Answer(r, 500, http.Header{"Content-Type": {"text/" + id(r)}}, "page"), nil
		}},
		"broken JSON":            {echo: says(200, `{ECHO: bad`)},
		"duplicate member":       {echo: says(200, `{ECHO:1,ECHO:2}`)},
		"another key":            {echo: says(200, `{"key":ECHO,"body":{"name":"x"},"items":[{"key":ECHO}],"meta":{"slot":ECHO}}`), raw: true},
		"body of the wrong type": {echo: says(200, `{"key":"2","body":ECHO,"items":ECHO}`), raw: true},
		"malformed header": {echo: func(_ *http.Request, text, _ string) (*http.Response, error) {
			return nil, fmt.Errorf("net/http: HTTP/1.x transport connection broken: malformed MIME header line: %q", text)
		}, login: true},
		"malformed trailer": {echo: func(r *http.Request, text, _ string) (*http.Response, error) {
			resp := testkit.Answer(r, 200, http.Header{}, "")
			resp.Body, resp.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"a":`), leakReader{text})), -1
			return resp, nil
		}},
	}
	// These are the error types that have details. The responses use them in turn.
	details := []string{
		`"IncompleteRequestBodyError","details":{"missing_paths":[ECHO,ECHO]}`, `"ResourceNotFound","details":{"mount_point":ECHO,"resource":ECHO}`, `"Unauthorized","details":{"path":ECHO}`,
		`"Unauthenticated","details":ECHO`, `"SyntacticError","details":[ECHO]`, `"SemanticError","details":{"errors":[{"message":ECHO,"paths":[ECHO]}]}`, `"FirmwareTestFailed","details":{"exit_code":1,"test_summary":ECHO}`,
	}
	turn := 0
	modes["typed details"] = &leakAppliance{echo: func(r *http.Request, text, quoted string) (*http.Response, error) {
		turn++
		return says(400, `{"error":{"type":`+details[turn%len(details)]+`}}`)(r, text, quoted)
	}}
	for _, name := range []string{"message", "error with status 200", "type", "details", "JSON in JSON", "query encoding", "path encoding in lower case", "duplicate member", "malformed header"} {
		mode := *modes[name] // the reads before the write of an update must succeed
		mode.login, mode.writes = false, true
		modes[name+", writes only"] = &mode
	}
	return modes
}

// lowerHex changes the digits of percent-encodings to lower case.
func lowerHex(text string) string {
	return regexp.MustCompile("%[0-9A-F]{2}").ReplaceAllStringFunc(text, strings.ToLower)
}

// leakReader fails with the error that net/http returns for a malformed trailer.
type leakReader struct{ text string }

func (r leakReader) Read([]byte) (int, error) {
	return 0, fmt.Errorf("malformed MIME header: %q", r.text)
}

// TestLeaks runs every operation with every mode of the appliance. It checks that results,
// errors and the log show neither the credentials of the client nor the secrets that the caller
// passes to be stored on the appliance.
func TestLeaks(t *testing.T) {
	for name, value := range map[string]string{"SPS_HOST": "appliance.test", "SPS_USERNAME": "admin", "SPS_PASSWORD": leakPassword, "SPS_CA_BUNDLE": "", "SPS_FINGERPRINT": "", "SPS_LOGIN_METHOD": ""} {
		t.Setenv(name, value)
	}
	file := filepath.Join(t.TempDir(), "image.iso")
	image := testkit.Must(io.ReadAll(io.NewSectionReader(spstest.Image("8.1.0", 1000), 0, 1000)))
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, mode := range leakModes() {
		if testkit.Race && !slices.Contains([]string{"no fault", "connection breaks after execution", "message", "renewed session"}, name) {
			continue // these four modes suffice to find data races, and the race detector is slow
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, operation := range slices.Sorted(maps.Keys(leakOperations)) {
				synctest.Test(t, func(t *testing.T) {
					leakRun(t, operation, name, mode, file)
				})
			}
		})
	}
}

func leakRun(t *testing.T, operation, name string, mode *leakAppliance, file string) {
	a := spstest.NewServer(t, spstest.WithoutListener(), spstest.WithCredentials("admin", leakPassword), spstest.WithCluster())
	defer a.Close()
	w := &leakWorld{t: t, a: a, finder: &leakFinder{}, log: &bytes.Buffer{}, what: operation + ", " + name, file: file}
	w.finder.add("password", []byte(leakPassword))
	w.finder.add("basic", []byte(base64.StdEncoding.EncodeToString([]byte("admin:"+leakPassword))))
	w.finder.add("credential", []byte(leakStarling))
	w.finder.add("community", []byte(leakCommunity))
	credential := sps.UsernamePassword("admin", sps.NewSecretString(leakPassword))
	options := w.options()
	var err error
	if w.c, err = sps.Connect(t.Context(), a.Addr(), credential, options...); err != nil {
		t.Fatal(err)
	}
	defer time.Sleep(10 * time.Minute) // simulated time, in which the goroutines of a failed Connect end
	defer w.c.Close(context.Background())
	if mode.fault != nil {
		fault := *mode.fault
		fault.Times, fault.MayMiss = -1, true // an operation may send fewer requests
		fault.Skip = len(operation) % 3       // the fault applies to the first, second or third request
		a.Inject(fault)
	}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), leakModeKey{}, mode), 10*time.Minute)
	defer cancel()
	values := leakOperations[operation](ctx, w)
	synctest.Wait() // so that no other goroutine changes the values while check prints them
	for _, v := range values {
		_, failed := v.(error)
		if raw, ok := v.(leakRaw); ok {
			if mode.echo == nil {
				w.check(raw.v, "community")
			}
			continue
		}
		if mode.raw && !failed { // the value holds data that the appliance copied from the request
			continue
		}
		w.check(v)
	}
	if _, failed, _ := strings.Cut(operation, "sps.Client."); failed != "" { // other operations do not change these values
		w.check(w.c) // also prints the handles in the fields of the client
		w.check(credential)
		w.check(options)
	}
	if found := w.finder.find(w.log.String()); found != nil {
		t.Errorf("%s: the log shows %q: %.2000s", w.what, found, w.log)
	}
	if operation == "*sps.Client.Info" && !strings.Contains(w.log.String(), `"path":"info"`) {
		t.Errorf("%s: the log is empty: %s", w.what, w.log)
	}
}

// TestLeaksCoverEverything checks that leakOperations contains every operation of the package.
func TestLeaksCoverEverything(t *testing.T) {
	t.Parallel()
	wanted := map[string]bool{}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		name, _, _ := strings.Cut(typ.String(), "[")
		if seen[typ] || !strings.HasPrefix(strings.TrimPrefix(name, "*"), "sps.") {
			return
		}
		seen[typ] = true
		for i := range typ.NumMethod() {
			method := typ.Method(i)
			wanted[name+"."+method.Name] = true
			if method.Name == "In" {
				walk(method.Type.Out(0))
			}
		}
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		for i := range typ.NumField() {
			if field := typ.Field(i); field.IsExported() {
				walk(field.Type)
			}
		}
	}
	walk(reflect.TypeFor[*sps.Client]())
	walk(reflect.TypeFor[*sps.Transaction]())
	for _, file := range testkit.SourceFiles(t, "") {
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || len(f.Type.Params.List) == 0 {
				continue
			}
			if s, ok := f.Type.Params.List[0].Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Context" {
				wanted["sps."+f.Name.Name] = true
			}
		}
	}
	if len(wanted) < 50 {
		t.Errorf("only %d operations were found", len(wanted))
	}
	for name := range wanted {
		if leakOperations[name] == nil {
			t.Errorf("%s is not run: add it to leakOperations", name)
		}
	}
	for name := range leakOperations {
		if !wanted[name] {
			t.Errorf("%s is in leakOperations but does not exist", name)
		}
	}
}

// TestLeaksOfCertificate checks that the private key of a client that logs in with a
// certificate is not shown.
func TestLeaksOfCertificate(t *testing.T) {
	t.Parallel()
	ca, certificate := testkit.ClientCertificate(t, "admin")
	a := spstest.NewServer(t, spstest.WithClientCA(ca))
	key := certificate.PrivateKey.(*ecdsa.PrivateKey)
	der := testkit.Must(x509.MarshalPKCS8PrivateKey(key))
	var log bytes.Buffer
	w := &leakWorld{t: t, a: a, finder: &leakFinder{}, what: "certificate"}
	scalar := testkit.Must(key.Bytes())
	w.finder.add("key", scalar)
	w.finder.add("number", []byte(new(big.Int).SetBytes(scalar).String()))
	w.finder.add("PKCS #8", der)
	for line := range strings.Lines(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))) {
		if !strings.HasPrefix(line, "---") {
			w.finder.add("PEM", []byte(strings.TrimSpace(line)))
		}
	}
	credential := sps.ClientCertificate(certificate)
	options := []sps.Option{sps.WithCABundle(a.CA()), testkit.Quick, sps.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 100})))}
	c, err := sps.Connect(t.Context(), a.Addr(), credential, options...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	_, refused := sps.Connect(t.Context(), a.Addr(), sps.ClientCertificate(tls.Certificate{PrivateKey: key}), options...)
	_, untrusted := sps.Connect(t.Context(), a.Addr(), credential, testkit.Quick)
	_, bundle := sps.Connect(t.Context(), a.Addr(), credential, sps.WithCABundle(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	_, parsed := sps.ParseCertificates(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	store := sps.TrustStore{Name: "x", RevocationCheck: "none", Type: "custom", Authorities: []sps.TrustStoreAuthority{{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))}}}
	a.Inject(spstest.Fault{Path: "info", Status: 500})
	_, failed := c.Info(t.Context())
	for _, err := range []error{refused, untrusted, bundle, parsed, store.Validate(), failed} {
		if err == nil {
			t.Error("no error")
		}
		w.check(err)
	}
	w.check(c)
	w.check(credential)
	w.check(options)
	if found := w.finder.find(log.String()); found != nil || log.Len() == 0 {
		t.Errorf("the log shows %q", found)
	}
}

// TestLeaksAreFound checks that leakFinder finds each secret, in each encoding and in each
// place.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	finder := &leakFinder{}
	secrets := map[string][]byte{"password": []byte(leakPassword), "credential": []byte(leakStarling), "community": []byte(leakCommunity), "session": []byte("0123456789abcdef-XYZ"), "key": {0, 1, 2, 0xff, 0xfe, 'k', 'e', 'y', 200, 201}}
	for name, secret := range secrets {
		finder.add(name, secret)
	}
	if found := finder.find(leakShow(errors.New("nothing of the kind")) + leakShow(sps.UsernamePassword("admin", sps.NewSecretString(leakPassword)))); found != nil {
		t.Errorf("found %q in a text without secrets", found)
	}
	type plain struct {
		Text  string
		Bytes []byte
		raw   json.RawMessage
	}
	for name, secret := range secrets {
		for place, text := range map[string]string{
			"an error":                 leakShow(fmt.Errorf("outer: %w", errors.New("it was "+string(secret)))),
			"a detail":                 leakShow(&sps.Error{Details: testkit.Must(json.Marshal(string(secret)))}),
			"a detail within a detail": leakShow(&sps.Error{Details: testkit.Must(json.Marshal(string(testkit.Must(json.Marshal(string(secret))))))}),
			"a field":                  leakShow(plain{Text: string(secret)}),
			"a list of bytes":          leakShow(plain{Bytes: secret}),
			"a hidden field":           leakShow(&plain{raw: secret}),
			"a hidden body":            leakShow(&plain{raw: testkit.Must(json.Marshal(map[string]string{"a": string(secret)}))}),
			"a map":                    leakShow(map[string][]byte{"a": secret}),
			"a wrapped error":          leakShow(&sps.TransportError{Err: &sps.FirmwareUpgradeError{Err: errors.New(string(secret))}}),
			"several errors":           leakShow(errors.Join(errors.New("a"), errors.New(string(secret)))),
			"bytes":                    fmt.Sprint(secret),
			"bytes in Go":              fmt.Sprintf("%#v", secret),
			"hex":                      fmt.Sprintf("%x", secret),
			"HEX":                      fmt.Sprintf("%X", secret),
			"hex, spaced":              fmt.Sprintf("% x", secret),
			"a query":                  url.Values{"a": {string(secret)}}.Encode(),
			"a path":                   (&url.URL{Path: string(secret)}).EscapedPath() + url.PathEscape(string(secret)),
			"base64":                   base64.StdEncoding.EncodeToString(append([]byte("admin:"), secret...)),
			"base64, 1 byte in":        base64.StdEncoding.EncodeToString(append([]byte("x"), secret...)),
			"base64, 2 bytes in":       base64.StdEncoding.EncodeToString(append([]byte("xy"), secret...)),
			"base64 for URLs":          base64.URLEncoding.EncodeToString(append([]byte("x"), append(secret, "more"...)...)),
			"base64 for URLs, 2 in":    base64.RawURLEncoding.EncodeToString(append([]byte("xyzab"), append(secret, "more"...)...)),
			"a log": func() string {
				var b bytes.Buffer
				slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", string(secret))
				return b.String()
			}(),
		} {
			if name == "key" && slices.Contains([]string{"an error", "a detail", "a detail within a detail", "a hidden body", "a field", "what an error wraps", "several errors", "a log"}, place) {
				continue // the key is binary, and these places hold text
			}
			if found := finder.find(text); !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, name) }) {
				t.Errorf("the %s in %s is not found: %.300q", name, place, text)
			}
			if found := finder.find(text, name); slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, name) }) {
				t.Errorf("the %s in %s is found although it is excluded", name, place)
			}
		}
	}

	// check must fail the test for a value that shows a secret.
	w := &leakWorld{t: &testing.T{}, finder: finder, what: "planted"}
	w.check(&sps.Error{Message: leakPassword})
	if !w.t.Failed() {
		t.Error("check does not fail")
	}
}
