// Package redact finds secrets in texts that somebody else wrote, in whatever
// spelling they are quoted. It knows nothing of the API.
package redact

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Shortest is the length in bytes of the shortest secret that is looked for. A shorter
// one occurs by chance in most texts, and tells more by what is hidden because of it
// than by what would be shown.
const Shortest = 4

// maxDepth is how often a text is decoded one way after another: JSON that stands in a
// text of JSON, say, and in a query.
const maxDepth = 3

// maxWork bounds the bytes that are looked at for one text. A text that unfolds to more
// is taken for one that holds a secret.
const maxWork = 16 << 20

// Holds reports whether a text holds one of the secrets: as it is, escaped as in JSON or
// a program's source, percent-encoded as in a path or a query, with HTML entities, or
// several of these one upon the other.
func Holds(text string, secrets []string) bool {
	if len(text) < Shortest {
		return false
	}
	needles := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		if len(secret) >= Shortest {
			needles = append(needles, secret)
		}
	}
	if len(needles) == 0 {
		return false
	}
	seen := map[string]bool{text: true}
	layer, work := []string{text}, 0
	for depth := 0; len(layer) > 0; depth++ {
		var next []string
		for _, form := range layer {
			if work += len(form); work > maxWork {
				return true
			}
			for _, needle := range needles {
				if strings.Contains(form, needle) {
					return true
				}
			}
			if depth == maxDepth {
				continue
			}
			for _, decode := range decoders {
				if plain := decode(form); !seen[plain] {
					seen[plain] = true
					next = append(next, plain)
				}
			}
		}
		layer = next
	}
	return false
}

// decoders undo one kind of escaping each. What is no proper escape stays as it is.
var decoders = []func(string) string{unescape, unpercent, unform, unentity}

// unescape undoes the escapes of JSON, and those that other languages have beside them.
func unescape(text string) string {
	return replace(text, '\\', func(rest string) (string, int) {
		if len(rest) < 2 {
			return "", 0
		}
		if at := strings.IndexByte(`"\/'bfnrtav`, rest[1]); at >= 0 {
			return "\"\\/'\b\f\n\r\t\a\v"[at : at+1], 2
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[1]]
		code, ok := number(rest[2:], digits)
		switch {
		case !ok:
			return "", 0
		case digits == 2:
			return string([]byte{byte(code)}), 4
		}
		if r := rune(code); digits == 4 && utf16.IsSurrogate(r) && strings.HasPrefix(rest[6:], `\u`) {
			if low, ok := number(rest[8:], 4); ok {
				if r = utf16.DecodeRune(r, rune(low)); r != utf8.RuneError {
					return string(r), 12
				}
			}
		}
		return string(rune(code)), 2 + digits
	})
}

// unpercent undoes the encoding of paths.
func unpercent(text string) string {
	return replace(text, '%', func(rest string) (string, int) {
		code, ok := number(rest[1:], 2)
		if !ok {
			return "", 0
		}
		return string([]byte{byte(code)}), 3
	})
}

// unform undoes the encoding of forms and queries, where a space is a plus.
func unform(text string) string {
	if strings.IndexByte(text, '+') < 0 {
		return text
	}
	return unpercent(strings.ReplaceAll(text, "+", " "))
}

var entities = map[string]string{"lt": "<", "gt": ">", "amp": "&", "quot": `"`, "apos": "'", "nbsp": "\u00a0"}

// unentity undoes the entities of HTML that encoders write.
func unentity(text string) string {
	return replace(text, '&', func(rest string) (string, int) {
		end := strings.IndexByte(rest[:min(len(rest), 12)], ';')
		if end < 0 {
			return "", 0
		}
		name := rest[1:end]
		if plain, ok := entities[name]; ok {
			return plain, end + 1
		}
		digits, ok := strings.CutPrefix(name, "#")
		if !ok {
			return "", 0
		}
		base := 10
		if hex := strings.TrimLeft(digits, "xX"); hex != digits {
			digits, base = hex, 16
		}
		code, err := strconv.ParseUint(digits, base, 21)
		if err != nil {
			return "", 0
		}
		return string(rune(code)), end + 1
	})
}

// replace puts what decode makes of each place that begins with mark; decode returns how
// many bytes it stands for, 0 for none.
func replace(text string, mark byte, decode func(rest string) (plain string, length int)) string {
	at := strings.IndexByte(text, mark)
	if at < 0 {
		return text
	}
	var b strings.Builder
	for ; at >= 0; at = strings.IndexByte(text, mark) {
		b.WriteString(text[:at])
		plain, length := decode(text[at:])
		if length == 0 {
			plain, length = text[at:at+1], 1
		}
		b.WriteString(plain)
		text = text[at+length:]
	}
	b.WriteString(text)
	return b.String()
}

// number reads so many hexadecimal digits.
func number(text string, digits int) (uint64, bool) {
	if digits == 0 || len(text) < digits {
		return 0, false
	}
	code, err := strconv.ParseUint(text[:digits], 16, 32)
	return code, err == nil
}
