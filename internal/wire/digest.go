package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
	"strconv"
)

// Digest writes a canonical form of a JSON value to a hash. Two values have the same form
// if they differ only in the order of members, white space, and the spelling of strings
// and numbers.
func Digest(hash io.Writer, value []byte) { digest(hash, value, 0) }

func digest(hash io.Writer, value []byte, depth int) {
	kind := Kind(value)
	put := func(text []byte) {
		var head [9]byte
		head[0] = kind
		binary.BigEndian.PutUint64(head[1:], uint64(len(text)))
		_, _ = hash.Write(head[:])
		_, _ = hash.Write(text)
	}
	switch kind {
	case Object:
		members, err := Members(value)
		if err != nil || depth > maxDepth {
			break
		}
		members = slices.Clone(members)
		slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
		put(strconv.AppendInt(nil, int64(len(members)), 10))
		for _, m := range members {
			put([]byte(m.Name))
			digest(hash, m.Value, depth+1)
		}
		return
	case Array:
		elements, err := Elements(value)
		if err != nil || depth > maxDepth {
			break
		}
		put(strconv.AppendInt(nil, int64(len(elements)), 10))
		for _, e := range elements {
			digest(hash, e, depth+1)
		}
		return
	case String:
		if text, ok := Text(value); ok {
			put([]byte(text))
			return
		}
	case Number:
		put([]byte(plainNumber(value)))
		return
	}
	put(bytes.TrimSpace(value))
}
