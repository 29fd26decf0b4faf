// Package guides is the frame in which TestGuideBlocks runs the Go blocks of the guides.
package guides

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"testing/synctest"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// scene holds the values that statements can use without declaring them.
type scene struct {
	ctx       context.Context
	appliance *spstest.Appliance                            // it is joined to Starling and has the trust store "Partners"
	client    *sps.Client                                   // logged in as the administrator
	pem       []byte                                        // the certificate of a certificate authority
	key       string                                        // the key of a recorded session
	file      *os.File                                      // a new file, open for writing
	fn        func(context.Context, *sps.Transaction) error // a function that enables e-mail for all traffic alerts
}

// run runs statements in a bubble of testing/synctest, against an appliance without sockets.
// The working directory contains the files that the guides name.
func run(t *testing.T, block func(scene) error) {
	t.Chdir(t.TempDir())
	issuer := spstest.NewServer(t) // for its authority
	authority := issuer.CA()
	issuer.Close()
	for name, content := range map[string][]byte{"ca.pem": authority, "new-ca.pem": authority, "sps-8.0.0.iso": []byte("SPS-FIRMWARE 8.0.0\n")} {
		if err := os.WriteFile(name, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create("download")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	synctest.Test(t, func(t *testing.T) {
		appliance := spstest.NewServer(t, spstest.WithoutListener(), spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: true}))
		defer appliance.Close()
		appliance.SetConfiguration("trust_stores/1001", json.RawMessage(
			`{"authorities":[],"crl_urls":[],"name":"Partners","revocation_check":"none","trust_store_type":"custom"}`))
		client, err := sps.Connect(t.Context(), appliance.Addr(),
			sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
			sps.WithTransport(func(http.RoundTripper) http.RoundTripper { return appliance }))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(context.Background())
		change := func(ctx context.Context, tx *sps.Transaction) error {
			return tx.Alerting.TrafficAlerts.Update(ctx, func(a *sps.TrafficAlerts) error { return a.EnableAll(sps.ChannelEmail) })
		}
		if err := block(scene{t.Context(), appliance, client, authority, "1", file, change}); err != nil {
			t.Error(err)
		}
	})
}
