package command

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/conn"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

type trustData struct {
	Host        string            `json:"host"`
	Fingerprint string            `json:"fingerprint"`
	Trusted     bool              `json:"trusted"`
	Problems    []string          `json:"problems"`
	Chain       []certificateInfo `json:"chain"`
	SavedAs     string            `json:"saved_as"`
}

type certificateInfo struct {
	Subject     string   `json:"subject"`
	Issuer      string   `json:"issuer"`
	Names       []string `json:"names"`
	NotBefore   string   `json:"not_before"`
	NotAfter    string   `json:"not_after"`
	Key         string   `json:"key"`
	Fingerprint string   `json:"fingerprint"`
}

// trustCommand works without a login, and so is no spec.
func (a *app) trustCommand() *cobra.Command {
	var save, accept string
	c := &cobra.Command{
		Use: "trust HOST", Short: "Show the certificate of an appliance, and trust it",
		Long: `Show the certificate that an appliance presents, its fingerprint, its chain, and what is
wrong with it. The status is 1 if this system does not trust it.

With --save the fingerprint goes into the configuration file, under that name, once it is
confirmed on the terminal or named by --accept. Compare it with the appliance's own
before: whoever answers now could be somebody else.`,
		Example: "  sps trust sps1.example.com\n  sps trust sps1.example.com --save sps1 --accept " + exampleFingerprint,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			if a.flags.Demo {
				return usagef("--demo has nothing to trust")
			}
			if accept != "" && save == "" {
				return usagef("--accept needs --save")
			}
			return a.trust(c.Context(), c.CommandPath(), args[0], save, accept)
		},
	}
	c.Flags().StringVar(&save, "save", "", "`name` under which the configuration file gets the appliance")
	c.Flags().StringVar(&accept, "accept", "", "`SHA-256` of the certificate, in place of a confirmation")
	return c
}

// exampleFingerprint stands for one in examples.
const exampleFingerprint = "52:2C:8B:F5:0F:3C:6F:1B:AA:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77"

func (a *app) trust(ctx context.Context, command, host, save, accept string) error {
	printer := a.newPrinter(command, []string{text.Line(host)}, nil)
	if printer == nil {
		return usagef("--output %q is none of %s", a.output, strings.Join(out.Formats, ", "))
	}
	d, err := a.look(ctx, host)
	if err != nil {
		return err
	}
	r := d.report()
	o := a.outcome(nil, text.Line(host), 0, r, nil)
	if save == "" {
		return a.printOne(printer, o)
	}
	if a.output == "table" { // what is to be confirmed is seen before
		if err := a.printOne(printer, o); err != nil {
			return err
		}
	}
	if err := a.confirmFingerprint(d.Fingerprint, accept); err != nil {
		return err
	}
	path, err := a.flags.SaveAppliance(a.Getenv, save, conn.Entry{Host: host, Username: a.flags.Username, LoginMethod: a.flags.LoginMethod, Fingerprint: []string{d.Fingerprint}})
	if err != nil {
		return err
	}
	d.SavedAs = save
	a.status = out.OK // it is trusted now
	a.warnf("%s has %s now: use --appliance %s", path, save, save)
	if a.output == "table" {
		return nil
	}
	o.Data, o.Status, o.Result = d, out.OK, out.Results[out.OK]
	return a.printOne(printer, o)
}

func (a *app) printOne(printer out.Printer, o out.Outcome) error {
	a.status = max(a.status, o.Status)
	if err := errors.Join(printer.Begin(), printer.Print(o), printer.End(a.status)); err != nil {
		return a.writeError(err)
	}
	return nil
}

// confirmFingerprint accepts a certificate only where somebody names it or says so.
func (a *app) confirmFingerprint(fingerprint, accept string) error {
	if accept != "" {
		if !sameFingerprint(accept, fingerprint) {
			return fmt.Errorf("the certificate is another one than --accept names: its SHA-256 is %s; nothing was saved", fingerprint)
		}
		return nil
	}
	if _, ok := terminal(a.Stdin); !ok {
		return usagef("nobody can be asked here: give the fingerprint with --accept")
	}
	fmt.Fprintf(a.Stderr, "Trust the certificate with the fingerprint %s? [y/N] ", fingerprint)
	answer, _ := bufio.NewReader(a.Stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return usageError{errors.New("not confirmed: nothing was saved")}
	}
	return nil
}

func sameFingerprint(a, b string) bool {
	digits := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, ":", "")) }
	return digits(a) == digits(b)
}

// look connects and reads the certificates, whatever they are. Nothing is sent but the
// handshake.
func (a *app) look(ctx context.Context, host string) (*trustData, error) {
	// The SDK's check of the host, which sends nothing.
	client, err := sps.NewClient(host, sps.ExistingSession(sps.NewSecretString("check")))
	if err != nil {
		return nil, usageError{err}
	}
	address := client.Host()
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		name = strings.Trim(address, "[]")
		address = net.JoinHostPort(name, "443")
	}
	ctx, cancel := context.WithTimeout(ctx, a.flags.ConnectTimeout)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: name}} // looking is what this is for
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &unreachableError{host, err}
	}
	defer connection.Close()
	shown := connection.(*tls.Conn).ConnectionState().PeerCertificates
	d := &trustData{Host: host, Problems: []string{}, Fingerprint: sps.CertificateFingerprint(shown[0])}
	for _, c := range shown {
		d.Chain = append(d.Chain, describe(c))
	}
	d.Problems = append(d.Problems, problems(shown, name, time.Now())...)
	d.Trusted = len(d.Problems) == 0
	return d, nil
}

func describe(c *x509.Certificate) certificateInfo {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return certificateInfo{
		c.Subject.String(), c.Issuer.String(), names, c.NotBefore.UTC().Format(time.RFC3339),
		c.NotAfter.UTC().Format(time.RFC3339), c.PublicKeyAlgorithm.String(), sps.CertificateFingerprint(c),
	}
}

// problems tells in words why this system does not trust a certificate.
func problems(shown []*x509.Certificate, name string, now time.Time) (words []string) {
	leaf := shown[0]
	switch {
	case now.Before(leaf.NotBefore):
		words = append(words, "it is not valid before "+leaf.NotBefore.UTC().Format(time.DateOnly))
	case now.After(leaf.NotAfter):
		words = append(words, "it expired on "+leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if err := leaf.VerifyHostname(name); err != nil {
		words = append(words, "it is not made for the name "+text.Line(name))
	}
	intermediates := x509.NewCertPool()
	for _, c := range shown[1:] {
		intermediates.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Intermediates: intermediates, CurrentTime: leaf.NotAfter.Add(-time.Second)})
	switch {
	case err == nil:
	case leaf.CheckSignatureFrom(leaf) == nil || leaf.Subject.String() == leaf.Issuer.String():
		words = append(words, "it is signed by itself")
	default:
		words = append(words, "this system does not know its authority, "+text.Line(leaf.Issuer.String()))
	}
	return words
}

func (d *trustData) report() out.Report {
	r := out.Report{Data: d, No: !d.Trusted, Fields: [][2]string{{"SHA-256", d.Fingerprint}}}
	for i, c := range d.Chain {
		label := fmt.Sprintf("chain %d", i+1)
		r.Fields = append(r.Fields, [2]string{label, fmt.Sprintf("%s, by %s, until %s", c.Subject, c.Issuer, day(c.NotAfter))})
	}
	r.Fields = append(r.Fields, [2]string{"names", text.OrDash(strings.Join(d.Chain[0].Names, ", "))},
		[2]string{"problems", text.OrDash(strings.Join(d.Problems, "; "))})
	if r.No {
		r.Cases = []out.Case{{Name: "certificate", Status: out.Failure, Type: "CertificateError", Message: strings.Join(d.Problems, "; ")}}
	}
	return r
}
