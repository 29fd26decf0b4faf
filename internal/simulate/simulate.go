// Package simulate serves a simulated appliance as a program. It implements cmd/spssim and
// "sps simulate".
package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sps/sps/spstest"
)

// The exit codes.
const (
	exitOK    = 0
	exitError = 2
)

// cookieFile is the cookie file of the printed curl commands.
const cookieFile = "cookies"

// The firmware image that a download of imageURL returns.
const (
	imageURL     = "https://example.com/sps.iso"
	imageVersion = "8.1.0"
	imageSize    = 1 << 20
)

type config struct {
	options    []spstest.Option
	caOut      string
	addressOut string
	envOut     string
	slots      []spstest.Slot
	summaries  []summary
	products   []spstest.Product // nil means the default products of the appliance
	warning    string            // the warning that is sent with the products
	username   string
	password   string
	users      []string        // the names of the users of -user
	given      map[string]bool // the flags on the command line
	sessions   int
	state      string
	trace      bool
	list       bool
}

// Run serves an appliance until ctx is done, and returns the exit code of the program.
// program is the prefix of error messages.
func Run(ctx context.Context, program string, args []string, stdout, stderr io.Writer) int {
	c, err := parse(program, args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err == nil && c.list:
		err = list(stdout)
	case err == nil:
		err = serve(ctx, program, c, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", program, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "spstest: "), "\n", " "))
		return exitError
	}
	return exitOK
}

// Flags returns the flags of the program, to list them.
func Flags() *flag.FlagSet {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	(&config{}).define(flags)
	return flags
}

// after holds the values of flags that finish evaluates after all flags have been parsed.
type after struct {
	listen, profile string
	trailSize       int64
	joined, access  bool
}

func parse(program string, args []string, help io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // Run prints each error in one line
	rest := c.define(flags)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(help, "usage: %s [flags]\n", program)
		flags.SetOutput(help)
		flags.PrintDefaults()
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return c, c.finish(flags, rest, err)
}

func (c *config) define(flags *flag.FlagSet) *after {
	rest := &after{}
	flags.StringVar(&rest.listen, "listen", "127.0.0.1:0", "`address` to listen on, for example 127.0.0.1:8443; port 0 selects a free port")
	flags.StringVar(&c.username, "username", "admin", "`name` of the administrator, for example robot")
	flags.StringVar(&c.password, "password", "a", "`password` of the administrator, for example secret; without this flag, the password in the file of --state is used if there is one")
	flags.Func("user", "`rule` that adds a user with name:password and rights, for example \"viewer:b read-only\" or \"robot:b read-only:configuration none:firmware\"; without rights, the user has the rights in the file of --state or, if there are none, full access; may be repeated", func(s string) error {
		name, option, err := parseUser(s)
		c.users = append(c.users, name)
		c.options = append(c.options, option)
		return err
	})
	flags.Func("client-ca", "`file` with the PEM of a CA, for example clients.pem; a client whose certificate this CA has signed can log in; its user name is the common name of the certificate", func(name string) error {
		ca, err := os.ReadFile(name)
		c.options = append(c.options, spstest.WithClientCA(ca))
		return err
	})
	flags.StringVar(&rest.profile, "profile", "7.4", "`release` of SPS to simulate, one of "+strings.Join(spstest.Profiles(), ", "))
	flags.StringVar(&c.caOut, "ca-out", "", "`file` to write the CA of the server certificate to as PEM, for example ca.pem")
	flags.StringVar(&c.addressOut, "address-out", "", "`file` to write host:port to, for example address.txt; it is written when the appliance accepts connections")
	flags.StringVar(&c.envOut, "env-out", "", "`file` to write shell lines to that export SPS_HOST, SPS_USERNAME, SPS_PASSWORD and the CA or fingerprint for the SDK, for example env; load it with: . ./env")
	flags.Func("slot", "`key=version[:failure]` of a firmware slot, for example 4=9.0.0:tainted; with the failure version, storage, configuration or tainted, the firmware test of the slot fails; without a version, as in 4=, the slot is empty; may be repeated", func(s string) error {
		slot, err := parseSlot(s)
		c.slots = append(c.slots, slot)
		return err
	})
	flags.Func("test-summary", "`key=text` makes the firmware test of a slot fail with the text, for example \"2=HA check started\\nHA check failed\", where \\n starts a new line; may be repeated", func(s string) error {
		summary, err := parseSummary(s)
		c.summaries = append(c.summaries, summary)
		return err
	})
	flags.Func("products", "`list` of integrated products, for example passwords: one of "+names(productLists)+"; without this flag, the list depends on whether the appliance is joined", func(s string) (err error) {
		c.products, err = pick(productLists, s)
		return err
	})
	flags.Func("product-warning", "`warning` to send with the list of integrated products, for example starling-unavailable: one of "+names(productWarnings), func(s string) (err error) {
		c.warning, err = pick(productWarnings, s)
		return err
	})
	flags.IntVar(&c.sessions, "sessions", 0, "`number` of recorded sessions to create, for example 30000; millions are possible")
	flags.Int64Var(&rest.trailSize, "trail-size", 0, "size of each recording in `bytes`, for example 1048576; with 0, recordings have different sizes from 4 to 260 KiB")
	flags.BoolVar(&rest.joined, "starling", false, "join the appliance to Starling at the start")
	flags.BoolVar(&rest.access, "remote-access", false, "enable remote access of Starling at the start, so that an unjoin without force=true is refused; needs --starling")
	flags.StringVar(&c.state, "state", "", "`file` that keeps the state of the appliance, for example state.json; it is read at the start if it exists, and written when the program is stopped by a signal")
	flags.BoolVar(&c.trace, "trace", false, "print the method, path and status code of each request to standard error")
	flags.BoolVar(&c.list, "list", false, "list the implemented endpoints and the variants, and exit")
	flags.Func("variant", "`name=alternative` of a detail that the documentation of the API leaves open, for example put-answer=204; --list prints the names and the alternatives; may be repeated", func(s string) error {
		option, err := spstest.ParseVariant(s)
		c.options = append(c.options, option)
		return err
	})
	flags.Func("fault", "`rule` that injects a fault into matching requests, for example \"POST firmware/test cut-after\" or \"GET ** status=503 times=2 skip=1\"; may be repeated", func(s string) error {
		fault, err := spstest.ParseFault(s)
		c.options = append(c.options, spstest.WithFaults(fault))
		return err
	})
	flags.Func("takes", "`rule` that sets how long the execution of requests lasts, for example \"PUT transaction=12s\" or \"firmware/*=1m\"; a request continues if its client disconnects; may be repeated", func(s string) error {
		option, err := parseTakes(s)
		c.options = append(c.options, option)
		return err
	})
	return rest
}

// finish converts the values of the flags to options, and checks flags that depend on
// each other. err is the error from parsing the flags, if any.
func (c *config) finish(flags *flag.FlagSet, rest *after, err error) error {
	c.options = append(c.options,
		spstest.WithListenAddress(rest.listen),
		spstest.WithProfile(rest.profile),
		spstest.WithAuditSessions(c.sessions))
	if rest.trailSize != 0 {
		c.options = append(c.options, spstest.WithAuditTrailSize(rest.trailSize))
	}
	if rest.joined {
		c.options = append(c.options, spstest.WithStarling(spstest.Starling{Joined: true, RemoteAccess: rest.access}))
	}
	if err == nil && rest.access && !rest.joined {
		err = errors.New("-remote-access needs -starling")
	}
	if err == nil && slices.Contains(c.users, c.username) {
		err = fmt.Errorf("-user %s: the administrator already has this name: set its password with -password, or its name with -username", c.username)
	}
	c.given = make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { c.given[f.Name] = true })
	return err
}

// parseUser parses "name:password right right…".
func parseUser(s string) (name string, _ spstest.Option, _ error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return "", nil, errNoUser
	}
	name, password, ok := strings.Cut(words[0], ":")
	if !ok || name == "" {
		return "", nil, errNoUser
	}
	var rights []spstest.Right
	for _, right := range words[1:] {
		rights = append(rights, spstest.Right(right))
	}
	return name, spstest.WithUser(name, password, rights...), nil
}

var errNoUser = errors.New("want name:password, followed by rights such as read-only, read-only:path or none:path")

// productLists contains the lists of products that the flag -products can select.
var productLists = map[string][]spstest.Product{
	"none":                {},
	"starling":            spstest.ProductsStarling(),
	"starling-integrated": spstest.ProductsStarlingIntegrated(),
	"passwords":           spstest.ProductsPasswords(),
}

// productWarnings contains the warnings that the flag -product-warning can select.
var productWarnings = map[string]string{
	"starling-unavailable":         spstest.StarlingUnavailable,
	"starling-credentials-invalid": spstest.StarlingCredentialsInvalid,
}

// names returns the values that a flag accepts, for its help text.
func names[T any](choices map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(choices)), ", ")
}

// pick returns the choice that the value of a flag selects.
func pick[T any](choices map[string]T, name string) (chosen T, _ error) {
	chosen, ok := choices[name]
	if !ok {
		return chosen, errors.New("want one of " + names(choices))
	}
	return chosen, nil
}

// failures are the failures that -slot accepts, one for each area of the firmware test
// that the guide names.
var failures = map[string]func() *spstest.TestFailure{
	"version": spstest.VersionIncompatible, "storage": spstest.NotEnoughStorage,
	"configuration": spstest.ConfigurationIncompatible, "tainted": spstest.TaintedFirmware,
}

func parseSlot(s string) (spstest.Slot, error) {
	key, rest, ok := strings.Cut(s, "=")
	version, failure, fails := strings.Cut(rest, ":")
	if !ok || key == "" || fails && (version == "" || failures[failure] == nil) {
		return spstest.Slot{}, errors.New("want key=version or key=version:failure, with the failure version, storage, configuration or tainted")
	}
	slot := spstest.Slot{Key: key, Version: version}
	if fails {
		slot.TestFailure = failures[failure]()
	}
	return slot, nil
}

// summary is the text of a failing firmware test of a slot.
type summary struct{ slot, text string }

func parseSummary(s string) (summary, error) {
	key, text, ok := strings.Cut(s, "=")
	if !ok || key == "" || text == "" {
		return summary{}, errors.New("want key=text")
	}
	return summary{key, strings.ReplaceAll(text, `\n`, "\n")}, nil
}

// failTests makes the firmware tests of the slots in summaries fail with the texts that
// -test-summary sets. The exit code of a test is that of the failure that -slot sets, or
// 1.
func failTests(appliance *spstest.Appliance, summaries []summary) error {
	for _, s := range summaries {
		slots := appliance.Slots()
		i := slices.IndexFunc(slots, func(slot spstest.Slot) bool { return slot.Key == s.slot && slot.Version != "" })
		if i < 0 {
			return fmt.Errorf("-test-summary: slot %q has no firmware to test: add it with -slot", s.slot)
		}
		slot := slots[i]
		if slot.TestFailure == nil {
			slot.TestFailure = &spstest.TestFailure{ExitCode: 1}
		}
		slot.TestFailure.Summary = s.text
		appliance.SetSlot(slot)
	}
	return nil
}

// setProducts sets the products of -products and the warning of -product-warning. A
// warning without products is sent with the products of Starling.
func (c *config) setProducts(appliance *spstest.Appliance) {
	products := c.products
	if products == nil && c.warning != "" {
		products = spstest.ProductsStarling()
	}
	if products != nil {
		appliance.SetProducts(products, c.warning)
	}
}

// parseTakes parses "[METHOD ]path=duration".
func parseTakes(s string) (spstest.Option, error) {
	request, value, ok := strings.Cut(s, "=")
	method, glob := "", strings.TrimSpace(request)
	if first, rest, two := strings.Cut(glob, " "); two {
		method, glob = first, strings.TrimSpace(rest)
	}
	d, err := time.ParseDuration(strings.TrimSpace(value))
	if !ok || glob == "" || err != nil || d <= 0 {
		return nil, fmt.Errorf("%q: want a rule such as \"PUT transaction=12s\" or \"transaction=12s\"", s)
	}
	return spstest.WithTakes(method, glob, d), nil
}

func serve(ctx context.Context, program string, c config, stdout, stderr io.Writer) error {
	if c.trace {
		c.options = append(c.options, tracer(stderr))
	}
	if err := c.takeUp(); err != nil {
		return err
	}
	c.options = append(c.options, spstest.WithCredentials(c.username, c.password))
	appliance, err := newAppliance(c.options)
	if err != nil {
		return err
	}
	defer appliance.Close()
	appliance.ServeImage(imageURL, imageVersion, spstest.ImageSHA256(imageVersion, imageSize))
	for _, slot := range c.slots {
		appliance.SetSlot(slot)
	}
	if err := failTests(appliance, c.summaries); err != nil {
		return err
	}
	c.setProducts(appliance)

	env, err := environment(appliance, c.caOut)
	if err != nil {
		return err
	}
	// The address file is written last, so that the other files exist when a script finds
	// it.
	if err := publish(c.caOut, appliance.CA(), 0o644); err != nil {
		return err
	}
	if err := publish(c.envOut, []byte(env), 0o600); err != nil {
		return err
	}
	if err := publish(c.addressOut, []byte(appliance.Addr()+"\n"), 0o644); err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, usage(appliance, env, c.caOut, c.sessions)); err != nil {
		return err
	}
	<-ctx.Done()
	appliance.Close()
	for _, fault := range appliance.MissedFaults() {
		fmt.Fprintf(stderr, "%s: fault %q never applied to a request\n", program, fault)
	}
	return publish(c.state, appliance.State(), 0o600)
}

// refusal is the [spstest.TB] that newAppliance passes to NewServer. It stores the error
// with which NewServer fails.
type refusal struct{ err error }

func (*refusal) Helper()                             {}
func (*refusal) Cleanup(func())                      {} // does nothing, because serve closes the appliance
func (*refusal) Errorf(string, ...any)               {} // does nothing, because serve reports the faults that no request met
func (r *refusal) Fatalf(format string, args ...any) { r.err = fmt.Errorf(format, args...) }

// newAppliance starts an appliance.
func newAppliance(options []spstest.Option) (*spstest.Appliance, error) {
	var r refusal
	appliance := spstest.NewServer(&r, options...)
	return appliance, r.err
}

// takeUp adds an option that restores the state from the file that -state names, if that
// file exists.
func (c *config) takeUp() error {
	if c.state == "" {
		return nil
	}
	content, err := os.ReadFile(c.state)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	// This option is the first one, so that the options of other flags override it.
	restore := func(a *spstest.Appliance) error {
		if err := spstest.WithState(content)(a); err != nil {
			return fmt.Errorf("%s: %s", c.state, strings.TrimPrefix(err.Error(), "spstest: "))
		}
		return nil
	}
	c.options = append([]spstest.Option{restore}, c.options...)
	if password, ok := passwordOf(content, c.username); ok && !c.given["password"] {
		c.password = password
	}
	return nil
}

// passwordOf returns the password of a user in a saved state. ok is false if the state
// contains no password of that user.
func passwordOf(state []byte, name string) (password string, ok bool) {
	var s struct {
		Users []struct {
			Name     string  `json:"name"`
			Password *string `json:"password"`
		} `json:"users"`
	}
	_ = json.Unmarshal(state, &s) // an error can be ignored, because WithState returns an error for an invalid state
	for _, user := range s.Users {
		if user.Name == name && user.Password != nil {
			return *user.Password, true
		}
	}
	return "", false
}

// environment returns a shell script that sets the variables that ConnectFromEnv of the
// SDK reads.
func environment(appliance *spstest.Appliance, caOut string) (string, error) {
	var b strings.Builder
	export := func(name, value string) { fmt.Fprintf(&b, "export %s=%s\n", name, quote(value)) }
	export("SPS_HOST", appliance.Addr())
	export("SPS_USERNAME", appliance.Username())
	export("SPS_PASSWORD", appliance.Password())
	if caOut == "" {
		export("SPS_FINGERPRINT", appliance.Fingerprint())
		return b.String(), nil
	}
	absolute, err := filepath.Abs(caOut)
	if err != nil {
		return "", err
	}
	export("SPS_CA_BUNDLE", absolute)
	return b.String(), nil
}

// usage returns the text that the program prints at its start: the address, the
// environment and the curl commands.
func usage(appliance *spstest.Appliance, environment, caOut string, sessions int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# address: %s\n# fingerprint: %s\n%s", appliance.Addr(), appliance.Fingerprint(), environment)
	caFile := caOut
	if caFile == "" {
		caFile = "ca.pem"
		fmt.Fprintf(&b, "# these commands need the file of the CA: start the program with -ca-out %s\n", caFile)
	}
	if sessions > 0 {
		fmt.Fprintf(&b, "# there are %d recorded sessions; list two of them after the login: curl --cacert %s --cookie %s %s\n", sessions, quote(caFile), cookieFile,
			quote("https://"+appliance.Addr()+"/api/audit/sessions?fields=*&limit=2"))
	}
	for _, line := range spstest.CurlLines(appliance, cookieFile, caFile) {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// quote quotes s as one word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// tracer returns an option that prints the method, path and status code of each request.
// It does not print headers, queries or bodies, because these can contain secrets.
func tracer(w io.Writer) spstest.Option {
	var mu sync.Mutex
	return spstest.WithTrace(func(r spstest.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s %s %d\n", r.Method, r.Path, r.Status)
	})
}

func list(w io.Writer) error {
	var b strings.Builder
	b.WriteString("endpoints:\n")
	for _, endpoint := range spstest.Implemented() {
		fmt.Fprintf(&b, "  %s\n", endpoint)
	}
	b.WriteString("variants (the default is the first value):\n")
	for _, v := range spstest.Variants() {
		fmt.Fprintf(&b, "  %s=%s\n      %s\n", v.Name, strings.Join(append([]string{v.Default}, v.Alternatives...), "|"), v.Reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// publish writes a file atomically: a reader sees either no file, the old file or the
// complete new file. It does nothing if the name is "".
func publish(name string, content []byte, mode fs.FileMode) (err error) {
	if name == "" {
		return nil
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name())
		}
	}()
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Chmod(mode)
	}
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
