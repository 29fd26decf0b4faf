package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The elements of JUnit XML, as far as they are used.
type (
	junitReport struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     junitTime    `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     junitTime   `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    junitTime     `xml:"time,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
		Skipped *junitProblem `xml:"skipped"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
	junitTime time.Duration
)

// MarshalText writes seconds.
func (t junitTime) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(t).Seconds()), nil
}

// printJUnit prints a test suite per appliance. The times are those of the tests,
// summed up: appliances that are tested at the same time add up, too.
func printJUnit(w io.Writer, results []result) error {
	report := junitReport{Name: "firmware-precheck"}
	for i, r := range results {
		if i == 0 || r.Appliance != results[i-1].Appliance {
			report.Suites = append(report.Suites, junitSuite{Name: xmlText(r.Appliance)})
		}
		suite := &report.Suites[len(report.Suites)-1]
		suite.Tests++
		suite.Time += junitTime(r.Elapsed)
		switch r.Status {
		case failed:
			suite.Failures++
		case passed:
		case skipped:
			suite.Skipped++
		default:
			suite.Errors++
		}
		suite.Cases = append(suite.Cases, r.junit())
	}
	for _, suite := range report.Suites {
		report.Tests += suite.Tests
		report.Failures += suite.Failures
		report.Errors += suite.Errors
		report.Time += suite.Time
	}
	text, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}

// junit makes the test case of a result.
func (r result) junit() junitCase {
	c := junitCase{Class: xmlText(r.Appliance), Name: "appliance", Time: junitTime(r.Elapsed)}
	if r.Slot != "" {
		c.Name = xmlText("slot " + r.Slot)
	}
	if r.Version != "" {
		c.Name += xmlText(" (" + r.Version + ")")
	}
	switch r.Status {
	case passed:
		c.Output = xmlText(r.Summary)
	case skipped:
		c.Skipped = &junitProblem{Message: xmlText(r.Summary)}
	case failed:
		c.Failure = &junitProblem{Message: r.detail(), Type: "FirmwareTestFailed", Text: xmlText(r.Summary)}
	default:
		c.Error = &junitProblem{Message: xmlText(r.Error), Type: "NotTested", Text: xmlText(r.Error)}
	}
	return c
}

// xmlText drops the characters that XML 1.0 cannot carry in any form.
func xmlText(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
			return r
		}
		return -1
	}, text)
}
