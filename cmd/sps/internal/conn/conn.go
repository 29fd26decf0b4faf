// Package conn finds the appliances of a run, and how to log in to them. It reads the flags,
// the file of --hosts, the configuration file and the environment.
package conn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/days"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// Flags are the flags that name the appliances and say how to connect to them.
type Flags struct {
	Hosts, Appliances             []string
	HostsFile, Config             string
	Username, LoginMethod         string
	PasswordFile, PasswordCommand string
	CABundle                      string
	Fingerprints                  []string
	ClientCert, ClientKey         string
	Proxy, Insecure, Demo         bool
	Parallel                      int
	ConnectTimeout                time.Duration
}

// Define adds the flags to a set. There is no flag for the password, because other users of
// the machine can see command lines.
func (f *Flags) Define(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.Hosts, "host", nil, "`host[:port]` of an appliance; may be repeated")
	flags.StringArrayVarP(&f.Appliances, "appliance", "a", nil, "`name` of an appliance in the configuration file; may be repeated")
	flags.StringVar(&f.HostsFile, "hosts", "", "`file` with one appliance per line; - reads standard input")
	flags.StringVar(&f.Config, "config", "", "configuration `file` to use instead of the default file")
	flags.StringVarP(&f.Username, "username", "u", "", "user `name` to log in with")
	flags.StringVar(&f.LoginMethod, "login-method", "", "`name` of the appliance's login method, such as local")
	flags.StringVar(&f.PasswordFile, "password-file", "", "`file` that contains the password on its only line")
	flags.StringVar(&f.PasswordCommand, "password-command", "", "`command` that prints the password; it runs without a shell, and {host} and {username} in it are replaced")
	flags.StringVar(&f.CABundle, "ca-bundle", "", "PEM `file` with the CAs to trust instead of the system's CAs")
	flags.StringArrayVar(&f.Fingerprints, "fingerprint", nil, "`SHA-256` fingerprint of the appliance's certificate, to trust this certificate; may be repeated")
	flags.StringVar(&f.ClientCert, "client-cert", "", "PEM `file` with a client certificate to log in with")
	flags.StringVar(&f.ClientKey, "client-key", "", "PEM `file` with the private key of --client-cert")
	flags.BoolVar(&f.Proxy, "proxy", false, "connect through the proxy in HTTPS_PROXY")
	flags.BoolVar(&f.Insecure, "insecure", false, "do not verify the appliance's certificate; for experiments only")
	flags.BoolVar(&f.Demo, "demo", false, "run the command on a simulated appliance inside this process")
	flags.IntVar(&f.Parallel, "parallel", 8, "`number` of appliances to work on at the same time")
	days.Var(flags, &f.ConnectTimeout, "connect-timeout", 5*time.Second, "longest `duration` of the connection setup, including the TLS handshake")
}

// InsecureWarning is the warning that --insecure prints.
const InsecureWarning = "--insecure: the certificate of the appliance is not verified, so the password may reach another host; use --fingerprint or --ca-bundle instead"

// Sources are the sources of settings other than the flags.
type Sources struct {
	Getenv func(string) string
	Stdin  io.Reader
	// Prompt asks a person for a password. It is nil if standard input is no terminal.
	Prompt func(question string) (string, error)
}

// Target is an appliance and how to log in to it.
type Target struct {
	// Name is the name that the user gave: the host, or the name in the configuration file.
	Name, Host string
	Options    []sps.Option
	// Direct is true if the connection uses no proxy.
	Direct bool
	// PasswordFrom is the source of the password, for error texts. It is empty if there is no
	// password.
	PasswordFrom string

	username, method string
	certificate      *tls.Certificate
	password         *password
}

// Credential returns the credential to log in with. To get the password it may prompt a person
// or run the password command.
func (t *Target) Credential() (sps.Credential, error) {
	var options []sps.CredentialOption
	if t.method != "" {
		options = append(options, sps.WithLoginMethod(t.method))
	}
	if t.certificate != nil {
		return sps.ClientCertificate(*t.certificate, options...), nil
	}
	secret, err := t.password.get(t.Host, t.username)
	if err != nil {
		return nil, err
	}
	return sps.UsernamePassword(t.username, secret, options...), nil
}

// settings are the settings of an appliance from one source.
type settings struct {
	where string // the source, for error texts
	name  string
	host  string

	username, method       string
	passwordFile           string
	passwordCommand        []string
	passwordText           string
	passwordTextFrom       string // the source of passwordText, for error texts
	ca                     string
	fingerprints           []string
	clientCert, clientKey  string
	proxy, insecure        bool
	passwordSources, trust int
}

// count counts the sources of a password and the settings about trust.
func (s *settings) count() {
	for _, set := range []bool{s.passwordFile != "", len(s.passwordCommand) > 0, s.passwordText != ""} {
		if set {
			s.passwordSources++
		}
	}
	if s.ca != "" || len(s.fingerprints) > 0 || s.insecure {
		s.trust++
	}
}

// over returns the settings of below, overridden by those of s. If s has any setting about
// trust, the trust settings of below are dropped. The same applies to the password settings.
func (s settings) over(below settings) settings {
	result := below
	result.where, result.name, result.host = s.where, s.name, s.host
	if s.username != "" {
		result.username = s.username
	}
	if s.method != "" {
		result.method = s.method
	}
	if s.passwordSources > 0 {
		result.passwordFile, result.passwordCommand, result.passwordText = s.passwordFile, s.passwordCommand, s.passwordText
		result.passwordSources, result.passwordTextFrom = s.passwordSources, s.passwordTextFrom
		result.clientCert, result.clientKey = "", ""
	}
	if s.clientCert != "" {
		result.clientCert, result.clientKey = s.clientCert, s.clientKey
	}
	if s.trust > 0 {
		result.ca, result.fingerprints, result.insecure = s.ca, s.fingerprints, s.insecure
	}
	result.proxy = s.proxy || below.proxy
	return result
}

// passwordFrom returns the source of the password, for error texts.
func (s settings) passwordFrom() string {
	switch {
	case s.passwordFile != "":
		return "the file " + s.passwordFile
	case len(s.passwordCommand) > 0:
		return "the password command " + s.passwordCommand[0]
	case s.passwordText != "":
		return s.passwordTextFrom
	}
	return "the prompt"
}

func (f *Flags) settings() (settings, error) {
	s := settings{
		username: f.Username, method: f.LoginMethod, passwordFile: f.PasswordFile, ca: f.CABundle,
		fingerprints: f.Fingerprints, clientCert: f.ClientCert, clientKey: f.ClientKey, proxy: f.Proxy, insecure: f.Insecure,
	}
	var err error
	if f.PasswordCommand != "" {
		if s.passwordCommand, err = splitWords(f.PasswordCommand); err != nil {
			return s, fmt.Errorf("--password-command: %w", err)
		}
	}
	s.count()
	switch {
	case s.passwordSources > 1:
		return s, errors.New("--password-file and --password-command exclude each other: give one of them")
	case f.Insecure && (f.CABundle != "" || len(f.Fingerprints) > 0):
		return s, errors.New("--insecure excludes --ca-bundle and --fingerprint: leave out --insecure to verify the certificate")
	case (f.ClientCert == "") != (f.ClientKey == ""):
		return s, errors.New("--client-cert and --client-key belong together: give both or neither")
	case f.ClientCert != "" && s.passwordSources > 0:
		return s, errors.New("--client-cert excludes --password-file and --password-command: give one kind of credential")
	}
	return s, nil
}

// environment returns the settings from environment variables.
func environment(getenv func(string) string) settings {
	s := settings{
		where: "SPS_HOST", host: getenv("SPS_HOST"), username: getenv("SPS_USERNAME"), passwordText: getenv("SPS_PASSWORD"), passwordTextFrom: "SPS_PASSWORD",
		method: getenv("SPS_LOGIN_METHOD"), ca: getenv("SPS_CA_BUNDLE"),
	}
	for pin := range strings.SplitSeq(getenv("SPS_FINGERPRINT"), ",") {
		if pin = strings.TrimSpace(pin); pin != "" {
			s.fingerprints = append(s.fingerprints, pin)
		}
	}
	s.count()
	return s
}

// Targets returns the appliances that the flags, the environment or the configuration file
// name. It validates their settings and sends nothing.
func (f *Flags) Targets(src Sources) ([]*Target, error) {
	if f.Parallel < 1 {
		return nil, errors.New("--parallel must be at least 1: give the number of appliances to work on at the same time")
	}
	if f.ConnectTimeout <= 0 {
		return nil, errors.New("--connect-timeout must be greater than 0: give a duration such as 5s")
	}
	flags, err := f.settings()
	if err != nil {
		return nil, err
	}
	named, err := f.named(src)
	if err != nil {
		return nil, err
	}
	env := environment(src.Getenv)
	r := &resolver{prompt: src.Prompt, commands: map[string]*password{}, files: map[string][]byte{}, checked: map[string]bool{}}
	if f.HostsFile == "-" {
		r.prompt = nil // standard input was read for --hosts
	}
	seen := map[string]string{}
	var targets []*Target
	for _, n := range named {
		if first := seen[address(n.host)]; first != "" {
			return nil, fmt.Errorf("%s: %s is already named by %s: name each appliance once", n.where, text.Line(n.host), first)
		}
		seen[address(n.host)] = n.where
		below := flags.over(env)
		if n.name != "" { // from the configuration file, which the flags override
			below = env
			n.settings = n.over(env)
			n.settings = withIdentity(flags, n.settings)
		} else {
			n.settings = n.over(below)
		}
		t, err := r.target(n.settings)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.place(), err)
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// withIdentity returns the settings of an appliance in the configuration file, overridden by
// the flags. Its name, its host and its source stay.
func withIdentity(flags, s settings) settings {
	flags.where, flags.name, flags.host = s.where, s.name, s.host
	return flags.over(s)
}

type namedAppliance struct{ settings }

// place returns the source of the appliance and its host. The source of an appliance in the
// configuration file already has its name.
func (n namedAppliance) place() string {
	if n.name != "" {
		return n.where
	}
	return n.where + ": " + text.Line(n.host)
}

// named lists the appliances that the flags name. If they name none, it returns SPS_HOST or the
// default appliance of the configuration file.
func (f *Flags) named(src Sources) ([]namedAppliance, error) {
	var all []namedAppliance
	for _, host := range f.Hosts {
		if host == "" {
			// In most cases, the calling script uses a variable that is not set.
			return nil, errors.New("--host is empty: give host[:port], or leave the flag out")
		}
		all = append(all, namedAppliance{settings{where: "--host", host: host}})
	}
	if f.HostsFile != "" {
		lines, err := readHosts(f.HostsFile, src.Stdin)
		if err != nil {
			return nil, fmt.Errorf("--hosts: %w", err)
		}
		for _, line := range lines {
			all = append(all, namedAppliance{line})
		}
	}
	fromFlags := len(all) > 0 || len(f.Appliances) > 0
	if !fromFlags && src.Getenv("SPS_HOST") != "" {
		return []namedAppliance{{settings{where: "SPS_HOST", host: src.Getenv("SPS_HOST")}}}, nil
	}
	if fromFlags && len(f.Appliances) == 0 {
		return all, nil // no setting of the configuration file applies
	}
	file, err := f.LoadConfig(src.Getenv)
	if err != nil {
		return nil, err
	}
	names := f.Appliances
	if !fromFlags && file.Default != "" {
		names = []string{file.Default}
	}
	for _, name := range names {
		s, err := file.settings(name)
		if err != nil {
			return nil, err
		}
		all = append(all, namedAppliance{s})
	}
	if len(all) == 0 {
		return nil, errors.New("no appliance: give --host, --hosts or --appliance, set SPS_HOST, or try the command with --demo")
	}
	return all, nil
}

// resolver makes targets from settings. It reads each file once.
type resolver struct {
	prompt   func(string) (string, error)
	commands map[string]*password
	files    map[string][]byte
	checked  map[string]bool
}

func (r *resolver) file(name string) ([]byte, error) {
	if content, ok := r.files[name]; ok {
		return content, nil
	}
	content, err := os.ReadFile(name)
	if err == nil {
		r.files[name] = content
	}
	return content, err
}

func (r *resolver) target(s settings) (*Target, error) {
	t := &Target{Name: s.name, Host: s.host, Direct: !s.proxy, username: s.username, method: s.method}
	if t.Name == "" {
		t.Name = s.host
	}
	t.Options = []sps.Option{sps.WithUserAgent("sps/" + sps.Version)}
	if s.ca != "" {
		pem, err := r.file(s.ca)
		if err != nil {
			return nil, fmt.Errorf("CA bundle: %w: give a readable PEM file with --ca-bundle", err)
		}
		t.Options = append(t.Options, sps.WithCABundle(pem))
	}
	if len(s.fingerprints) > 0 {
		t.Options = append(t.Options, sps.WithPinnedCertificates(s.fingerprints...))
	}
	if s.insecure {
		t.Options = append(t.Options, sps.WithInsecureTLS())
	}
	if s.proxy {
		t.Options = append(t.Options, sps.WithProxyFromEnvironment())
	}
	// NewClient validates the host and the options, and sends nothing.
	client, err := sps.NewClient(s.host, sps.ExistingSession(sps.NewSecretString("check")), t.Options...)
	if err != nil {
		if s.ca != "" && strings.Contains(err.Error(), "CA bundle") {
			return nil, fmt.Errorf("%s: %w: give a PEM file with CA certificates with --ca-bundle", s.ca, err)
		}
		return nil, err
	}
	t.Host = client.Host()
	if s.clientCert != "" {
		pair, err := r.pair(s.clientCert, s.clientKey)
		t.certificate = pair
		return t, err
	}
	if s.username == "" {
		if s.name != "" {
			return nil, errors.New("no user name: give --username, set SPS_USERNAME, or add the setting username to the appliance in the file")
		}
		return nil, errors.New("no user name: give --username, or set SPS_USERNAME")
	}
	t.password, err = r.password(s)
	t.PasswordFrom = s.passwordFrom()
	return t, err
}

func (r *resolver) pair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := r.file(certFile)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w: give a readable PEM file with --client-cert", err)
	}
	key, err := r.file(keyFile)
	if err != nil {
		return nil, fmt.Errorf("client key: %w: give a readable PEM file with --client-key", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("client certificate %s: %w: check --client-cert and --client-key", certFile, err)
	}
	return &pair, nil
}
