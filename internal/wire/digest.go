package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
	"strconv"
)

// Digest writes a normal form of a JSON value to a hash. The normal form does not depend on
// the order of members, on white space, or on the spelling of strings and numbers.
func Digest(hash io.Writer, value []byte) {
	d := digester{hash: hash, buffer: make([]byte, 0, min(2*len(value)+16, flushAt))}
	d.value(value, 0)
	d.flush()
}

// flushAt is the size of the buffer, in bytes.
const flushAt = 4 << 10

// digester buffers the parts of a value, to call Write of the hash less often.
type digester struct {
	hash    io.Writer
	buffer  []byte
	members []Member // the members of the objects around the current value
}

func (d *digester) flush() {
	_, _ = d.hash.Write(d.buffer)
	d.buffer = d.buffer[:0]
}

// put writes one part: its kind, its length and its text.
func put[T string | []byte](d *digester, kind byte, text T) {
	if len(d.buffer)+9 > flushAt {
		d.flush()
	}
	d.buffer = append(d.buffer, kind)
	d.buffer = binary.BigEndian.AppendUint64(d.buffer, uint64(len(text)))
	for len(text) > flushAt-len(d.buffer) {
		n := flushAt - len(d.buffer)
		d.buffer = append(d.buffer, text[:n]...)
		text = text[n:]
		d.flush()
	}
	d.buffer = append(d.buffer, text...)
}

func (d *digester) value(value []byte, depth int) {
	kind := Kind(value)
	switch kind {
	case Object:
		start := len(d.members)
		err := Each(value, func(name string, value []byte) error {
			d.members = append(d.members, Member{name, value})
			return nil
		})
		members := d.members[start:]
		if err != nil || depth > maxDepth {
			d.members = d.members[:start]
			break
		}
		slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
		put(d, kind, strconv.Itoa(len(members)))
		for _, m := range members {
			put(d, kind, m.Name)
			d.value(m.Value, depth+1)
		}
		d.members = d.members[:start]
		return
	case Array:
		elements, err := Elements(value)
		if err != nil || depth > maxDepth {
			break
		}
		put(d, kind, strconv.Itoa(len(elements)))
		for _, e := range elements {
			d.value(e, depth+1)
		}
		return
	case String:
		if text, ok := Text(value); ok {
			put(d, kind, text)
			return
		}
	case Number:
		put(d, kind, plainNumber(value))
		return
	}
	put(d, kind, bytes.TrimSpace(value))
}
