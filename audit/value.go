package audit

import (
	"encoding/json"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// Values returns the JSON values of the given fields. Pass dotted names, such as
// [FieldUserName]. The result has one value for each name. The value is nil if the
// appliance sent none, or if the session was not decoded. The key is not a field. If the
// session has several vault entries, Values uses the first one.
func (s *Session) Values(fields ...string) []json.RawMessage {
	values := make([]json.RawMessage, len(fields))
	if wire.Valid(s.Raw) != nil {
		return values
	}
	body := nest(member(s.Raw, bodyName))
	for i, field := range fields {
		values[i] = valueAt(body, field)
	}
	return values
}

func valueAt(value []byte, field string) json.RawMessage {
	for name := range strings.SplitSeq(field, ".") {
		if wire.Kind(value) == wire.Array {
			elements, err := wire.Elements(value)
			if err != nil || len(elements) == 0 {
				return nil
			}
			value = elements[0]
		}
		if wire.Kind(value) != wire.Object {
			return nil
		}
		value = member(value, name)
	}
	return value
}
