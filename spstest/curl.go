package spstest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// CurlLines returns the curl commands of the guide for the login, alerts, trust stores,
// Starling, firmware, upload and integrated products, with the address, the keys and the
// files of this appliance. cookieFile is the file for the cookies, and caFile is the file
// with the result of [Appliance.CA]. Run the commands in order: the login is the first,
// and the upgrade, which restarts the appliance, is the last. The upload is a comment,
// because it needs a firmware image. The commands contain the password of the simulated
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

// curlImage returns the URL and the checksum of an image that can be downloaded, or of an
// image that does not exist if there is none.
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

// curlSlots returns the key of a slot to read and to test, and the key of a slot that can
// be deleted afterwards. A key is "" if there is no such slot.
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

// slotID returns a slot key as a JSON number or string.
func slotID(a *Appliance, key string) string {
	if _, ok := asNumber(key).(json.Number); ok {
		return key
	}
	return strconv.Quote(key)
}

// quote quotes s as one word for a shell, if it needs quoting.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
