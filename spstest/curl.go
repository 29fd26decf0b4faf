package spstest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// CurlLines returns the guide's curl commands for the login, alerts, trust stores,
// Starling, firmware, upload and products pages, with the address, keys and files of the
// appliance filled in. cookieFile is the file for the cookies, and caFile the file with
// the appliance's CA. All commands succeed when they run in order. The login is first,
// and the upgrade, which restarts the appliance, is last. The upload is a comment,
// because it needs a file. The commands contain the password of the simulated
// administrator.
func CurlLines(a *Appliance, cookieFile, caFile string) []string {
	test, spare := a.curlSlots()
	curl := func(args, path string, tail ...string) string {
		line := "curl --cacert " + quote(caFile) + " " + args + " " + quote("https://"+a.Addr()+href(path))
		return strings.Join(append([]string{line}, tail...), " ")
	}
	session := "--cookie " + quote(cookieFile)
	short := "-b " + quote(cookieFile)
	lines := []string{
		curl("--basic --user "+quote(a.Username()+":"+a.Password())+" --cookie-jar "+quote(cookieFile), "authentication"),
		curl(session, "integrated_products"),
	}
	for _, c := range a.curlConfiguration() {
		args := session
		if c.method != "" {
			args = "-X " + c.method + " " + args
		}
		if c.accept != "" {
			args += " --header " + quote("Accept: "+c.accept)
		}
		var tail []string
		if c.data != nil {
			tail = []string{"--data " + quote(*c.data)}
		}
		lines = append(lines, curl(args, c.path, tail...))
	}
	lines = append(lines, curl(session, "firmware"), curl("-X GET "+short, "firmware/slots"))
	if test != "" {
		lines = append(lines,
			curl("-X GET "+short, "firmware/slots/"+test),
			curl(session, "firmware/test", "--data "+quote(`{"slot_id": `+slotID(a, test)+`}`)))
	}
	link, sum := a.curlImage()
	lines = append(lines,
		curl("-X POST "+short, fetchPath, "--data "+quote(`{"url": `+strconv.Quote(link)+`, "checksum": {"sha256": `+strconv.Quote(sum)+`}}`)),
		curl("-X GET "+short, fetchPath),
		"# "+curl(session, uploadPath, "--form "+uploadField+"=@firmware.iso"))
	if spare != "" {
		lines = append(lines, curl("-X DELETE "+short, "firmware/slots/"+spare))
	}
	if test != "" {
		lines = append(lines, curl(session, "firmware/upgrade", "--data "+quote(`{"slot_id": `+slotID(a, test)+`, "message": "test"}`)))
	}
	return lines
}

// curlImage picks an image that can be downloaded, or one that cannot.
func (a *Appliance) curlImage() (link, sha256 string) {
	a.enter()
	defer a.mu.Unlock()
	for _, link := range slices.Sorted(maps.Keys(a.images)) {
		if sum := a.images[link].sha256; sum != "" {
			return link, sum
		}
	}
	return "https://example.com/sps.iso", strings.Repeat("0", 64)
}

// curlSlots picks a slot to look at and to test, and one that can be deleted
// afterwards; "" if there is none.
func (a *Appliance) curlSlots() (test, spare string) {
	for _, s := range a.Slots() {
		if s.Version == "" {
			continue
		}
		if !s.Current && !s.AfterReboot {
			if spare == "" {
				test = s.Key
			}
			spare = s.Key
		} else if test == "" {
			test = s.Key
		}
	}
	return test, spare
}

// slotID spells a slot id as the appliance takes it.
func slotID(a *Appliance, key string) string {
	if _, ok := asNumber(key).(json.Number); ok {
		return key
	}
	return strconv.Quote(key)
}

// quote makes a shell take s as one word.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
