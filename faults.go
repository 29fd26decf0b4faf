package sps

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Fault is one problem of an object that the appliance or the SDK refused to store.
type Fault struct {
	// Message describes the problem in one line.
	Message string
	// Object is the path of the object, relative to /api/. For a new object it is the
	// path of the list, "configuration/trust_stores". It is empty if the object is not
	// known.
	Object string
	// Member is the place in the body of the object: "crl_urls/1" is the second of its
	// crl_urls. It is empty if the fault concerns the object as a whole.
	Member string
}

// String returns the object, the member and the message.
func (f Fault) String() string {
	place := f.Object
	if f.Member != "" {
		place = strings.TrimSpace(place + " " + f.Member)
	}
	if place == "" {
		return f.Message
	}
	return oneLine(place, 200) + ": " + f.Message
}

// Faults returns the problems that an error reports, each with the object and the member
// that it concerns. It covers refusals by the appliance ([SyntacticError],
// [SemanticError], [IncompleteRequestBodyError] and the errors of a join) and refusals by
// the SDK, which checks rules of the guide. If the appliance names no place, Object is
// the path of the request. It is empty if the request was the commit of a transaction,
// because a commit may concern any object. Faults returns nil for an error that is not
// about an object.
func Faults(err error) []Fault {
	var all []Fault
	walkErrors(err, func(e error) (deeper bool) {
		switch e := e.(type) {
		case *unmet:
			all = append(all, e.shown()...)
		case *Error:
			all = append(all, e.faults()...)
		case *SemanticErrorDetails, *SyntacticErrorDetails, *IncompleteRequestBodyErrorDetails:
			all = append(all, faultsOf(e, &Error{})...)
		default:
			return true
		}
		return false
	})
	return all
}

// faults returns the faults of a refusal.
func (e *Error) faults() []Fault {
	if found := faultsOf(e.Detail, e); found != nil {
		return found
	}
	message, member := e.Message, ""
	if message == "" {
		message = e.Type.Error()
	}
	switch e.Type {
	case SyntacticError, SemanticError, InvalidRequestBody, IncompleteRequestBodyError:
	case MissingCredentialStringError:
		member = "credential_string"
	case MissingProductInstanceError:
		member = "product_instance"
	case StarlingJoinInfoIsReadOnlyError:
		member = "join_info"
	default:
		return nil
	}
	return []Fault{{message, e.object(), member}}
}

// object returns the path of the object of a refused request, or "" if it is not known.
func (e *Error) object() string {
	if e.Path == transactionPath.Text {
		return ""
	}
	return e.Path
}

// faultsOf returns the faults in the detail of a refusal.
func faultsOf(detail error, e *Error) []Fault {
	object, list := e.object(), e.Method == http.MethodPost
	switch d := detail.(type) {
	case *SemanticErrorDetails:
		found := slices.Clone(d.Errors)
		for i := range found {
			if found[i].Object == "" {
				found[i].Object = object
			}
		}
		return found
	case *SyntacticErrorDetails:
		f := placeOf(d.Path, object, list)
		f.Message = e.Message
		if f.Message == "" {
			f.Message = "not accepted"
		}
		return []Fault{f}
	case *IncompleteRequestBodyErrorDetails:
		var found []Fault
		for _, path := range d.Paths {
			f := placeOf(path, object, list)
			f.Message = "it is missing"
			found = append(found, f)
		}
		return found
	}
	return nil
}

// path returns the place of a fault in the notation of the appliance, relative to /api/.
func (f Fault) path() string {
	if f.Member == "" {
		return f.Object
	}
	return f.Object + "#" + f.Member
}

// unmet is the error for a request that was not sent because it breaks a rule. It also
// unwraps to the error types and details that the appliance documents for such a request,
// but not to an [Error].
type unmet struct {
	own    error // ErrInvalidInput or ErrNested
	text   string
	types  []ErrorType
	detail []error // details of types whose details faults does not cover
	faults []ruleFault
}

// ruleFault is a fault and the error type that the appliance uses for it, or "".
type ruleFault struct {
	Fault
	as ErrorType
}

// breach makes the error of a broken rule. member is "" for the object as a whole. as is
// the type that the appliance uses for this refusal, or "".
func breach(as ErrorType, member, format string, args ...any) *unmet {
	text := fmt.Sprintf(format, args...)
	return &unmet{own: ErrInvalidInput, text: text, faults: []ruleFault{{Fault{Message: text, Member: member}, as}}}
}

func (u *unmet) Error() string { return u.own.Error() + ": " + u.text }

func (u *unmet) meaning() ErrorKind { return KindInvalid }

func (u *unmet) Is(target error) bool { return target == KindInvalid }

// Unwrap returns the types and details that the appliance uses.
func (u *unmet) Unwrap() []error {
	errs := []error{u.own}
	var semantic []Fault
	seen := map[ErrorType]bool{}
	for _, t := range u.types {
		errs = append(errs, onlyType(t))
	}
	for _, f := range u.faults {
		if f.as == SemanticError {
			semantic = append(semantic, f.Fault)
		}
		if f.as == "" || seen[f.as] {
			continue
		}
		seen[f.as] = true
		errs = append(errs, onlyType(f.as))
		if f.as == SyntacticError {
			errs = append(errs, &SyntacticErrorDetails{f.path()})
		}
	}
	if semantic != nil {
		errs = append(errs, &SemanticErrorDetails{semantic})
	}
	return append(errs, u.detail...)
}

func (u *unmet) shown() []Fault {
	var all []Fault
	for _, f := range u.faults {
		all = append(all, f.Fault)
	}
	return all
}

// about sets Object in those faults of an error whose Object is empty.
func about(object apiPath, err error) {
	var u *unmet
	if !errors.As(err, &u) {
		return
	}
	for i := range u.faults {
		if u.faults[i].Object == "" {
			u.faults[i].Object = object.Text
		}
	}
}

// whileOpen makes the error for a request that the client does not send, because it is
// not allowed inside a transaction. The error matches ErrNested, and
// OpenTransactionError, which the appliance returns for such a request.
func whileOpen(what string) error {
	_, path, _ := strings.Cut(what, " ")
	return &unmet{
		own: ErrNested, text: "do this after the transaction", types: []ErrorType{OpenTransactionError},
		detail: []error{&OpenTransactionErrorDetails{path}},
	}
}

// unescapedPath returns a path without the escapes of a URL.
func unescapedPath(path string) string {
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

// pathsIn returns the API paths in a text.
func pathsIn(text string) []string {
	var found []string
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "/api/")
		if !ok {
			return found
		}
		end := strings.IndexAny(after, " \t\n\"'`<>()[]{},;|")
		if end < 0 {
			end = len(after)
		}
		if path := strings.TrimRight(after[:end], ".:!?"); path != "" {
			found = append(found, "/api/"+path)
		}
		rest = after[end:]
	}
}
