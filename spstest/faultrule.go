package spstest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// faultMethods are the methods that a rule may start with.
var faultMethods = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}

// faultWords are the words of a rule that set fields of a Fault. A word that ends with
// "=" takes a value.
var faultWords = map[string]func(f *Fault, value string) error{
	"refuse":         happens(func(f *Fault) { f.Refuse = true }),
	"cut-before":     happens(func(f *Fault) { f.CutBefore = true }),
	"cut-after":      happens(func(f *Fault) { f.CutAfter = true }),
	"endless":        happens(func(f *Fault) { f.Endless = true }),
	"execute":        happens(func(f *Fault) { f.Execute = true }),
	"detached":       happens(func(f *Fault) { f.Detached = true }),
	"expire-session": happens(func(f *Fault) { f.ExpireSession = true }),
	"may-miss":       happens(func(f *Fault) { f.MayMiss = true }),
	"unimplemented":  happens(func(f *Fault) { f.Unimplemented = true }),

	"truncate=":     counts(1, 1<<30, func(f *Fault, n int) { f.Truncate = n }),
	"status=":       counts(200, 599, func(f *Fault, n int) { f.Status = n }),
	"skip=":         counts(0, 1<<30, func(f *Fault, n int) { f.Skip = n }),
	"times=":        counts(-1, 1<<30, func(f *Fault, n int) { f.Times = n }),
	"delay=":        lasts(func(f *Fault, d time.Duration) { f.Delay = d }),
	"takes=":        lasts(func(f *Fault, d time.Duration) { f.Takes = d }),
	"answer-delay=": lasts(func(f *Fault, d time.Duration) { f.AnswerDelay = d }),
	"content-type=": func(f *Fault, value string) error { f.ContentType = value; return nil },
	"body=":         func(f *Fault, value string) error { f.Body = value; return nil },
	"header=": func(f *Fault, value string) error {
		name, value, ok := strings.Cut(value, ":")
		if !ok || name == "" {
			return fmt.Errorf("want a header in the form Name:value")
		}
		if f.Header == nil {
			f.Header = http.Header{}
		}
		f.Header.Add(name, value)
		return nil
	},
}

// happens returns a function that sets a field for a word without a value.
func happens(set func(*Fault)) func(*Fault, string) error {
	return func(f *Fault, _ string) error { set(f); return nil }
}

// counts returns a function that sets a field for a word whose value is a number.
func counts(least, most int, set func(*Fault, int)) func(*Fault, string) error {
	return func(f *Fault, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not a number from %d to %d", value, least, most)
		}
		set(f, n)
		return nil
	}
}

// lasts returns a function that sets a field for a word whose value is a duration.
func lasts(set func(*Fault, time.Duration)) func(*Fault, string) error {
	return func(f *Fault, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a duration such as 500ms or 3s", value)
		}
		set(f, d)
		return nil
	}
}

// ParseFault reads a [Fault] from one line: an optional method, an optional path, and one or
// more words that set fields of the fault. For example:
//
//	POST firmware/test cut-after
//	GET ** status=503 times=2 skip=1 header=Retry-After:5
//	firmware/slots delay=3s
//	POST upload/firmware status=500 execute body={"error":{"type":"X"}}
//	PUT transaction takes=90s detached answer-delay=60s status=504
//
// The words have the names of the fields: refuse, cut-before, cut-after, endless, execute,
// detached, expire-session, may-miss, unimplemented, truncate=n, status=n, delay=duration,
// takes=duration, answer-delay=duration, skip=n, times=n, content-type=text,
// header=Name:value and body=text. A value ends at the next space, except that the value of
// body extends to the end of the line. ParseFault does not check that the appliance has the
// path. [Appliance.Inject] and [WithFaults] check this.
func ParseFault(rule string) (Fault, error) {
	f, err := parseFault(rule)
	if err != nil {
		return Fault{}, fmt.Errorf("spstest: fault %q: %w", rule, err)
	}
	return f, nil
}

func parseFault(rule string) (Fault, error) {
	var f Fault
	var seen []string
	token, rest := nextToken(rule)
	if slices.Contains(faultMethods, token) {
		f.Method = token
		token, rest = nextToken(rest)
	}
	if _, isWord := faultWords[token]; token != "" && !isWord && !strings.Contains(token, "=") {
		f.Path = plainGlob(token)
		if err := checkPattern("", f.Path); err != nil {
			return f, err
		}
		token, rest = nextToken(rest)
	}
	for ; token != ""; token, rest = nextToken(rest) {
		name, value, hasValue := strings.Cut(token, "=")
		if hasValue {
			name += "="
		}
		set, known := faultWords[name]
		switch {
		case !known:
			return f, fmt.Errorf("unknown %q: want one of %s", token, strings.Join(slices.Sorted(maps.Keys(faultWords)), ", "))
		case slices.Contains(seen, name) && name != "header=":
			return f, fmt.Errorf("%s occurs twice", name)
		case name == "body=":
			value, rest = strings.TrimSpace(value+rest), ""
		}
		if err := set(&f, value); err != nil {
			return f, fmt.Errorf("%s %w", name, err)
		}
		seen = append(seen, name)
	}
	return f, f.check()
}

// nextToken returns the text up to the next space, and the rest, which starts with that
// space.
func nextToken(s string) (token, rest string) {
	s = strings.TrimLeft(s, " \t")
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// check refuses a fault that changes nothing, and a fault whose fields contradict each
// other.
func (f *Fault) check() error {
	if err := f.contradiction(); err != nil {
		return err
	}
	if !f.changes() {
		return fmt.Errorf("the rule has no effect: add one of refuse, cut-before, cut-after, endless, truncate=, status=, delay=, takes=, answer-delay=, header=, expire-session")
	}
	return nil
}

// changes reports whether a fault changes anything about a request that it applies to.
func (f *Fault) changes() bool {
	return f.Refuse || f.CutBefore || f.CutAfter || f.Endless || f.Truncate > 0 || f.Status != 0 || f.Header != nil ||
		f.Delay > 0 || f.Takes > 0 || f.AnswerDelay > 0 || f.ExpireSession || f.Mutate != nil
}

// contradiction returns an error if two fields of the fault exclude each other.
func (f *Fault) contradiction() error {
	ends := 0
	for _, end := range []bool{f.Refuse, f.CutBefore, f.CutAfter, f.Endless, f.Truncate > 0} {
		if end {
			ends++
		}
	}
	switch {
	case ends > 1:
		return fmt.Errorf("refuse, cut-before, cut-after, endless and truncate= exclude each other: keep only one")
	case (f.Refuse || f.CutBefore) && (f.Status != 0 || f.Header != nil || f.ExpireSession):
		return fmt.Errorf("refuse and cut-before send no response: remove status=, header= and expire-session")
	case (f.Refuse || f.CutBefore) && (f.Takes > 0 || f.AnswerDelay > 0):
		return fmt.Errorf("with refuse or cut-before, the request is not executed: remove takes= and answer-delay=")
	case f.Detached && !f.CutAfter && f.Status == 0:
		return fmt.Errorf("detached needs cut-after or status=")
	case f.Detached && (f.Refuse || f.CutBefore || f.Endless || f.Truncate > 0):
		return fmt.Errorf("detached cannot be combined with refuse, cut-before, endless or truncate=: use cut-after instead")
	case f.Status != 0 && !f.Execute && !f.Detached && f.Takes > 0:
		return fmt.Errorf("with status=, the request is not executed, so takes= has no effect: add execute or detached")
	case f.Status != 0 && !f.Execute && !f.Detached && f.AnswerDelay > 0:
		return fmt.Errorf("with status=, the request is not executed, so answer-delay= has no effect: use delay=, or add execute or detached")
	case f.Mutate != nil && (f.Refuse || f.CutBefore || f.Status != 0):
		return fmt.Errorf("mutate changes the response of the executed request: remove refuse, cut-before and status=")
	case f.Status == 0 && (f.Body != "" || f.ContentType != "" || f.Execute):
		return fmt.Errorf("body=, content-type= and execute need status=")
	}
	return nil
}

// String returns the fault in the form that [ParseFault] reads. Mutate is shown as
// "mutate", which ParseFault refuses, because a function has no text form.
func (f Fault) String() string {
	var words []string
	add := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(f.Method != "", "%s", f.Method)
	add(f.Path != "", "%s", f.Path)
	add(f.Refuse, "refuse")
	add(f.CutBefore, "cut-before")
	add(f.CutAfter, "cut-after")
	add(f.Endless, "endless")
	add(f.Truncate != 0, "truncate=%d", f.Truncate)
	add(f.Detached, "detached")
	add(f.Execute, "execute")
	add(f.ExpireSession, "expire-session")
	add(f.Mutate != nil, "mutate")
	add(f.Delay != 0, "delay=%v", f.Delay)
	add(f.Takes != 0, "takes=%v", f.Takes)
	add(f.AnswerDelay != 0, "answer-delay=%v", f.AnswerDelay)
	add(f.Skip != 0, "skip=%d", f.Skip)
	add(f.Times != 0, "times=%d", f.Times)
	add(f.MayMiss, "may-miss")
	add(f.Unimplemented, "unimplemented")
	add(f.Status != 0, "status=%d", f.Status)
	for _, name := range slices.Sorted(maps.Keys(f.Header)) {
		for _, value := range f.Header[name] {
			add(true, "header=%s:%s", name, value)
		}
	}
	add(f.ContentType != "", "content-type=%s", f.ContentType)
	add(f.Body != "", "body=%s", f.Body)
	return strings.Join(words, " ")
}
