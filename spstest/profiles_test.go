package spstest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

// TestProfilesRunTheirFirmware checks the versions that an appliance reports with each
// profile.
func TestProfilesRunTheirFirmware(t *testing.T) {
	t.Parallel()
	own := []spstest.Slot{{Key: "7", Version: "5.11.0", Current: true}}
	saved := newInProcess(t, spstest.WithSlots(own...)).State()
	for name, test := range map[string]struct {
		options []spstest.Option
		want    []string // firmware_version, version, and the versions in the other slots
	}{
		"by itself":      {nil, []string{"7.4.0", "7 F4", "8.0.0", "", "6.0.10", ""}},
		"6.0":            {[]spstest.Option{spstest.WithProfile("6.0")}, []string{"6.0.12", "6 LTS", "8.0.0", "", "6.0.10", ""}},
		"6.9":            {[]spstest.Option{spstest.WithProfile("6.9")}, []string{"6.9.5", "6 F9", "8.0.0", "", "6.0.10", ""}},
		"7.4":            {[]spstest.Option{spstest.WithProfile("7.4")}, []string{"7.4.0", "7 F4", "8.0.0", "", "6.0.10", ""}},
		"8.0":            {[]spstest.Option{spstest.WithProfile("8.0")}, []string{"8.0.0", "8 LTS", "8.1.0", "", "6.0.10", ""}},
		"slots first":    {[]spstest.Option{spstest.WithSlots(own...), spstest.WithProfile("6.0")}, []string{"5.11.0", "5 F11"}},
		"slots last":     {[]spstest.Option{spstest.WithProfile("6.0"), spstest.WithSlots(own...)}, []string{"5.11.0", "5 F11"}},
		"a state":        {[]spstest.Option{spstest.WithProfile("6.0"), spstest.WithState(saved), spstest.WithCredentials("admin", "a")}, []string{"5.11.0", "5 F11"}},
		"no slot at all": {[]spstest.Option{spstest.WithProfile("6.9"), spstest.WithSlots()}, []string{"6.9.5", "6 F9"}},
	} {
		a := newInProcess(t, test.options...)
		info, _ := inProcess(t, a).logIn("admin", "a").want(200, "GET", "/api/info", "").body["body"].(map[string]any)
		got := []string{info["firmware_version"].(string), info["version"].(string)}
		for _, slot := range a.Slots() {
			if !slot.Current {
				got = append(got, slot.Version)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
