package spstest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps/spstest"
)

func TestParseFault(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]spstest.Fault{
		"POST firmware/test cut-after":                      {Method: "POST", Path: "firmware/test", CutAfter: true},
		"GET ** status=503 times=2 skip=1":                  {Method: "GET", Path: "**", Status: 503, Times: 2, Skip: 1},
		"  firmware/slots \t delay=3s ":                     {Path: "firmware/slots", Delay: 3 * time.Second},
		"/api/firmware/slots/ refuse":                       {Path: "firmware/slots", Refuse: true},
		"cut-before times=-1":                               {CutBefore: true, Times: -1},
		"PUT transaction takes=12s":                         {Method: "PUT", Path: "transaction", Takes: 12 * time.Second},
		"takes=90s detached answer-delay=1m status=504":     {Takes: 90 * time.Second, Detached: true, AnswerDelay: time.Minute, Status: 504},
		"detached cut-after":                                {Detached: true, CutAfter: true},
		"answer-delay=1m status=502 execute":                {AnswerDelay: time.Minute, Status: 502, Execute: true},
		"DELETE endless":                                    {Method: "DELETE", Endless: true},
		"truncate=10 delay=1ms":                             {Truncate: 10, Delay: time.Millisecond},
		"expire-session status=500 execute":                 {ExpireSession: true, Status: 500, Execute: true},
		"status=503 header=Retry-After:7 header=x:a:b":      {Status: 503, Header: http.Header{"Retry-After": {"7"}, "X": {"a:b"}}},
		`status=400 content-type=x/y body={"a": "b  c"}  `:  {Status: 400, ContentType: "x/y", Body: `{"a": "b  c"}`},
		"PUT configuration/*/email status=200 body=times=2": {Method: "PUT", Path: "configuration/*/email", Status: 200, Body: "times=2"},
		"info cut-after may-miss":                           {Path: "info", CutAfter: true, MayMiss: true},
		"GET moon unimplemented status=200 body={}":         {Method: "GET", Path: "moon", Status: 200, Body: "{}", Unimplemented: true},
	} {
		got, err := spstest.ParseFault(rule)
		if err != nil {
			t.Errorf("%q: %v", rule, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", rule, diff)
		}
		if again, err := spstest.ParseFault(got.String()); err != nil {
			t.Errorf("%q, written as %q: %v", rule, got, err)
		} else if diff := cmp.Diff(want, again); diff != "" {
			t.Errorf("%q, written as %q (-want +got):\n%s", rule, got, diff)
		}
	}
	mutates := spstest.Fault{Method: "GET", Mutate: func(body []byte) []byte { return body }}
	if diff := cmp.Diff("GET mutate", mutates.String()); diff != "" {
		t.Errorf("a fault without words (-want +got):\n%s", diff)
	}
}

func TestParseFaultRefuses(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"":                                  "the rule has no effect",
		"GET firmware":                      "the rule has no effect",
		"cutafter":                          "the rule has no effect", // read as a path
		"firmware times=2":                  "the rule has no effect",
		"get firmware refuse":               `unknown "firmware": want one of answer-delay=, body=, content-type=, cut-after`,
		"firmware cutafter":                 `unknown "cutafter"`,
		"firmware refuse=1":                 `unknown "refuse=1"`,
		"firmware delay":                    `unknown "delay"`,
		"statis=503":                        `unknown "statis=503"`,
		"[ refuse":                          `the path "[" is not a valid pattern`,
		"**/x refuse":                       `the path "**/x" has a ** that is not its last segment`,
		"status=99":                         `status= "99" is not a number from 200 to 599`,
		"status=503 times=always":           `times= "always" is not a number from -1`,
		"refuse skip=-1":                    `skip= "-1" is not a number from 0`,
		"truncate=0":                        `truncate= "0" is not a number from 1`,
		"delay=3":                           `delay= "3" is not a duration such as 500ms or 3s`,
		"delay=-3s":                         `delay= "-3s" is not a duration`,
		"status=503 status=502":             "status= occurs twice",
		"header=x":                          "header= want a header in the form Name:value",
		"cut-after truncate=3":              "refuse, cut-before, cut-after, endless and truncate= exclude each other",
		"refuse status=503":                 "refuse and cut-before send no response",
		"takes=0s":                          `takes= "0s" is not a duration`,
		"answer-delay=5":                    `answer-delay= "5" is not a duration`,
		"detached":                          "detached needs cut-after or status=",
		"detached takes=1s":                 "detached needs cut-after or status=",
		"detached truncate=1 status=502":    "detached cannot be combined with refuse",
		"detached cut-before status=502":    "refuse and cut-before send no response",
		"refuse takes=1s":                   "with refuse or cut-before, the request is not executed",
		"cut-before answer-delay=1s":        "with refuse or cut-before, the request is not executed",
		"status=502 takes=1s":               "with status=, the request is not executed, so takes=",
		"status=502 answer-delay=1s":        "with status=, the request is not executed, so answer-delay=",
		"delay=1s execute":                  "body=, content-type= and execute need status=",
		"firmware/test body={\"error\":{}}": "body=, content-type= and execute need status=",
	} {
		_, err := spstest.ParseFault(rule)
		if err == nil || !strings.HasPrefix(err.Error(), "spstest: fault ") || !strings.Contains(err.Error(), ": "+want) {
			t.Errorf("%q: error %v, want %s", rule, err, want)
		}
	}
}
