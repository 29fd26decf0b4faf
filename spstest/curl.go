package spstest

import (
	"encoding/json"
	"strconv"
	"strings"
)

// CurlLines gives the guide's curl calls of the login, firmware and products
// pages, filled in for an appliance: its address, a slot, the file for the
// cookies and the file with the appliance's CA. The login comes first, what
// destroys something last. They hold the password of the simulated
// administrator.
func CurlLines(a *Appliance, cookieFile, caFile string) []string {
	test, spare := a.curlSlots()
	curl := func(args, path string, tail ...string) string {
		line := "curl --cacert " + quote(caFile) + " " + args + " https://" + a.Addr() + href(path)
		return strings.Join(append([]string{line}, tail...), " ")
	}
	session := "--cookie " + quote(cookieFile)
	short := "-b " + quote(cookieFile)
	lines := []string{
		curl("--basic --user "+quote(a.Username()+":"+a.Password())+" --cookie-jar "+quote(cookieFile), "authentication"),
		curl(session, "integrated_products"),
		curl(session, "firmware"),
		curl("-X GET "+short, "firmware/slots"),
	}
	if test != "" {
		lines = append(lines,
			curl("-X GET "+short, "firmware/slots/"+test),
			curl(session, "firmware/test", "--data "+quote(`{"slot_id": `+slotID(a, test)+`}`)))
	}
	if spare != "" {
		lines = append(lines, curl("-X DELETE "+short, "firmware/slots/"+spare))
	}
	return lines
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
