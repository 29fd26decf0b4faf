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

// maxHosts bounds the file of appliances, in bytes.
const maxHosts = 16 << 20

// readHosts reads a file with one appliance per line: host[:port], and behind it what is
// different about it, as name=value. Empty lines and what follows a # do not count; line
// ends of Windows and a byte order mark are accepted.
func readHosts(name string, stdin io.Reader) ([]settings, error) {
	shown, input := name, stdin
	if name == "-" {
		shown = "standard input"
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
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
		return nil, fmt.Errorf("%s is larger than %d MiB", shown, maxHosts>>20)
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}), bytes.HasPrefix(content, []byte{0xfe, 0xff}), bytes.IndexByte(content, 0) >= 0:
		return nil, fmt.Errorf("%s is in UTF-16: save it as UTF-8", shown)
	}
	var hosts []settings
	seen := map[string]int{} // lines
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\ufeff"))) {
		number++
		where := fmt.Sprintf("%s:%d", shown, number)
		if !utf8.Valid(line) {
			return nil, fmt.Errorf("%s: the line is not in UTF-8", where)
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
			return nil, fmt.Errorf("%s: %s is already in line %d", where, text.Line(host.host), first)
		}
		seen[address(host.host)] = number
		hosts = append(hosts, host)
	}
	if hosts == nil {
		return nil, fmt.Errorf("%s names no appliance", shown)
	}
	return hosts, nil
}

func parseHost(words []string) (settings, error) {
	s := settings{host: words[0]}
	for _, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok || value == "" {
			return s, fmt.Errorf("%q is not of the form name=value; the names are %s", text.Line(word), hostNames)
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
			return s, errors.New("a line has no password: name one for all, or use the configuration file")
		default:
			return s, fmt.Errorf("%q is none of %s", text.Line(name), hostNames)
		}
	}
	s.count()
	return s, nil
}

const hostNames = "username, fingerprint, ca-bundle and login-method"

// address is the same for all ways to write one host and port.
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
