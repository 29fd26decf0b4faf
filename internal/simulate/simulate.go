// Package simulate serves a simulated appliance as a program: cmd/spssim and "sps
// simulate" are that.
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

// cookieFile is where the printed curl calls keep their cookies.
const cookieFile = "cookies"

// What there is to download. It is small: nobody downloads it.
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
	products   []spstest.Product // nil: those that it has by itself
	warning    string            // that comes with the products
	username   string
	password   string
	users      []string        // of -user
	given      map[string]bool // the flags on the command line
	sessions   int
	state      string
	trace      bool
	list       bool
}

// Run serves an appliance until ctx is done, and returns the exit status. Program is what
// the errors begin with.
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

// Flags are the flags, to be listed.
func Flags() *flag.FlagSet {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	(&config{}).define(flags)
	return flags
}

// after is what of the flags can only be looked at when all are read.
type after struct {
	listen, profile string
	trailSize       int64
	joined, access  bool
}

func parse(program string, args []string, help io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // one line per error, printed by Run
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
	flags.StringVar(&rest.listen, "listen", "127.0.0.1:0", "`address` to listen on; port 0 takes a free one")
	flags.StringVar(&c.username, "username", "admin", "`name` of the administrator")
	flags.StringVar(&c.password, "password", "a", "`password` of the administrator; without it that of --state counts, if there is one")
	flags.Func("user", "`rule` for a further user, as \"viewer:b read-only\" or \"robot:b read-only:configuration none:firmware\"; without rights it may do everything; may be repeated", func(s string) error {
		name, option, err := parseUser(s)
		c.users = append(c.users, name)
		c.options = append(c.options, option)
		return err
	})
	flags.Func("client-ca", "`file` with the PEM of a CA whose client certificates may log in, as the user of their common name", func(name string) error {
		ca, err := os.ReadFile(name)
		c.options = append(c.options, spstest.WithClientCA(ca))
		return err
	})
	flags.StringVar(&rest.profile, "profile", "7.4", "release to behave like, and to run: "+strings.Join(spstest.Profiles(), ", "))
	flags.StringVar(&c.caOut, "ca-out", "", "`file` for the PEM of the CA that signed the certificate")
	flags.StringVar(&c.addressOut, "address-out", "", "`file` for host:port, written once connections are accepted")
	flags.StringVar(&c.envOut, "env-out", "", "`file` for shell lines that export what the SDK reads")
	flags.Func("slot", "`key=version[:failure]` of a firmware slot, with version, storage, configuration or tainted for what its test finds; empty without a version; may be repeated", func(s string) error {
		slot, err := parseSlot(s)
		c.slots = append(c.slots, slot)
		return err
	})
	flags.Func("test-summary", "`key=text`: the test of the slot fails and says so, with \\n for a new line; may be repeated", func(s string) error {
		summary, err := parseSummary(s)
		c.summaries = append(c.summaries, summary)
		return err
	})
	flags.Func("products", "`list` of the integrated products: "+names(productLists)+"; without it those of a join, if there is one", func(s string) (err error) {
		c.products, err = pick(productLists, s)
		return err
	})
	flags.Func("product-warning", "`warning` that comes with the integrated products: "+names(productWarnings), func(s string) (err error) {
		c.warning, err = pick(productWarnings, s)
		return err
	})
	flags.IntVar(&c.sessions, "sessions", 0, "`number` of recorded sessions, which may be millions")
	flags.Int64Var(&rest.trailSize, "trail-size", 0, "size of each recording in `bytes`; 0 gives each its own of some KiB")
	flags.BoolVar(&rest.joined, "starling", false, "be joined to Starling from the start")
	flags.BoolVar(&rest.access, "remote-access", false, "with --starling: have its remote access on, so that an unjoin is refused")
	flags.StringVar(&c.state, "state", "", "`file` to take the appliance up from, if it exists, and to leave it in at a clean stop")
	flags.BoolVar(&c.trace, "trace", false, "print each request to standard error")
	flags.BoolVar(&c.list, "list", false, "list endpoints and variants, and stop")
	flags.Func("variant", "`name=alternative` of something that is undocumented; may be repeated, see --list", func(s string) error {
		option, err := spstest.ParseVariant(s)
		c.options = append(c.options, option)
		return err
	})
	flags.Func("fault", "`rule` for what goes wrong, as \"POST firmware/test cut-after\" or \"GET ** status=503 times=2 skip=1\"; may be repeated", func(s string) error {
		fault, err := spstest.ParseFault(s)
		c.options = append(c.options, spstest.WithFaults(fault))
		return err
	})
	flags.Func("takes", "`rule` for what takes time, as \"PUT transaction=12s\" or \"firmware/*=1m\": it goes on although its client leaves; may be repeated", func(s string) error {
		option, err := parseTakes(s)
		c.options = append(c.options, option)
		return err
	})
	return rest
}

// finish makes the options of all flags.
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
		err = fmt.Errorf("-user %s: that is the administrator, see -username and -password", c.username)
	}
	c.given = make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { c.given[f.Name] = true })
	return err
}

// parseUser reads "name:password right right…".
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

var errNoUser = errors.New("want name:password, and rights such as read-only, read-only:path or none:path behind it")

// productLists are what -products takes.
var productLists = map[string][]spstest.Product{
	"none":                {},
	"starling":            spstest.ProductsStarling(),
	"starling-integrated": spstest.ProductsStarlingIntegrated(),
	"passwords":           spstest.ProductsPasswords(),
}

// productWarnings are what -product-warning takes.
var productWarnings = map[string]string{
	"starling-unavailable":         spstest.StarlingUnavailable,
	"starling-credentials-invalid": spstest.StarlingCredentialsInvalid,
}

// names lists what a flag takes.
func names[T any](choices map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(choices)), ", ")
}

// pick is what a flag chooses.
func pick[T any](choices map[string]T, name string) (chosen T, _ error) {
	chosen, ok := choices[name]
	if !ok {
		return chosen, errors.New("want one of " + names(choices))
	}
	return chosen, nil
}

// failures are what the test of a slot can find, one for each area that the guide
// names.
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

// summary is what the test of a slot says when it fails.
type summary struct{ slot, text string }

func parseSummary(s string) (summary, error) {
	key, text, ok := strings.Cut(s, "=")
	if !ok || key == "" || text == "" {
		return summary{}, errors.New("want key=text")
	}
	return summary{key, strings.ReplaceAll(text, `\n`, "\n")}, nil
}

// failTests lets the tests of slots fail with what -test-summary says, and the exit code
// that the slot has already, or 1.
func failTests(appliance *spstest.Appliance, summaries []summary) error {
	for _, s := range summaries {
		slots := appliance.Slots()
		i := slices.IndexFunc(slots, func(slot spstest.Slot) bool { return slot.Key == s.slot && slot.Version != "" })
		if i < 0 {
			return fmt.Errorf("-test-summary: there is no firmware in slot %q to test", s.slot)
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

// setProducts shows other products than those of a join. A warning without any is about
// those of Starling.
func (c *config) setProducts(appliance *spstest.Appliance) {
	products := c.products
	if products == nil && c.warning != "" {
		products = spstest.ProductsStarling()
	}
	if products != nil {
		appliance.SetProducts(products, c.warning)
	}
}

// parseTakes reads "[METHOD ]path=duration".
func parseTakes(s string) (spstest.Option, error) {
	request, value, ok := strings.Cut(s, "=")
	method, glob := "", strings.TrimSpace(request)
	if first, rest, two := strings.Cut(glob, " "); two {
		method, glob = first, strings.TrimSpace(rest)
	}
	d, err := time.ParseDuration(strings.TrimSpace(value))
	if !ok || glob == "" || err != nil || d <= 0 {
		return nil, fmt.Errorf("%q is not of the form \"PUT transaction=12s\", with or without the method", s)
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
	// The address comes last: who waits for its file finds the others there.
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

// refusal is what an appliance gets in place of a test: it keeps why there is none.
type refusal struct{ err error }

func (*refusal) Helper()                             {}
func (*refusal) Cleanup(func())                      {} // serve closes the appliance
func (*refusal) Errorf(string, ...any)               {} // serve reports the faults that were missed
func (r *refusal) Fatalf(format string, args ...any) { r.err = fmt.Errorf(format, args...) }

// newAppliance starts one.
func newAppliance(options []spstest.Option) (*spstest.Appliance, error) {
	var r refusal
	appliance := spstest.NewServer(&r, options...)
	return appliance, r.err
}

// takeUp reads the state that an earlier run left.
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
	// First, so that the other flags go before it.
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

// passwordOf finds the password of a user in a state.
func passwordOf(state []byte, name string) (password string, ok bool) {
	var s struct {
		Users []struct {
			Name     string  `json:"name"`
			Password *string `json:"password"`
		} `json:"users"`
	}
	_ = json.Unmarshal(state, &s) // WithState says what is wrong with it
	for _, user := range s.Users {
		if user.Name == name && user.Password != nil {
			return *user.Password, true
		}
	}
	return "", false
}

// environment is a shell script that sets what ConnectFromEnv of the SDK reads.
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

// usage tells people where the appliance is and what to try.
func usage(appliance *spstest.Appliance, environment, caOut string, sessions int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# address: %s\n# fingerprint: %s\n%s", appliance.Addr(), appliance.Fingerprint(), environment)
	caFile := caOut
	if caFile == "" {
		caFile = "ca.pem"
		fmt.Fprintf(&b, "# the calls need the CA: start with -ca-out %s\n", caFile)
	}
	if sessions > 0 {
		fmt.Fprintf(&b, "# %d recorded sessions, after the login: curl --cacert %s --cookie %s %s\n", sessions, quote(caFile), cookieFile,
			quote("https://"+appliance.Addr()+"/api/audit/sessions?fields=*&limit=2"))
	}
	for _, line := range spstest.CurlLines(appliance, cookieFile, caFile) {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// quote makes a shell take s as one word.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// tracer prints method, path and status of each request; nothing of its
// headers, query or body.
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
	b.WriteString("variants (default first):\n")
	for _, v := range spstest.Variants() {
		fmt.Fprintf(&b, "  %s=%s\n      %s\n", v.Name, strings.Join(append([]string{v.Default}, v.Alternatives...), "|"), v.Reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// publish writes a file that is complete as soon as it exists; no name, no
// file.
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
