package conn

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// file writes a file into a new folder, and returns its name.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// sources returns sources with the given environment variables and empty standard input.
func sources(env ...string) Sources {
	return Sources{Stdin: strings.NewReader(""), Getenv: func(name string) string {
		for _, pair := range env {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}}
}

// base returns flags that are valid except that they name no appliance.
func base() Flags {
	return Flags{Parallel: 1, ConnectTimeout: time.Second, Config: "testdata/empty.yaml", Username: "u"}
}

const pin = "52:2C:8B:F5:0F:3C:6F:1B:AA:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77"

// TestHostsFile checks which files of --hosts are accepted, and the errors for other files.
func TestHostsFile(t *testing.T) {
	t.Parallel()
	many := &strings.Builder{}
	for i := range 10_000 {
		fmt.Fprintf(many, "sps%d.example.com\n", i)
	}
	for name, test := range map[string]struct{ content, want string }{
		"plain":           {"a\nb:8443\n", "a b:8443"},
		"no end":          {"a\nb", "a b"},
		"comments":        {"# all\n\n  a  # first\n\t\n", "a"},
		"windows":         {"a\r\nb\r\n", "a b"},
		"byte order mark": {"\ufeffa\n", "a"},
		"duplicate":       {"a\nb\nA:443\n", "hosts:3: A:443 is already in line 1: name each appliance once"},
		"ip twice":        {"[2001:db8::1]\n[2001:0db8::1]:443\n", "hosts:2: [2001:0db8::1]:443 is already in line 1: name each appliance once"},
		"utf-16":          {"\xff\xfea\x00\n\x00", "hosts is in UTF-16: save it as UTF-8"},
		"utf-16 bare":     {"a\x00\n\x00", "hosts is in UTF-16: save it as UTF-8"},
		"latin-1":         {"a\nb\xe9\n", "hosts:2: the line is not in UTF-8: save the file as UTF-8"},
		"none":            {"# nothing\n", "hosts names no appliance: write one host[:port] per line"},
		"empty":           {"", "hosts names no appliance: write one host[:port] per line"},
		"word":            {"a username\n", "hosts:1: \"username\" does not have the form name=value, where name is username, fingerprint, ca-bundle or login-method"},
		"unknown":         {"a\nb color=red\n", "hosts:2: there is no setting \"color\": use username, fingerprint, ca-bundle or login-method"},
		"password":        {"a password=x\n", "hosts:1: a line cannot set a password: give --password-file or --password-command for all appliances, or use the configuration file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			hosts, err := parseHosts([]byte(test.content), "hosts")
			if err != nil {
				got = err.Error()
			}
			for _, host := range hosts {
				got += " " + host.host
			}
			if d := cmp.Diff(test.want, strings.TrimSpace(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	if hosts, err := parseHosts([]byte(many.String()), "hosts"); err != nil || len(hosts) != 10_000 {
		t.Errorf("%d hosts, error %v", len(hosts), err)
	}
	hosts, err := parseHosts([]byte("a username=x fingerprint=1 fingerprint=2 ca-bundle=f login-method=local"), "hosts")
	if err != nil || hosts[0].username != "x" || len(hosts[0].fingerprints) != 2 || hosts[0].ca != "f" || hosts[0].method != "local" {
		t.Errorf("%+v, error %v", hosts, err)
	}
}

// TestUsage checks the errors for wrong flags, environment variables and files.
func TestUsage(t *testing.T) {
	t.Parallel()
	long := file(t, "one\ntwo\n")
	for name, test := range map[string]struct {
		change func(*Flags)
		env    []string
		want   string
	}{
		"nothing":    {func(*Flags) {}, nil, "no appliance: give --host"},
		"empty host": {func(f *Flags) { f.Hosts = []string{""} }, nil, "--host is empty"},
		"no user":    {func(f *Flags) { f.Hosts, f.Username = []string{"a"}, "" }, nil, "--host: a: no user name"},
		"no user in the configuration file": {
			func(f *Flags) {
				f.Appliances, f.Username, f.Config = []string{"a"}, "", file(t, "appliances: {a: {host: a}}\n")
			}, nil, "add the setting username to the appliance in the file",
		},
		"no password":            {func(f *Flags) { f.Hosts = []string{"a"} }, nil, "--host: a: no password"},
		"two password sources":   {func(f *Flags) { f.Hosts, f.PasswordFile, f.PasswordCommand = []string{"a"}, "x", "y" }, nil, "exclude each other"},
		"user of SPS_HOST":       {func(f *Flags) { f.Username = "" }, []string{"SPS_HOST=a:8443"}, "SPS_HOST: a:8443: no user name"},
		"empty password file":    {func(f *Flags) { f.Hosts, f.PasswordFile = []string{"a", "b"}, file(t, "\n") }, nil, "--host: a: the password file "},
		"no user in file":        {func(f *Flags) { f.HostsFile, f.Username = file(t, "a\n"), "" }, nil, ":1: a: no user name"},
		"password file":          {func(f *Flags) { f.Hosts, f.PasswordFile = []string{"a"}, "testdata/none" }, nil, "password file: open"},
		"password file of lines": {func(f *Flags) { f.Hosts, f.PasswordFile = []string{"a"}, long }, nil, "has more than one line"},
		"quote":                  {func(f *Flags) { f.Hosts, f.PasswordCommand = []string{"a"}, "vault 'x" }, nil, "a quote is not closed"},
		"empty command":          {func(f *Flags) { f.Hosts, f.PasswordCommand = []string{"a"}, "  " }, nil, "the command is empty"},
		"CA without PEM":         {func(f *Flags) { f.Hosts, f.CABundle = []string{"a"}, long }, []string{"SPS_PASSWORD=p"}, long},
		"CA that is not there":   {func(f *Flags) { f.Hosts, f.CABundle = []string{"a"}, "testdata/none" }, []string{"SPS_PASSWORD=p"}, "CA bundle: open"},
		"fingerprint":            {func(f *Flags) { f.Hosts, f.Fingerprints = []string{"a"}, []string{"12"} }, []string{"SPS_PASSWORD=p"}, "fingerprint"},
		"insecure":               {func(f *Flags) { f.Hosts, f.Fingerprints, f.Insecure = []string{"a"}, []string{pin}, true }, nil, "--insecure excludes"},
		"client key":             {func(f *Flags) { f.Hosts, f.ClientCert = []string{"a"}, "x" }, nil, "belong together"},
		"client certificate":     {func(f *Flags) { f.Hosts, f.ClientCert, f.ClientKey = []string{"a"}, long, long }, nil, "client certificate " + long},
		"parallel":               {func(f *Flags) { f.Hosts, f.Parallel = []string{"a"}, 0 }, nil, "--parallel must be at least 1"},
		"connect timeout":        {func(f *Flags) { f.Hosts, f.ConnectTimeout = []string{"a"}, 0 }, nil, "--connect-timeout must be greater than 0"},
		"host twice":             {func(f *Flags) { f.Hosts = []string{"a", "A:443"} }, []string{"SPS_PASSWORD=p"}, "--host: A:443 is already named by --host"},
		"bad host":               {func(f *Flags) { f.Hosts = []string{"http://a"} }, []string{"SPS_PASSWORD=p"}, "--host: "},
		"bad host in file":       {func(f *Flags) { f.HostsFile = file(t, "a\n\nhttp://b\n") }, []string{"SPS_PASSWORD=p"}, ":3: "},
		"bad pin in file":        {func(f *Flags) { f.HostsFile = file(t, "a fingerprint=12\n") }, []string{"SPS_PASSWORD=p"}, ":1: "},
		"no file":                {func(f *Flags) { f.HostsFile = "testdata/none" }, nil, "no such file or directory: give a readable file with one host[:port] per line"},
		"no configuration file":  {func(f *Flags) { f.Appliances, f.Config = []string{"x"}, "testdata/none" }, nil, "open testdata/none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := base()
			test.change(&f)
			_, err := f.Targets(sources(test.env...))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestConfig checks which configuration files are accepted, and which settings the flags and the
// environment override.
func TestConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content string
		mode    os.FileMode
		want    string // "" for none
	}{
		"good":                 {"default: lab\nappliances:\n  lab: {host: a, username: u, password: p}\n", 0o600, ""},
		"unknown name":         {"appliances:\n  prod: {host: a}\n", 0o600, "give --appliance with one of prod"},
		"no name":              {"appliances: {}\n", 0o600, "the file has no appliances"},
		"readable":             {"appliances:\n  lab: {host: a, username: u, password: p}\n", 0o644, "other users may read it"},
		"readable, no secret":  {"appliances:\n  lab: {host: a, username: u, password-file: p}\n", 0o644, "password file"},
		"two password sources": {"appliances:\n  lab: {host: a, username: u, password: p, password-file: f}\n", 0o600, "has more than one of"},
		"no host":              {"appliances:\n  lab: {username: u}\n", 0o600, "has no host"},
		"misspelt":             {"appliances:\n  lab:\n    host: a\n    pasword: hunter2\n", 0o600, "line 4: unknown field \"pasword\": the file has the settings default, appliances, and an appliance has the settings host, username, login-method, password, "},
		"no YAML":              {"appliances: [\n", 0o600, "line "},
		"wrong type":           {"appliances: 7\n", 0o600, "line 1"},
		"client key":           {"appliances:\n  lab: {host: a, client-cert: x}\n", 0o600, "belong together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.mode != 0o600 && runtime.GOOS == "windows" {
				return
			}
			f := base()
			f.Username = ""
			f.Config = file(t, test.content)
			if err := os.Chmod(f.Config, test.mode); err != nil {
				t.Fatal(err)
			}
			f.Appliances = []string{"lab"}
			targets, err := f.Targets(sources())
			switch {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error shows a secret: %v", err)
			case err == nil && (targets[0].Name != "lab" || targets[0].username != "u"):
				t.Errorf("%+v", targets[0])
			}
		})
	}
	f := base()
	f.Config = file(t, "default: lab\nappliances:\n  lab: {host: a, username: x, password: p}\n")
	if targets, err := f.Targets(sources("SPS_USERNAME=env")); err != nil || targets[0].Name != "lab" || targets[0].username != "u" {
		t.Errorf("the default: %+v, error %v: want the user of the flags", targets, err)
	}
	f.Username = ""
	if targets, err := f.Targets(sources("SPS_USERNAME=env", "SPS_HOST=h", "SPS_PASSWORD=p")); err != nil || targets[0].Name != "h" || targets[0].username != "env" {
		t.Errorf("the environment: %+v, error %v", targets, err)
	}
}

// TestOrder checks that a line of the --hosts file overrides the flags, and that the flags
// override the environment.
func TestOrder(t *testing.T) {
	t.Parallel()
	f := base()
	f.HostsFile = "-"
	src := sources("SPS_PASSWORD=p", "SPS_FINGERPRINT="+pin, "SPS_LOGIN_METHOD=ldap", "SPS_USERNAME=env")
	src.Stdin = strings.NewReader("a username=line\nb\n")
	f.LoginMethod = "local"
	targets, err := f.Targets(src)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, target := range targets {
		got = append(got, fmt.Sprintf("%s %s %s %d", target.Name, target.username, target.method, len(target.Options)))
	}
	if d := cmp.Diff([]string{"a line local 2", "b u local 2"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestPasswordCommand checks how a password command is run, and its errors.
func TestPasswordCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		return
	}
	before := commandLimit
	commandLimit = 300 * time.Millisecond
	t.Cleanup(func() { commandLimit = before })
	for name, test := range map[string]struct{ command, want, fault string }{
		"good":           {`echo "a b"`, "a b", ""},
		"host":           {`echo {host} {username}`, "sps1 u", ""},
		"no shell":       {`echo $HOME ; ls`, "$HOME ; ls", ""},
		"fails":          {`false`, "", "the password command false failed: exit status 1"},
		"hangs":          {`sleep 60`, "", "did not end within 300ms"},
		"two lines":      {`printf one\ntwo\n`, "", "has more than one line"},
		"nothing":        {`true`, "", "is empty: it must have one line, the password"},
		"does not exist": {`no-such-command-here`, "", "could not be run"},
	} {
		t.Run(name, func(t *testing.T) {
			words, err := splitWords(test.command)
			if err != nil {
				t.Fatal(err)
			}
			got, err := runCommand(words, "sps1", "u")
			if got != test.want || (err != nil) != (test.fault != "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%q, error %v, want %q and %q", got, err, test.want, test.fault)
			}
		})
	}
	f := base()
	f.Hosts, f.PasswordCommand = []string{"a", "b"}, "echo {host}"
	targets, err := f.Targets(sources())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a", "b"} {
		if got, err := targets[i].password.get(targets[i].Host, "u"); err != nil || got.ExposeString() != want {
			t.Errorf("%q, error %v", got.ExposeString(), err)
		}
	}
}

// TestPrompt checks that appliances with the same user share one prompt for the password.
func TestPrompt(t *testing.T) {
	t.Parallel()
	f := base()
	f.Hosts = []string{"a", "b", "c"}
	src := sources()
	asked := 0
	src.Prompt = func(string) (string, error) { asked++; return "p", nil }
	targets, err := f.Targets(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if _, err := target.Credential(); err != nil {
			t.Error(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestCheckAlive checks the errors for a host without TLS and for a closed port.
func TestCheckAlive(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // it accepts connections and sends nothing
	if err := CheckAlive(t.Context(), listener.Addr().String(), 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "the TLS handshake did not end within 50ms") {
		t.Errorf("error %v", err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := CheckAlive(t.Context(), closed.Addr().String(), time.Second); err == nil {
		t.Error("CheckAlive returns no error for a closed port")
	}
}
