package wire

// Envelope is what the answers of the API share: an object has key, meta and
// body, a list has items and meta, a failure has error. Each member is the JSON
// as it was sent, nil where it is absent.
type Envelope struct {
	Key   []byte
	Meta  []byte
	Body  []byte
	Items []byte
	Error []byte
	// All holds every top-level member, these five included: some endpoints
	// put their value beside meta.
	All []Member
}

// ParseEnvelope splits an answer, which must be one JSON object. A null error
// is no error.
func ParseEnvelope(data []byte) (Envelope, error) {
	if err := Valid(data); err != nil {
		return Envelope{}, err
	}
	members, err := Members(data)
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{All: members}
	for _, m := range members {
		switch m.Name {
		case "key":
			e.Key = m.Value
		case "meta":
			e.Meta = m.Value
		case "body":
			e.Body = m.Value
		case "items":
			e.Items = m.Value
		case "error":
			if Kind(m.Value) != Null {
				e.Error = m.Value
			}
		}
	}
	return e, nil
}
