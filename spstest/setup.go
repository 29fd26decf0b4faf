package spstest

import "net/http"

// SetSetupStatus sets the status of the setup in /api/setup. The default is "completed".
// Other statuses of the API are "uninitialized" and "booting".
func (a *Appliance) SetSetupStatus(status string) {
	a.enter()
	defer a.mu.Unlock()
	a.setup = status
}

// getSetup returns the status of the setup, also without a login.
func (a *Appliance) getSetup(x *exchange) answer { return a.tellSetup(x, a.setup) }

func (a *Appliance) tellSetup(x *exchange, status string) answer {
	meta := x.meta()
	meta["eula"], meta["remaining_seconds"] = "https://www.oneidentity.com/legal/sta.aspx", 0
	return reply(http.StatusOK, object{"meta": meta, "status": status})
}
