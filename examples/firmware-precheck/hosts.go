package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// readHosts reads a file with one host per line. Whether a host is well formed is seen
// when it is tested: the others are tested anyway. One that is named twice is an error,
// because its results would count twice.
func readHosts(name string) ([]string, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var hosts []string
	seen := map[string]int{} // lines
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(content), "\ufeff")) {
		number++
		host, _, _ := strings.Cut(line, "#")
		if host = strings.TrimSpace(host); host == "" {
			continue
		}
		id := address(host)
		if first := seen[id]; first != 0 {
			return nil, fmt.Errorf("%s: line %d: %s is already in line %d", name, number, host, first)
		}
		seen[id] = number
		hosts = append(hosts, host)
	}
	if hosts == nil {
		return nil, fmt.Errorf("%s names no appliance", name)
	}
	return hosts, nil
}

// address is the same for all ways to write one host and port.
func address(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "443"
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		name = ip.String()
	}
	return net.JoinHostPort(strings.ToLower(name), port)
}
