// Package redact finds secrets in texts from outside of the program, in plain and in escaped
// form. It contains nothing about the API.
package redact

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Shortest is the minimum length in bytes of a secret that [Holds] searches for. A shorter
// secret is likely to occur in a text by chance. If such texts were hidden, an observer
// could guess the secret from the texts that are hidden.
const Shortest = 4

// maxDepth is the maximum number of decoders that are applied to a text one after another,
// for example for JSON inside a JSON string inside a query.
const maxDepth = 3

// maxWork limits the number of bytes that are examined for one text. If a text and its
// decoded forms have more, [Holds] returns true.
const maxWork = 16 << 20

// Holds reports whether a text contains one of the secrets: plain, escaped as in JSON or
// source code, percent-encoded as in a path or a query, with HTML entities, or in a
// combination of these.
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

// decoders contains a function for each kind of escaping. A function leaves an invalid
// escape sequence unchanged.
var decoders = []func(string) string{unescape, unpercent, unform, unentity}

// unescape decodes the escape sequences of JSON and of programming languages.
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

// unpercent decodes the percent encoding of paths.
func unpercent(text string) string {
	return replace(text, '%', func(rest string) (string, int) {
		code, ok := number(rest[1:], 2)
		if !ok {
			return "", 0
		}
		return string([]byte{byte(code)}), 3
	})
}

// unform decodes the encoding of forms and queries, which writes a space as a plus sign.
func unform(text string) string {
	if strings.IndexByte(text, '+') < 0 {
		return text
	}
	return unpercent(strings.ReplaceAll(text, "+", " "))
}

var entities = map[string]string{"lt": "<", "gt": ">", "amp": "&", "quot": `"`, "apos": "'", "nbsp": "\u00a0"}

// unentity decodes the HTML entities that encoders write.
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

// replace replaces the sequences that start with mark by the results of decode. decode
// returns the number of bytes of the sequence, or 0 if the sequence is invalid.
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

// number parses the first digits bytes of text as a hexadecimal number.
func number(text string, digits int) (uint64, bool) {
	if digits == 0 || len(text) < digits {
		return 0, false
	}
	code, err := strconv.ParseUint(text[:digits], 16, 32)
	return code, err == nil
}
