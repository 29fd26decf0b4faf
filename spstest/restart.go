package spstest

import (
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Restart says how a restart proceeds. It advances with requests and connections, not
// with time: each number says how many of them meet a phase. 0 leaves a phase out.
type Restart struct {
	// Up is the number of requests after the one that caused the restart that are served
	// as before.
	Up int
	// Refused is the number of refused connections. An appliance that listens resets them
	// as soon as they are made. A connection from before the restart is reset at its next
	// request, which counts if it comes in this phase.
	Refused int
	// Unavailable is the number of requests that get a 503 with the HTML page of a
	// front-end web server.
	Unavailable int
	// Starting is the number of requests that meet a starting appliance. It serves only
	// the public part of /api/info, and logins fail, see the variants starting-login and
	// starting-setup.
	Starting int
}

// defaultRestart is the restart without [WithRestart].
var defaultRestart = Restart{Up: 1, Refused: 3, Unavailable: 2, Starting: 2}

// Outcome is the outcome of a restart.
type Outcome int

// The outcomes of a restart.
const (
	OutcomeNewVersion     Outcome = iota // the appliance runs the firmware of the slot for the next boot
	OutcomeOldVersion                    // the appliance runs the old firmware, which is also the one for the next boot
	OutcomeNeverBack                     // connections are refused from then on
	OutcomeNewCertificate                // like OutcomeNewVersion, with a new certificate of a new CA
)

// phase is a part of a restart.
type phase int

const (
	running phase = iota
	stillUp
	refused
	unavailable
	starting
)

// WithRestart sets how restarts proceed. The default is 1 request served, 3 connections
// refused, 2 requests unavailable and 2 starting.
func WithRestart(r Restart) Option {
	return func(a *Appliance) error {
		if min(r.Up, r.Refused, r.Unavailable, r.Starting) < 0 {
			return fmt.Errorf("spstest: restart %+v has a negative number", r)
		}
		a.restart = r
		return nil
	}
}

// AfterRestart sets the outcome of restarts, including one that is running.
func (a *Appliance) AfterRestart(outcome Outcome) {
	a.enter()
	defer a.mu.Unlock()
	a.outcome = outcome
}

// Restart restarts the appliance without an upgrade, as an administrator at the console
// does. Afterwards, the appliance runs the firmware of the slot for the next boot.
func (a *Appliance) Restart() {
	a.enter()
	defer a.mu.Unlock()
	a.beginRestart(false)
	a.settle()
}

// Restarts returns the number of restarts so far, including one that is running.
func (a *Appliance) Restarts() int {
	a.enter()
	defer a.mu.Unlock()
	return a.restarts
}

// beginRestart begins a restart; one under way begins anew.
func (a *Appliance) beginRestart(upgrade bool) {
	a.restarts++
	a.upgrading = upgrade
	a.phase, a.left = stillUp, a.restart.Up
}

// settle leaves the phases that have met enough.
func (a *Appliance) settle() {
	for a.left <= 0 {
		switch a.phase {
		case running:
			return
		case stillUp:
			a.goDown()
			a.phase, a.left = refused, a.restart.Refused
		case refused:
			if a.outcome == OutcomeNeverBack {
				return
			}
			a.boot()
			a.phase, a.left = unavailable, a.restart.Unavailable
		case unavailable:
			a.phase, a.left = starting, a.restart.Starting
		case starting:
			a.phase, a.left = running, 0
		}
	}
}

// meet counts a request and tells the phase that it meets.
func (a *Appliance) meet(x *exchange) phase {
	a.settle()
	met := a.phase
	if x.conn != nil && x.conn.boots != a.boots {
		met = refused // nothing is left of what it was connected to
	}
	if a.phase == met && a.left > 0 {
		a.left--
	}
	return met
}

// goDown ends everything that does not outlive a restart.
func (a *Appliance) goDown() {
	a.boots++
	a.cutOperations()
	for _, s := range a.sessions {
		if a.variant("session-after-upgrade") == "alive" {
			a.drop(s)
		} else {
			a.end(s)
		}
	}
}

// boot runs the firmware for after the reboot.
func (a *Appliance) boot() {
	current := slices.IndexFunc(a.slots, func(s Slot) bool { return s.Current })
	next := slices.IndexFunc(a.slots, func(s Slot) bool { return s.AfterReboot })
	switch {
	case a.outcome == OutcomeOldVersion:
		for i := range a.slots {
			a.slots[i].AfterReboot = i == current
		}
	case next >= 0:
		if a.upgrading && current >= 0 && a.slots[current].Version == a.slots[next].Version &&
			a.variant("reinstall-build-date") == "differs" {
			a.reinstalls++
		}
		for i := range a.slots {
			a.slots[i].Current = i == next
		}
	}
	if a.outcome == OutcomeNewCertificate {
		certificate, err := issueCertificate()
		if err != nil {
			panic(fmt.Sprintf("spstest: server certificate: %v", err)) // the first one could be made
		}
		a.useCertificate(certificate)
	}
	a.upgrading = false
}

// whileStarting answers before the REST service is complete.
func (a *Appliance) whileStarting(x *exchange) answer {
	switch {
	case x.method == http.MethodGet && x.path == "info":
		x.executed = true
		return a.getInfo(x) // without a session
	case x.method == http.MethodGet && x.path == "setup" && a.variant("starting-setup") != "503":
		x.executed = true
		return a.tellSetup(x, a.variant("starting-setup"))
	case x.path != "authentication":
	case a.variant("starting-login") == "500":
		return page(http.StatusInternalServerError)
	case a.variant("starting-login") != "503":
		return a.challenge(a.refuse(x, "starting-login", "The credentials are not valid", nil))
	}
	return page(http.StatusServiceUnavailable)
}

// upgradeFirmware tests the firmware of a slot, and restarts into it.
func (a *Appliance) upgradeFirmware(x *exchange) answer {
	body, ok := x.jsonObject()
	if !ok {
		return a.invalidBody(x)
	}
	key, ans, ok := a.slotOf(x, body)
	if !ok {
		return ans
	}
	if ans, ok := a.checkMessage(x, body); !ok {
		return ans
	}
	s, ans, ok := a.testSlot(x, key)
	if !ok {
		return ans
	}
	if x.holds() {
		return answer{}
	}
	for i := range a.slots {
		a.slots[i].AfterReboot = a.slots[i].Key == s.Key
	}
	a.beginRestart(true)
	meta := x.meta()
	meta["slot"] = href("firmware/slots/" + s.Key)
	ans = reply(http.StatusOK, object{"body": object{"test_summary": testPassed}, "key": a.slotKey(s), "meta": meta})
	ans.cut = a.variant("upgrade-answer") == "cut"
	return ans
}

// checkMessage tells what is wrong with the message of an upgrade, if
// something is.
func (a *Appliance) checkMessage(x *exchange, body object) (answer, bool) {
	message, given := body["message"]
	text, isText := message.(string)
	switch {
	case message != nil && !isText:
		return a.syntacticError(x, "message", "The message has a wrong type"), false
	case !given && a.variant("upgrade-message") == "present":
		return a.missing(x, "message"), false
	case text == "" && a.messageRequired():
		var details any
		switch a.variant("upgrade-message-missing") {
		case "400:IncompleteRequestBodyError":
			details = object{"missing_paths": []string{"message"}}
		case "400:SemanticError":
			details = a.semanticDetails([]inconsistency{{"The upgrade needs a message", []string{href(x.path)}}})
		}
		return a.refuse(x, "upgrade-message-missing", "The upgrade needs a message", details), false
	}
	return answer{}, true
}

// buildDate is the build date of the running firmware: one of its own for each
// version.
func (a *Appliance) buildDate() string {
	days, ok := 0, true
	parts := strings.Split(a.currentVersion(), ".")
	for i, weight := range []int{1000, 50, 1} {
		if i < len(parts) {
			n, err := strconv.Atoi(parts[i])
			days, ok = days+n*weight, ok && err == nil
		}
	}
	if days -= 7200; !ok || days < -3000 || days > 10000 { // 7.4.0 is day 0
		h := fnv.New32a()
		h.Write([]byte(a.currentVersion()))
		days = int(h.Sum32() % 1000)
	}
	return time.Date(2024, 1, 15, 20+a.reinstalls, 18, 40, 0, time.UTC).AddDate(0, 0, days).Format("2006-01-02T15:04:05+00:00")
}

// accepted is a connection to a listening appliance.
type accepted struct {
	net.Conn
	boots int // what it connects to
}

// NetConn is what [reset] asks for.
func (c *accepted) NetConn() net.Conn { return c.Conn }
