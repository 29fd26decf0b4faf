package audit

import (
	"encoding/json"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// Values returns what the appliance sent in some fields, by their dotted names, such as
// [FieldUserName]: one for each, nil where it sent nothing, and for a session that was not
// decoded. The key is no field. Of a vault that is a list, the first one is shown.
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
