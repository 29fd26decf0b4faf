package conn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// maxHosts is the maximum size of the file of --hosts in bytes.
const maxHosts = 16 << 20

// readHosts reads a file with one appliance per line: host[:port], followed by settings of this
// appliance as name=value. Empty lines and text after a # are ignored. Windows line ends and a
// byte order mark are accepted.
func readHosts(name string, stdin io.Reader) ([]settings, error) {
	shown, input := name, stdin
	if name == "-" {
		shown = "standard input"
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("%w: give a readable file with one host[:port] per line", err)
		}
		defer file.Close()
		input = file
	}
	content, err := io.ReadAll(io.LimitReader(input, maxHosts+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	return parseHosts(content, shown)
}

func parseHosts(content []byte, shown string) ([]settings, error) {
	switch {
	case len(content) > maxHosts:
		return nil, fmt.Errorf("%s is larger than %d MiB: split it, and run the command for each part", shown, maxHosts>>20)
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}), bytes.HasPrefix(content, []byte{0xfe, 0xff}), bytes.IndexByte(content, 0) >= 0:
		return nil, fmt.Errorf("%s is in UTF-16: save it as UTF-8", shown)
	}
	var hosts []settings
	seen := map[string]int{} // the line of each address
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\ufeff"))) {
		number++
		where := fmt.Sprintf("%s:%d", shown, number)
		if !utf8.Valid(line) {
			return nil, fmt.Errorf("%s: the line is not in UTF-8: save the file as UTF-8", where)
		}
		before, _, _ := strings.Cut(string(line), "#")
		words := strings.Fields(before)
		if len(words) == 0 {
			continue
		}
		host, err := parseHost(words)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		host.where = where
		if first := seen[address(host.host)]; first != 0 {
			return nil, fmt.Errorf("%s: %s is already in line %d: name each appliance once", where, text.Line(host.host), first)
		}
		seen[address(host.host)] = number
		hosts = append(hosts, host)
	}
	if hosts == nil {
		return nil, fmt.Errorf("%s names no appliance: write one host[:port] per line", shown)
	}
	return hosts, nil
}

func parseHost(words []string) (settings, error) {
	s := settings{host: words[0]}
	for _, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok || value == "" {
			return s, fmt.Errorf("%q does not have the form name=value, where name is %s", text.Line(word), hostNames)
		}
		switch name {
		case "username":
			s.username = value
		case "fingerprint":
			s.fingerprints = append(s.fingerprints, value)
		case "ca-bundle":
			s.ca = value
		case "login-method":
			s.method = value
		case "password", "password-file", "password-command":
			return s, errors.New("a line cannot set a password: give --password-file or --password-command for all appliances, or use the configuration file")
		default:
			return s, fmt.Errorf("there is no setting %q: use %s", text.Line(name), hostNames)
		}
	}
	s.count()
	return s, nil
}

const hostNames = "username, fingerprint, ca-bundle or login-method"

// address normalizes a host, so that different spellings of one host and port are equal.
func address(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "443"
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		name = ip.String()
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(name), "."), port)
}
