package wire

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func TestDigest(t *testing.T) {
	t.Parallel()
	sum := func(value string) [32]byte {
		h := sha256.New()
		Digest(h, []byte(value))
		return [32]byte(h.Sum(nil))
	}
	for _, same := range [][2]string{
		{`{"a":1,"b":[true,null]}`, ` { "b" : [ true , null ] , "a" : 1.0 } `},
		{`"aä"`, `"a\u00e4"`},
		{`100`, `1e2`},
		{`-0`, `0.000e7`},
		{`12345678901234567890.50`, `1234567890123456789050e-2`},
		{`[]`, `[ ]`},
	} {
		if sum(same[0]) != sum(same[1]) {
			t.Errorf("%s and %s have different digests", same[0], same[1])
		}
	}
	for _, other := range [][2]string{
		{`[1,2]`, `[2,1]`}, {`{"a":null}`, `{}`}, {`"1"`, `1`}, {`[["a"],"b"]`, `[["a","b"]]`}, {`""`, `null`},
		{`{"a":"b"}`, `{"ab":""}`}, {`9007199254740993`, `9007199254740992`}, {`{"a":{}}`, `{"a":[]}`}, {`true`, `false`}, {`1.00000000000000000001`, `1`}, {`-1`, `1`}, {`1e99999999999999999999`, `1e99999999999999999998`}, {`1e400`, `1e401`},
	} {
		if sum(other[0]) == sum(other[1]) {
			t.Errorf("%s and %s have the same digest", other[0], other[1])
		}
	}
}

// TestDigestOfLongText checks strings whose lengths are close to the size of the buffer: the
// digest does not depend on the spelling, and differs if one byte differs.
func TestDigestOfLongText(t *testing.T) {
	t.Parallel()
	sum := func(value string) [sha256.Size]byte {
		h := sha256.New()
		Digest(h, []byte(value))
		return [sha256.Size]byte(h.Sum(nil))
	}
	for _, n := range []int{flushAt - 10, flushAt - 9, flushAt - 1, flushAt, flushAt + 1, 3*flushAt - 9, 3 * flushAt} {
		text := strings.Repeat("x", n)
		one, same, other := sum(`["a","`+text+`"]`), sum(`[ "\u0061" ,"`+text+`"]`), sum(`["a","`+text[:n-1]+`y"]`)
		if one != same || one == other {
			t.Errorf("%d bytes: the digests are wrong", n)
		}
	}
}
