package bench_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-github/v89/github"
	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
	"tailscale.com/client/tailscale/v2"

	"github.com/go-sps/sps"
)

// The responses that the other SDKs read. Each has about 250 bytes.
var (
	locationAnswer = []byte(`{"location":{"id":1,"name":"fsn1","description":"Falkenstein DC Park 1, Germany, with a text that fills the answer up to its size","country":"DE","city":"Falkenstein","latitude":50.47612,"longitude":12.370071,"network_zone":"eu-central","a":"bcdefghijk"}}`)
	labelAnswer    = []byte(`{"id":208045946,"node_id":"MDU6TGFiZWwyMDgwNDU5NDY=","url":"https://api.example.com/repos/octocat/Hello-World/labels/bug","name":"bug","description":"Something is not working, and a text that fills the answer up","color":"f29513","default":true}`)
	contactsAnswer = []byte(`{"account":{"email":"admin@example.com","fallbackEmail":"ops@example.com","needsVerification":false},"support":{"email":"support@example.com","needsVerification":false},"security":{"email":"security-team@example.com","needsVerification":false},"a":"b"}`)
)

// bare reads a URL with net/http and encoding/json, without an SDK, and decodes the response
// into a T.
func bare[T any](ctx context.Context, client *http.Client, address string) (*T, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out T
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return nil, err
	}
	return &out, nil
}

// BenchmarkPeers compares the typed read of each SDK, as its README shows it, with a read
// into the same type without an SDK. Each response has about 250 bytes.
func BenchmarkPeers(b *testing.B) {
	ctx := b.Context()
	given := applianceAnswers(b)
	given["GET /v1/locations/1"] = answer{200, locationAnswer}
	given["GET /repos/octocat/Hello-World/labels/bug"] = answer{200, labelAnswer}
	given["GET /api/v2/tailnet/-/contacts"] = answer{200, contactsAnswer}
	client := &http.Client{Transport: memory{given}}
	inMemory := func(http.RoundTripper) http.RoundTripper { return memory{given} }

	ours := connect(b, "sps1.example.com", sps.WithTransport(inMemory))
	hetzner := hcloud.NewClient(hcloud.WithToken("token"), hcloud.WithEndpoint("https://api.example.com/v1"), hcloud.WithHTTPClient(client))
	hub, err := github.NewClient(github.WithHTTPClient(client), github.WithAuthToken("token"))
	if err != nil {
		b.Fatal(err)
	}
	base, err := url.Parse("https://api.example.com")
	if err != nil {
		b.Fatal(err)
	}
	scale := &tailscale.Client{BaseURL: base, APIKey: "key", Tailnet: "-", HTTP: client}

	for _, peer := range []struct {
		name      string
		sdk, bare func() error
	}{
		{
			"sps",
			func() error {
				slot, err := ours.Firmware.Slots.Get(ctx, "1")
				return must(err, func() bool { return slot.Body.Version == "7.4.0" })
			},
			func() error {
				slot, err := bare[handSlot](ctx, client, "https://sps1.example.com/api/"+slotPath)
				return must(err, func() bool { return slot.Body.Version == "7.4.0" })
			},
		},
		{
			"hcloud-go",
			func() error {
				location, _, err := hetzner.Location.GetByID(ctx, 1)
				return must(err, func() bool { return location.Name == "fsn1" })
			},
			func() error {
				got, err := bare[schema.LocationGetResponse](ctx, client, "https://api.example.com/v1/locations/1")
				return must(err, func() bool { return got.Location.Name == "fsn1" })
			},
		},
		{
			"go-github",
			func() error {
				label, _, err := hub.Issues.GetLabel(ctx, "octocat", "Hello-World", "bug")
				return must(err, func() bool { return label.GetName() == "bug" })
			},
			func() error {
				label, err := bare[github.Label](ctx, client, "https://api.github.com/repos/octocat/Hello-World/labels/bug")
				return must(err, func() bool { return label.GetName() == "bug" })
			},
		},
		{
			"tailscale",
			func() error {
				contacts, err := scale.Contacts().Get(ctx)
				return must(err, func() bool { return contacts.Account.Email == "admin@example.com" })
			},
			func() error {
				contacts, err := bare[tailscale.Contacts](ctx, client, "https://api.example.com/api/v2/tailnet/-/contacts")
				return must(err, func() bool { return contacts.Account.Email == "admin@example.com" })
			},
		},
	} {
		b.Run(peer.name, func(b *testing.B) {
			compare(b, []rival{{"sdk", peer.sdk}, {"bare", peer.bare}})
		})
	}
}

// TestAnswers checks that the responses of BenchmarkPeers have about the same size.
func TestAnswers(t *testing.T) {
	for name, body := range map[string][]byte{"slot": slotAnswer, "location": locationAnswer, "label": labelAnswer, "contacts": contactsAnswer} {
		if len(body) < 245 || len(body) > 255 {
			t.Errorf("%s has %d bytes, want 250", name, len(body))
		}
	}
}
