package command

import (
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

// trustCommand makes the command that shows and saves a certificate. It is not a spec, because it
// works without a login.
func (a *app) trustCommand() *cobra.Command {
	var save, accept string
	c := &cobra.Command{
		Use: "trust HOST", Short: "Show the certificate of an appliance, and trust it",
		Long: `Show the certificate that HOST presents: its fingerprint, its chain, and its problems. The
status is 1 if this system does not trust the certificate. If --save succeeds, the status is 0,
because the tool then trusts the certificate.

--save adds the appliance to the configuration file, with its host and the fingerprint of its
certificate. You must confirm the fingerprint on the terminal, or give it with --accept.
Before you confirm, compare it with the fingerprint that you get from the administrator of
the appliance: another machine may answer at HOST.`,
		Example:     "  sps trust sps1.example.com\n  sps trust sps1.example.com --save sps1 --accept " + exampleFingerprint,
		Annotations: map[string]string{dataAnnotation: skeleton(trustData{})},
		Args:        namedArgs(cobra.ExactArgs(1)), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			if err := emptyFlag(c); err != nil {
				return err
			}
			if a.flags.Demo {
				return usagef("trust does not work with --demo: leave it out")
			}
			if accept != "" && save == "" {
				return usagef("--accept needs --save: give the name to save with --save")
			}
			return a.trust(c.Context(), c.CommandPath(), args[0], save, accept)
		},
	}
	c.Flags().StringVar(&save, "save", "", "add the appliance to the configuration file under this `name`")
	c.Flags().StringVar(&accept, "accept", "", "`SHA-256` fingerprint to accept instead of asking for confirmation")
	return c
}

// exampleFingerprint is the fingerprint in the examples of the help.
const exampleFingerprint = "52:2C:8B:F5:0F:3C:6F:1B:AA:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77"

// trust shows the certificate of a host, and saves its fingerprint if save is not empty.
func (a *app) trust(ctx context.Context, command, host, save, accept string) error {
	printer := a.newPrinter(command, []string{text.Line(host)}, nil)
	if printer == nil {
		return usagef("--output %q is not a format: use one of %s", a.output, strings.Join(out.Formats, ", "))
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
	if a.output == "table" { // so that the user sees the certificate before the question
		if err := a.printOne(printer, o); err != nil {
			return err
		}
	}
	if err := a.confirmFingerprint(d.Fingerprint, accept); err != nil {
		return err
	}
	path, err := a.flags.SaveAppliance(a.Getenv, save, conn.Entry{Host: host, Username: a.flags.Username, LoginMethod: a.flags.LoginMethod, Fingerprint: []string{d.Fingerprint}})
	if err != nil {
		return fmt.Errorf("trust --save: %w: nothing was saved", err)
	}
	d.SavedAs = save
	a.status = out.OK // the tool trusts the certificate now
	a.warnf("%s was saved in %s: use --appliance %s%s", save, path, save, a.userHint(save))
	if a.output == "table" {
		return nil
	}
	o.Data, o.Status, o.Result = d, out.OK, out.Results[out.OK]
	return a.printOne(printer, o)
}

// userHint says how to give a user name for a saved appliance. It returns "" if the appliance needs
// no hint.
func (a *app) userHint(name string) string {
	file, err := a.flags.LoadConfig(a.Getenv)
	if err != nil || file.Appliances[name].Username != "" || file.Appliances[name].ClientCert != "" || a.Getenv("SPS_USERNAME") != "" {
		return ""
	}
	return " with --username, or add the setting username to it in that file"
}

// printOne prints a single outcome, and sets the exit status.
func (a *app) printOne(printer out.Printer, o out.Outcome) error {
	a.status = max(a.status, o.Status)
	if err := errors.Join(printer.Begin(), printer.Print(o), printer.End(a.status)); err != nil {
		return a.writeError(err)
	}
	return nil
}

// confirmFingerprint returns an error unless --accept has the fingerprint, or the user confirms
// it on the terminal.
func (a *app) confirmFingerprint(fingerprint, accept string) error {
	if accept != "" {
		if !sameFingerprint(accept, fingerprint) {
			return fmt.Errorf("trust: the certificate has the SHA-256 fingerprint %s, not the fingerprint of --accept, so nothing was saved: check whether HOST is the right appliance", fingerprint)
		}
		return nil
	}
	if _, ok := terminal(a.Stdin); !ok {
		return usagef("trust --save: standard input is no terminal, so nobody can confirm: give the fingerprint with --accept")
	}
	yes, err := a.agreed("Trust the certificate with the fingerprint " + fingerprint + "?")
	switch {
	case err != nil:
		return fmt.Errorf("trust --save: not confirmed, so nothing was saved: %w", err)
	case !yes:
		return errors.New("trust --save: not confirmed, so nothing was saved: answer y, or give --accept")
	}
	return nil
}

func sameFingerprint(a, b string) bool {
	digits := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, ":", "")) }
	return digits(a) == digits(b)
}

// look connects to a host and returns the certificates of the TLS handshake, without verifying
// them. It sends no request.
func (a *app) look(ctx context.Context, host string) (*trustData, error) {
	// NewClient validates the host, and sends nothing.
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
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: name}} // the purpose of this command is to show a certificate before it is trusted
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, unreachable(host, err, "check the host and the port, or give more time with --connect-timeout")
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

// describe returns the data of a certificate.
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

// problems returns the reasons why this system does not trust a certificate.
func problems(shown []*x509.Certificate, name string, now time.Time) (words []string) {
	leaf := shown[0]
	switch {
	case now.Before(leaf.NotBefore):
		words = append(words, "it is not valid before "+leaf.NotBefore.UTC().Format(time.DateOnly))
	case now.After(leaf.NotAfter):
		words = append(words, "it expired on "+leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if err := leaf.VerifyHostname(name); err != nil {
		words = append(words, "it is not valid for the host "+text.Line(name))
	}
	intermediates := x509.NewCertPool()
	for _, c := range shown[1:] {
		intermediates.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Intermediates: intermediates, CurrentTime: leaf.NotAfter.Add(-time.Second)})
	switch {
	case err == nil:
	case leaf.CheckSignatureFrom(leaf) == nil || leaf.Subject.String() == leaf.Issuer.String():
		words = append(words, "it is self-signed")
	default:
		words = append(words, "this system does not trust its authority, "+text.Line(leaf.Issuer.String()))
	}
	return words
}

func (d *trustData) report() out.Report {
	r := out.Report{Data: d, No: !d.Trusted, Fields: [][2]string{{"SHA-256", d.Fingerprint}}}
	for i, c := range d.Chain {
		label := fmt.Sprintf("chain %d", i+1)
		r.Fields = append(r.Fields, [2]string{label, fmt.Sprintf("%s, issued by %s, valid until %s", c.Subject, c.Issuer, day(c.NotAfter))})
	}
	r.Fields = append(r.Fields, [2]string{"names", text.OrDash(strings.Join(d.Chain[0].Names, ", "))},
		[2]string{"problems", text.OrDash(strings.Join(d.Problems, "; "))})
	if r.No {
		r.Cases = []out.Case{{Name: "certificate", Status: out.Failure, Type: "CertificateError", Message: strings.Join(d.Problems, "; ")}}
	}
	return r
}
