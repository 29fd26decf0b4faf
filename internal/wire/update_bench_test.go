package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-sps/sps/internal/wire"
)

// listChange is a change of a long list, with the three arguments of Update.
type listChange struct {
	name                    string
	original, before, after []byte
	merged                  []byte // the expected result, or nil if it is ErrAmbiguous
}

// listOf returns a list of n elements.
func listOf(n int, element func(int) string) []byte {
	elements := make([]string, n)
	for i := range elements {
		elements[i] = element(i)
	}
	return []byte("[" + strings.Join(elements, ",") + "]")
}

// listChanges returns changes of a list of n elements for which Update would be slow if it
// compared each element with every other element. The user's type does not have the member
// u.
func listChanges(n int) []listChange {
	list := func(element func(int) string) []byte { return listOf(n, element) }
	text := func(i int) string { return fmt.Sprintf(`"host-%d.example.com"`, i) }
	row := func(more string, i, port int) string {
		return fmt.Sprintf(`{%s"address":"10.%d.%d.%d","port":%d,"enabled":true}`, more, i>>16, i>>8&255, i&255, port)
	}
	unknown := func(i int) string { return fmt.Sprintf(`"u":%d,`, i) }
	key := func(i int) string { return fmt.Sprintf(`"key":"%d",`, i) }
	one := func(i int) int {
		if i == n/2 {
			return 443
		}
		return 22
	}
	half := func(i int) int { return i + i%2*n }
	return []listChange{
		{
			"one of a keyless list changed",
			list(func(i int) string { return row(unknown(i), i, 22) }),
			list(func(i int) string { return row("", i, 22) }),
			list(func(i int) string { return row("", i, one(i)) }),
			list(func(i int) string { return row(unknown(i), i, one(i)) }),
		},
		{
			"a text removed and one added",
			list(text), list(text),
			list(func(i int) string { return text(i + 1) }),
			list(func(i int) string { return text(i + 1) }),
		},
		{
			"half replaced by new keys",
			list(func(i int) string { return row(key(i)+unknown(i), i, 22) }),
			list(func(i int) string { return row(key(i), i, 22) }),
			list(func(i int) string { return row(key(half(i)), i, 22) }),
			list(func(i int) string {
				if half(i) != i {
					return row(key(half(i)), i, 22)
				}
				return row(key(i)+unknown(i), i, 22)
			}),
		},
		{
			"all of a keyless list changed",
			list(func(i int) string { return row(unknown(i), i, 22) }),
			list(func(i int) string { return row("", i, 22) }),
			list(func(i int) string { return row("", i+n, 443) }),
			list(func(i int) string { return row(unknown(i), i+n, 443) }),
		},
	}
}

func BenchmarkUpdateList(b *testing.B) {
	for _, n := range []int{4000, 30_000, 100_000} {
		for _, change := range listChanges(n) {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(change.name, " ", "-"), n), func(b *testing.B) {
				for b.Loop() {
					if _, err := wire.Update(b.Context(), change.original, change.before, change.after); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
