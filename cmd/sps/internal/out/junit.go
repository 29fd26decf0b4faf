package out

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// The elements of JUnit XML that the tool uses.
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

// MarshalText encodes the time in seconds.
func (t junitTime) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(t).Seconds()), nil
}

// junit prints a test suite for each appliance. It prints in End, because the first element of
// the document has the number of all cases. The time of a suite is the sum of the times of its
// cases.
type junit struct {
	w       io.Writer
	command string
	suites  []junitSuite
}

func (*junit) Begin() error { return nil }

func (j *junit) Print(o Outcome) error {
	suite := junitSuite{Name: xmlText(o.Appliance)}
	cases := o.Report.Cases
	if len(cases) == 0 || o.Error != nil && !o.Shown {
		cases = append(cases[:len(cases):len(cases)], o.junitCase(j.command))
	}
	for _, c := range cases {
		suite.add(c)
	}
	j.suites = append(j.suites, suite)
	return nil
}

// junitCase makes one case from an outcome.
func (o Outcome) junitCase(command string) Case {
	c := Case{Name: command, Status: Passed, Elapsed: o.Elapsed, Text: o.Report.Text}
	switch {
	case o.Error != nil:
		c.Status, c.Message, c.Text = Errored, o.Error.Text(), o.Error.Text()
		if c.Type = o.Error.Type; c.Type == "" {
			c.Type = o.Error.Kind
		}
	case o.Status == No:
		c.Status, c.Type, c.Message = Failure, "no", firstLine(o.Report.Text)
	}
	return c
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}

func (s *junitSuite) add(c Case) {
	made := junitCase{Class: s.Name, Name: xmlText(c.Name), Time: junitTime(c.Elapsed)}
	problem := &junitProblem{Message: xmlText(c.Message), Type: xmlText(c.Type), Text: xmlText(c.Text)}
	switch c.Status {
	case Passed:
		made.Output = problem.Text
	case Skipped:
		made.Skipped = &junitProblem{Message: problem.Message}
		s.Skipped++
	case Failure:
		made.Failure = problem
		s.Failures++
	default:
		made.Error = problem
		s.Errors++
	}
	s.Tests++
	s.Time += made.Time
	s.Cases = append(s.Cases, made)
}

func (j *junit) End(int) error {
	report := junitReport{Name: j.command, Suites: j.suites}
	for _, suite := range j.suites {
		report.Tests += suite.Tests
		report.Failures += suite.Failures
		report.Errors += suite.Errors
		report.Time += suite.Time
	}
	encoded, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.w, "%s%s\n", xml.Header, encoded)
	return err
}

// xmlText removes the characters that XML 1.0 does not allow, and those that could control a
// terminal.
func xmlText(content string) string {
	return strings.Map(func(r rune) rune {
		if r == 0xfffe || r == 0xffff {
			return -1
		}
		return r
	}, text.Lines(content))
}
