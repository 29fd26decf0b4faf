package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

// The rules of junit-10.xsd, which Jenkins checks reports against, for the
// elements that can be in a report.
var junitRules = map[string]struct {
	children   string // in any order and number
	required   string // attributes
	optional   string
	characters bool // may hold text
}{
	"testsuites": {children: "testsuite", optional: "name time tests failures errors"},
	"testsuite": {
		children: "testsuite properties testcase system-out system-err",
		required: "name tests failures errors",
		optional: "group time skipped timestamp hostname id package file log url",
	},
	"testcase": {
		children: "skipped error failure rerunFailure rerunError flakyFailure flakyError system-out system-err",
		required: "name", optional: "time classname group",
	},
	"failure":    {optional: "type message", characters: true},
	"error":      {optional: "type message", characters: true},
	"skipped":    {optional: "type message", characters: true},
	"system-out": {characters: true},
	"system-err": {characters: true},
}

// The forms of attributes: the numbers of the schema are texts, but readers take
// them for numbers.
var junitForms = map[string]*regexp.Regexp{
	"time":     regexp.MustCompile(`^[0-9]+\.[0-9]{3}$`),
	"tests":    regexp.MustCompile(`^[0-9]+$`),
	"failures": regexp.MustCompile(`^[0-9]+$`),
	"errors":   regexp.MustCompile(`^[0-9]+$`),
	"skipped":  regexp.MustCompile(`^[0-9]+$`),
}

// checkJUnit checks a report by the rules, and that its numbers are right.
func checkJUnit(text string) error {
	if !strings.HasPrefix(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {
		return errors.New("there is no XML declaration")
	}
	var path []string
	type counts map[string]int
	var found, claimed []counts // of the open suites, the whole report first
	decoder := xml.NewDecoder(strings.NewReader(text))
	roots := 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			rule, ok := junitRules[name]
			if !ok || token.Name.Space != "" {
				return fmt.Errorf("unknown element %s", name)
			}
			if len(path) == 0 {
				if roots++; roots > 1 || name != "testsuites" {
					return fmt.Errorf("root %s", name)
				}
			} else if parent := path[len(path)-1]; !slices.Contains(strings.Fields(junitRules[parent].children), name) {
				return fmt.Errorf("%s inside of %s", name, parent)
			}
			path = append(path, name)
			required, claim := strings.Fields(rule.required), counts{}
			seen := map[string]bool{}
			for _, a := range token.Attr {
				if a.Name.Space != "" || seen[a.Name.Local] || !slices.Contains(append(strings.Fields(rule.optional), required...), a.Name.Local) {
					return fmt.Errorf("attribute %s of %s", a.Name.Local, name)
				}
				seen[a.Name.Local] = true
				if form := junitForms[a.Name.Local]; form != nil && !form.MatchString(a.Value) {
					return fmt.Errorf("%s=%q in %s", a.Name.Local, a.Value, name)
				}
				claim[a.Name.Local], _ = strconv.Atoi(a.Value)
			}
			for _, a := range required {
				if !seen[a] {
					return fmt.Errorf("%s lacks %s", name, a)
				}
			}
			kind := map[string]string{"testcase": "tests", "failure": "failures", "error": "errors", "skipped": "skipped"}[name]
			for _, c := range found {
				c[kind]++
			}
			if strings.HasPrefix(name, "testsuite") {
				found, claimed = append(found, counts{}), append(claimed, claim)
			}
		case xml.EndElement:
			path = path[:len(path)-1]
			if strings.HasPrefix(token.Name.Local, "testsuite") {
				last := len(found) - 1
				for _, kind := range []string{"tests", "failures", "errors", "skipped"} {
					if n, ok := claimed[last][kind]; ok && n != found[last][kind] {
						return fmt.Errorf("%d %s in %s, %d are claimed", found[last][kind], kind, token.Name.Local, n)
					}
				}
				found, claimed = found[:last], claimed[:last]
			}
		case xml.CharData:
			if strings.TrimSpace(string(token)) != "" && (len(path) == 0 || !junitRules[path[len(path)-1]].characters) {
				return fmt.Errorf("text %q", token)
			}
		case xml.ProcInst:
			if token.Target != "xml" {
				return fmt.Errorf("instruction %s", token.Target)
			}
		default:
			return fmt.Errorf("unexpected %T", token)
		}
	}
	if roots != 1 {
		return errors.New("there is no root")
	}
	return nil
}

// The check itself finds what is wrong.
func TestCheckJUnit(t *testing.T) {
	t.Parallel()
	const suite = `<testsuite name="a" tests="1" failures="0" errors="0" skipped="0" time="0.000">`
	for _, test := range []struct{ text, want string }{
		{`<testsuites/>`, ""},
		{`<testsuites>` + suite + `<testcase name="t"/></testsuite></testsuites>`, ""},
		{`<testsuites>` + suite + `</testsuite></testsuites>`, "0 tests in testsuite, 1 are claimed"},
		{`<testsuites tests="2">` + suite + `<testcase name="t"/></testsuite></testsuites>`, "1 tests in testsuites, 2 are claimed"},
		{`<testsuites>` + suite + `<testcase name="t"><failure/></testcase></testsuite></testsuites>`, "1 failures"},
		{`<testsuites>` + suite + `<testcase name="t"><skipped/></testcase></testsuite></testsuites>`, "1 skipped"},
		{`<testsuites>` + suite + `<testcase/></testsuite></testsuites>`, "testcase lacks name"},
		{`<testsuites><testsuite name="a" tests="0" failures="0"/></testsuites>`, "testsuite lacks errors"},
		{`<testsuites><testsuite name="a" tests="0" failures="0" errors="none"/></testsuites>`, `errors="none"`},
		{`<testsuites time="1s"/>`, `time="1s"`},
		{`<testsuites skipped="0"/>`, "attribute skipped of testsuites"},
		{`<testsuites><testcase name="t"/></testsuites>`, "testcase inside of testsuites"},
		{`<testsuites>text</testsuites>`, "text"},
		{`<testsuites/><testsuites/>`, "root"},
		{`<testsuite name="a" tests="0" failures="0" errors="0"/>`, "root testsuite"},
		{`<report/>`, "unknown element"},
		{`<testsuites>`, "EOF"},
		{"<testsuites name=\"\x01\"/>", "illegal character"},
		{``, "no root"},
	} {
		err := checkJUnit(xml.Header + test.text)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s gives %v, want %q", test.text, err, test.want)
		}
	}
}

func TestPrintJUnit(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	err := printJUnit(&got, []result{
		{Appliance: "sps1", Slot: "1", Version: "7.4.0", Status: skipped, Summary: "the running firmware"},
		{Appliance: "sps1", Slot: "2", Version: "8.0.0", Status: passed, ExitCode: new(0), Summary: "one\ntwo", Elapsed: 1500 * time.Millisecond},
		{Appliance: "sps1", Slot: "3", Version: "8.0.1", Status: failed, ExitCode: new(1), Summary: "1 < 2\n\"&\"", Elapsed: 20 * time.Millisecond},
		{Appliance: "sps1", Slot: "4", Version: "8.0.2", Status: failed},
		{Appliance: "sps1", Slot: "5", Status: errored, Error: "it is empty"},
		{Appliance: "sps2", Status: errored, Error: "no connection", Elapsed: 2 * time.Hour},
		{Appliance: "sps3", Slot: "2", Version: "8.0.0", Status: passed},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="firmware-precheck" tests="7" failures="2" errors="2" time="7201.520">
  <testsuite name="sps1" tests="5" failures="2" errors="1" skipped="1" time="1.520">
    <testcase classname="sps1" name="slot 1 (7.4.0)" time="0.000">
      <skipped message="the running firmware"></skipped>
    </testcase>
    <testcase classname="sps1" name="slot 2 (8.0.0)" time="1.500">
      <system-out>one&#xA;two</system-out>
    </testcase>
    <testcase classname="sps1" name="slot 3 (8.0.1)" time="0.020">
      <failure message="exit code 1" type="FirmwareTestFailed">1 &lt; 2&#xA;&#34;&amp;&#34;</failure>
    </testcase>
    <testcase classname="sps1" name="slot 4 (8.0.2)" time="0.000">
      <failure message="exit code unknown" type="FirmwareTestFailed"></failure>
    </testcase>
    <testcase classname="sps1" name="slot 5" time="0.000">
      <error message="it is empty" type="NotTested">it is empty</error>
    </testcase>
  </testsuite>
  <testsuite name="sps2" tests="1" failures="0" errors="1" skipped="0" time="7200.000">
    <testcase classname="sps2" name="appliance" time="7200.000">
      <error message="no connection" type="NotTested">no connection</error>
    </testcase>
  </testsuite>
  <testsuite name="sps3" tests="1" failures="0" errors="0" skipped="0" time="0.000">
    <testcase classname="sps3" name="slot 2 (8.0.0)" time="0.000"></testcase>
  </testsuite>
</testsuites>
`
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Errorf("JUnit (-want +got):\n%s", d)
	}
	if err := checkJUnit(got.String()); err != nil {
		t.Error(err)
	}
}

// Whatever the texts hold, the report is valid XML.
func TestJUnitTexts(t *testing.T) {
	t.Parallel()
	var every strings.Builder
	for r := range rune(0x300) {
		every.WriteRune(r)
	}
	for _, r := range []rune{0xd7ff, 0xd800, 0xdfff, 0xe000, 0xfffd, 0xfffe, 0xffff, 0x10000, unicode.MaxRune} {
		every.WriteRune(r)
	}
	for _, text := range []string{every.String(), "\xff\xfe\xc0\x80", "]]>", "<!--", "&#0;", "<![CDATA[", "\r\n", "</testcase>", ""} {
		var results []result
		for _, status := range []string{passed, failed, errored, skipped, "unheard-of"} {
			results = append(results, result{Appliance: text, Slot: text, Version: text, Status: status, Summary: text, Error: text})
		}
		var got strings.Builder
		if err := printJUnit(&got, results); err != nil {
			t.Fatal(err)
		}
		if err := checkJUnit(got.String()); err != nil {
			t.Errorf("%.20q: %v", text, err)
		}
		var report junitReport
		if err := xml.Unmarshal([]byte(got.String()), &report); err != nil {
			t.Fatal(err)
		}
		want := strings.ToValidUTF8(xmlText(text), "\ufffd")
		if output := report.Suites[0].Cases[0].Output; len([]rune(output)) != len([]rune(want)) {
			t.Errorf("%.20q is written as %.20q", want, output)
		}
	}
}

// UnmarshalText reads seconds.
func (t *junitTime) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text) + "s")
	*t = junitTime(d)
	return err
}

// The program writes JUnit whatever the appliances say, and nothing around it.
func TestJUnit(t *testing.T) {
	t.Parallel()
	a, b := clitest.Start(t), clitest.Start(t)
	a.SetSlot(spstest.Slot{Key: "2", Version: "8.0.0\x1b", TestFailure: &spstest.TestFailure{ExitCode: 1, Summary: "\x00bad\x1b[2J\ufffe\n<disk>"}})
	b.Inject(spstest.Fault{Path: "firmware/test", Delay: 2 * time.Millisecond})
	const nobody = "127.0.0.1:1" // a port that nothing gets by chance
	got := program.Run(t, t.Context(), fleet(t, []*spstest.Appliance{a, b}, nobody, "-output", "junit")...)
	if got.Status != exitError || got.Stderr != "" {
		t.Errorf("status %d, want %d; standard error:\n%s", got.Status, exitError, got.Stderr)
	}
	if err := checkJUnit(got.Stdout); err != nil {
		t.Errorf("%v:\n%s", err, got.Stdout)
	}
	var report junitReport
	if err := xml.Unmarshal([]byte(got.Stdout), &report); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, suite := range report.Suites {
		for _, c := range suite.Cases {
			text := strings.Join([]string{suite.Name, c.Class, c.Name, c.Output}, "|")
			for kind, p := range map[string]*junitProblem{"failure": c.Failure, "error": c.Error, "skipped": c.Skipped} {
				if p != nil && kind == "error" {
					text += kind
				} else if p != nil {
					text += kind + "|" + p.Message + "|" + p.Text
				}
			}
			lines = append(lines, text)
		}
	}
	want := []string{
		a.Addr() + "|" + a.Addr() + "|slot 1 (7.4.0)|skipped|the running firmware|",
		a.Addr() + "|" + a.Addr() + "|slot 2 (8.0.0)|failure|exit code 1|bad[2J\n<disk>",
		a.Addr() + "|" + a.Addr() + "|slot 4 (6.0.10)|skipped|older than the running 7.4.0|",
		b.Addr() + "|" + b.Addr() + "|slot 1 (7.4.0)|skipped|the running firmware|",
		b.Addr() + "|" + b.Addr() + "|slot 2 (8.0.0)|" + passedSummary,
		b.Addr() + "|" + b.Addr() + "|slot 4 (6.0.10)|skipped|older than the running 7.4.0|",
		nobody + "|" + nobody + "|appliance|error",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("cases (-want +got):\n%s", d)
	}
	if took := time.Duration(report.Suites[1].Time); took < 2*time.Millisecond {
		t.Errorf("a test took %s, want at least the 2ms of the appliance", took)
	}
}

func TestDemoJUnit(t *testing.T) {
	t.Parallel()
	got := program.RunWithPassword(t, t.Context(), "", "-output", "junit")
	if err := checkJUnit(got.Stdout); err != nil || got.Status != exitOK {
		t.Errorf("status %d, %v:\n%s", got.Status, err, got.Stdout)
	}
	if !strings.Contains(got.Stderr, "The verdict") {
		t.Errorf("the story is not on standard error:\n%s", got.Stderr)
	}
}
