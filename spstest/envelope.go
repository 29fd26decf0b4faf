package spstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// object is a JSON object of a response. encoding/json writes its members in sorted
// order, like the appliance.
type object = map[string]any

// answer is the response of the appliance before a fault changes it.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream *stream // a generated body, used instead of body
	cut    bool    // the connection is cut before the response is sent
}

// encode returns a value as JSON without HTML escapes. A json.RawMessage keeps its bytes,
// except for white space.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("spstest: answer cannot be written: %v", err)) // reached only by a bug in this package
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// decode decodes one JSON value. Numbers keep their spelling.
func decode(raw []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func reply(status int, body any) answer {
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"application/json"}, "Content-Language": {"en"}},
		body:   encode(body),
	}
}

func empty(status int) answer {
	return answer{status: status, header: http.Header{"Content-Language": {"en"}}}
}

// page returns an HTML error page of the web server in front of the REST service.
func page(status int) answer {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"text/html"}},
		body:   []byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"),
	}
}

// href returns the link of a path below /api. A query and a fragment in the path are not
// escaped.
func href(p string) string {
	if p == "" {
		return "/api"
	}
	return "/api/" + linkEscapes.Replace(p)
}

var linkEscapes = strings.NewReplacer("%", "%25", " ", "%20")

// meta returns the meta object of the path of the request.
func (x *exchange) meta() object {
	m := object{"href": href(x.path)}
	switch {
	case x.path == "":
		m["parent"] = nil
	case strings.Contains(x.path, "/"):
		m["parent"] = href(path.Dir(x.path))
	default:
		m["parent"] = "/api"
	}
	return m
}

// fail returns an error response.
func (x *exchange) fail(status int, kind, message string, details any) answer {
	body := object{"type": kind, "message": message}
	if details != nil {
		body["details"] = details
	}
	return reply(status, object{"error": body, "meta": x.meta()})
}

// refuse returns the error response that a variant selects. The value of the variant has
// the form "403:SomeType".
func (a *Appliance) refuse(x *exchange, variant, message string, details any) answer {
	code, kind, _ := strings.Cut(a.variant(variant), ":")
	status, _ := strconv.Atoi(code)
	return x.fail(status, kind, message, details)
}

// refuseHere is like refuse, but also for variants with the error type ResourceNotFound,
// whose response is that of a missing path.
func (a *Appliance) refuseHere(x *exchange, variant, message string) answer {
	if strings.HasSuffix(a.variant(variant), ":ResourceNotFound") {
		return a.notFound(x)
	}
	return a.refuse(x, variant, message, nil)
}

// pathDetails returns the member details of errors about a path.
func (a *Appliance) pathDetails(p string) any {
	if a.variant("path-details") == "object" {
		return object{"path": p}
	}
	return p
}

func (a *Appliance) syntacticError(x *exchange, p, message string) answer {
	return x.fail(http.StatusBadRequest, "SyntacticError", message, a.pathDetails(p))
}

func (a *Appliance) invalidBody(x *exchange) answer {
	return x.fail(http.StatusBadRequest, "InvalidRequestBody", "The request body is not valid JSON", nil)
}

func (a *Appliance) notFound(x *exchange) answer {
	mount, resource := path.Split("/" + x.path)
	if mount != "/" {
		mount = strings.TrimSuffix(mount, "/")
	}
	return a.notFoundAt(x, http.StatusNotFound, mount, resource)
}

func (a *Appliance) notFoundAt(x *exchange, status int, mount, resource string) answer {
	return x.fail(status, a.variant("not-found-type"), "Resource was not found",
		object{"mount_point": mount, "resource": resource})
}

func (a *Appliance) unauthenticated(x *exchange) answer {
	return x.fail(http.StatusUnauthorized, "Unauthenticated", "The request needs a valid session", a.pathDetails(href(x.path)))
}

func (a *Appliance) unauthorized(x *exchange) answer {
	return x.fail(http.StatusForbidden, "Unauthorized", "The user has no right to do this", a.pathDetails(href(x.path)))
}
