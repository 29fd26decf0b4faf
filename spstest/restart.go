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

// Restart describes how a restart proceeds. A restart advances with requests and
// connections, not with time. Each field is the number of requests or connections in one
// phase, in the order of the fields. A field of 0 leaves its phase out.
type Restart struct {
	// Up is the number of requests that are still served after the request that caused
	// the restart.
	Up int
	// Refused is the number of refused connections. An appliance that listens resets each
	// of them as soon as it is opened. A connection that was opened before the restart is
	// reset at its next request. This counts as a refused connection if it happens in this
	// phase.
	Refused int
	// Unavailable is the number of requests that get a 503 with the HTML page of a
	// front-end web server.
	Unavailable int
	// Starting is the number of requests that are handled while the appliance starts. In
	// this phase, /api/info returns the members that need no login, and logins fail. The
	// variants starting-login and starting-setup determine the responses to a login and to
	// /api/setup. Other requests get a 503.
	Starting int
}

// defaultRestart is how restarts proceed without [WithRestart].
var defaultRestart = Restart{Up: 1, Refused: 3, Unavailable: 2, Starting: 2}

// Outcome is the outcome of a restart.
type Outcome int

// The outcomes of a restart.
const (
	OutcomeNewVersion     Outcome = iota // the appliance runs the firmware of the slot for the next boot
	OutcomeOldVersion                    // the appliance runs the old firmware, and its slot is selected for the next boot
	OutcomeNeverBack                     // connections are refused until AfterRestart sets another outcome
	OutcomeNewCertificate                // like OutcomeNewVersion, but with a new server certificate from a new CA
)

// phase is a phase of a restart.
type phase int

const (
	running phase = iota
	stillUp
	refused
	unavailable
	starting
)

// WithRestart sets how restarts proceed. The default is Restart{Up: 1, Refused: 3,
// Unavailable: 2, Starting: 2}.
func WithRestart(r Restart) Option {
	return func(a *Appliance) error {
		if min(r.Up, r.Refused, r.Unavailable, r.Starting) < 0 {
			return fmt.Errorf("spstest: restart %+v has a negative number", r)
		}
		a.restart = r
		return nil
	}
}

// AfterRestart sets the outcome of further restarts, and of a restart that is running.
func (a *Appliance) AfterRestart(outcome Outcome) {
	a.enter()
	defer a.mu.Unlock()
	a.outcome = outcome
}

// Restart restarts the appliance without an upgrade, like an administrator at the
// console. By default, the appliance then runs the firmware of the slot for the next
// boot, see [Appliance.AfterRestart].
func (a *Appliance) Restart() {
	a.enter()
	defer a.mu.Unlock()
	a.beginRestart(false)
	a.settle()
}

// Restarts returns the number of restarts so far, including a restart that is running.
func (a *Appliance) Restarts() int {
	a.enter()
	defer a.mu.Unlock()
	return a.restarts
}

// beginRestart starts a restart. A restart that is already running starts again.
func (a *Appliance) beginRestart(upgrade bool) {
	a.restarts++
	a.upgrading = upgrade
	a.phase, a.left = stillUp, a.restart.Up
}

// settle moves a restart on to the first phase that still has requests or connections
// left.
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

// meet counts a request and returns the phase of the restart in which the request is
// handled.
func (a *Appliance) meet(x *exchange) phase {
	a.settle()
	met := a.phase
	if x.conn != nil && x.conn.boots != a.boots {
		met = refused // the connection was opened before the restart
	}
	if a.phase == met && a.left > 0 {
		a.left--
	}
	return met
}

// goDown ends the running operations and the sessions or, with the variant
// session-after-upgrade=alive, only the transactions of the sessions.
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

// boot applies the outcome of the restart: it selects the running firmware and, if
// needed, makes a new certificate.
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
			panic(fmt.Sprintf("spstest: server certificate: %v", err)) // not expected, because making the first certificate succeeded
		}
		a.useCertificate(certificate)
	}
	a.upgrading = false
}

// whileStarting answers a request while the appliance starts and its REST service is not
// ready.
func (a *Appliance) whileStarting(x *exchange) answer {
	switch {
	case x.method == http.MethodGet && x.path == "info":
		x.executed = true
		return a.getInfo(x) // x has no session, so only the public members are returned
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

// upgradeFirmware tests the firmware of a slot and restarts the appliance with it.
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

// checkMessage refuses an upgrade whose message is missing or invalid.
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

// buildDate returns the build date of the running firmware, which differs for each
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
	if days -= 7200; !ok || days < -3000 || days > 10000 { // day 0 is the build date of 7.4.0
		h := fnv.New32a()
		h.Write([]byte(a.currentVersion()))
		days = int(h.Sum32() % 1000)
	}
	return time.Date(2024, 1, 15, 20+a.reinstalls, 18, 40, 0, time.UTC).AddDate(0, 0, days).Format("2006-01-02T15:04:05+00:00")
}

// accepted is a connection to a listening appliance.
type accepted struct {
	net.Conn
	boots int // the number of restarts before the connection was accepted
}

// NetConn returns the underlying connection, for [reset].
func (c *accepted) NetConn() net.Conn { return c.Conn }
