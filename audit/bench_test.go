package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	newjson "github.com/go-json-experiment/json"

	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/internal/wire"
)

// byHand is a plain struct with the members of a session, such as a program without the
// SDK would declare.
type byHand struct {
	Key  string `json:"key"`
	Body struct {
		Active            bool      `json:"active"`
		Origin            string    `json:"origin"`
		Protocol          string    `json:"protocol"`
		Verdict           string    `json:"verdict"`
		NodeID            string    `json:"node_id"`
		CreationTime      time.Time `json:"creation_time"`
		StartTime         time.Time `json:"start_time"`
		EndTime           time.Time `json:"end_time"`
		Duration          int       `json:"duration"`
		TrailDownloadLink string    `json:"trail_download_link"`
		Client            struct {
			IP   string `json:"ip"`
			Name string `json:"name"`
			Port int    `json:"port"`
		} `json:"client"`
		Server struct {
			ID   string `json:"id"`
			IP   string `json:"ip"`
			Name string `json:"name"`
			Port int    `json:"port"`
		} `json:"server"`
		User struct {
			ID                    string   `json:"id"`
			Name                  string   `json:"name"`
			NameDomain            string   `json:"name_domain"`
			GatewayUsername       string   `json:"gateway_username"`
			GatewayUsernameDomain string   `json:"gateway_username_domain"`
			ServerUsername        []string `json:"server_username"`
			ServerUsernameDomain  string   `json:"server_username_domain"`
		} `json:"user"`
		Recording struct {
			Archived             bool   `json:"archived"`
			AuthMethod           string `json:"auth_method"`
			ChannelPolicy        string `json:"channel_policy"`
			CommandExtracted     bool   `json:"command_extracted"`
			ConnectionPolicy     string `json:"connection_policy"`
			ConnectionPolicyID   string `json:"connection_policy_id"`
			ContentReferenceID   int    `json:"content_reference_id"`
			IndexStatus          string `json:"index_status"`
			SessionID            string `json:"session_id"`
			Verdict              string `json:"verdict"`
			DenyReason           string `json:"deny_reason"`
			NetworkID            string `json:"network_id"`
			WindowTitleExtracted bool   `json:"window_title_extracted"`
			ServerLocal          struct {
				IP   string `json:"ip"`
				Name string `json:"name"`
				Port int    `json:"port"`
			} `json:"server_local"`
			Target struct {
				IP   string `json:"ip"`
				Name string `json:"name"`
				Port int    `json:"port"`
			} `json:"target"`
		} `json:"recording"`
		Analytics struct {
			InterestingEvents []string `json:"interesting_events"`
			Score             struct {
				Aggregated int `json:"aggregated"`
			} `json:"score"`
			Scripted        bool     `json:"scripted"`
			SimilarSessions []string `json:"similar_sessions"`
			Tags            []string `json:"tags"`
		} `json:"analytics"`
		Vault json.RawMessage `json:"vault"` // an object or a list
	} `json:"body"`
}

// fixture returns the sample session with values that depend on i. Four of five sessions
// have no access request.
func fixture(i int) string {
	s := strings.NewReplacer(
		"qbDgP4YB6q61cSrUGJic", fmt.Sprintf("qbDgP4YB6q61c%07d", i),
		"CrDjie4Cpb1Bhzxg7AcHpo", fmt.Sprintf("CrDjie4Cpb1Bhz%08d", i),
		`"10.10.0.39"`, fmt.Sprintf(`"10.10.%d.%d"`, i%7, i*31%256),
		`2370`, fmt.Sprint(1024+i*7%50000),
		`4231`, fmt.Sprint(i),
		"yoda", fmt.Sprintf("user%d", i*7%200),
		"10.110.100.26", fmt.Sprintf("10.110.100.%d", i*13%100),
		"23:59:28", fmt.Sprintf("%02d:%02d:%02d", i%24, i%60, i*7%60),
	).Replace(compact(readSample("audit_sessions.one")))
	if i%5 != 0 {
		at := strings.Index(s, `,"vault":`)
		s = s[:at] + s[strings.Index(s, `,"verdict":"AUTH_FAIL"},"key"`):]
	}
	return s
}

// pagesOf500 returns n pages of 500 sessions, all different.
func pagesOf500(n int) [][]byte {
	var pages [][]byte
	for p := range n {
		var all []string
		for i := range 500 {
			all = append(all, fixture(500*p+i))
		}
		pages = append(pages, []byte(`{"items":[`+strings.Join(all, ",")+`],"meta":{"next":null}}`))
	}
	return pages
}

// decodePage decodes a page in the same way as the client: it validates the JSON, splits
// the page, and decodes each session.
func decodePage(data []byte) ([]*audit.Session, error) {
	e, err := wire.ParseEnvelope(data)
	if err != nil {
		return nil, err
	}
	sessions := make([]*audit.Session, len(e.Elements))
	for i, item := range e.Elements {
		sessions[i] = new(audit.Session)
		if err := wire.Decode(item, sessions[i]); err != nil {
			return nil, err
		}
	}
	return sessions, nil
}

// decodeByHand decodes a page into byHand structs.
func decodeByHand(data []byte) ([]byHand, error) {
	var page struct {
		Items []byHand `json:"items"`
	}
	err := newjson.UnmarshalRead(bytes.NewReader(data), &page)
	return page.Items, err
}

// BenchmarkDecode measures the decoding of pages of 500 sessions, into the types of this
// package and into byHand structs.
func BenchmarkDecode(b *testing.B) {
	pages := pagesOf500(20)
	b.Run("audit", func(b *testing.B) { benchmarkPages(b, pages, decodePage) })
	b.Run("by-hand", func(b *testing.B) { benchmarkPages(b, pages, decodeByHand) })
}

func benchmarkPages[T any](b *testing.B, pages [][]byte, decode func([]byte) ([]T, error)) {
	b.SetBytes(int64(len(pages[0])))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if sessions, err := decode(pages[i%len(pages)]); err != nil || len(sessions) != 500 {
			b.Fatalf("%d sessions, %v", len(sessions), err)
		}
	}
}

// BenchmarkEncode measures the encoding of 500 decoded sessions, as values of this
// package and as byHand structs.
func BenchmarkEncode(b *testing.B) {
	data := pagesOf500(1)[0]
	sessions, err := decodePage(data)
	if err != nil {
		b.Fatal(err)
	}
	structs, err := decodeByHand(data)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("audit", func(b *testing.B) { benchmarkEncode(b, sessions) })
	b.Run("by-hand", func(b *testing.B) { benchmarkEncode(b, structs) })
}

func benchmarkEncode[T any](b *testing.B, all []T) {
	b.ReportAllocs()
	for b.Loop() {
		for _, one := range all {
			if err := newjson.MarshalWrite(io.Discard, one); err != nil {
				b.Fatal(err)
			}
		}
	}
}
