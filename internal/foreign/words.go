// Package foreign finds the message in a response that does not come from the API, but for
// example from a web server or a proxy: an HTML page, or JSON of another form.
package foreign

import (
	"bytes"
	"html"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// maxPage is the number of bytes at the start of a page in which title searches.
const maxPage = 64 << 10

// Words returns the title of an HTML page, or the message of a JSON object with its code. It
// returns "" if there is none. Words does not make the text safe for a terminal.
func Words(body []byte) string {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\ufeff")), " \t\r\n")
	switch {
	case len(body) == 0:
		return ""
	case body[0] == '{':
		return message(body)
	case body[0] == '<':
		return title(body[:min(len(body), maxPage)])
	}
	return ""
}

// message returns the message and the code of objects such as
// {"Code":70002,"Message":"…"}. It tries the names that web services use, starting with the
// most specific one.
func message(body []byte) string {
	members, err := wire.Members(body)
	if err != nil {
		return ""
	}
	find := func(names ...string) string {
		for _, name := range names {
			for _, m := range members {
				if text, ok := wire.Text(m.Value); ok && strings.EqualFold(m.Name, name) && strings.TrimSpace(text) != "" {
					return strings.TrimSpace(text)
				}
			}
		}
		return ""
	}
	text, code := find("message", "error_description", "detail", "title"), find("code")
	if text != "" && code != "" {
		text += " (code " + code + ")"
	}
	return text
}

// title returns the text of the first title element of a page.
func title(page []byte) string {
	lower := bytes.ToLower(page)
	if len(lower) != len(page) { // some letters have a different length in lower case
		lower = page
	}
	for at := 0; ; {
		i := bytes.Index(lower[at:], []byte("<title"))
		if i < 0 {
			return ""
		}
		at += i + len("<title")
		inner, ok := bytes.CutPrefix(lower[at:], []byte(">"))
		if !ok { // the tag has attributes, or is another tag such as <titles>
			end := bytes.IndexByte(lower[at:], '>')
			if end < 0 || lower[at] != ' ' && lower[at] != '\n' && lower[at] != '\t' && lower[at] != '\r' {
				continue
			}
			inner = lower[at+end+1:]
		}
		text := page[len(page)-len(inner):]
		end := bytes.Index(inner, []byte("</title"))
		if end < 0 {
			return ""
		}
		return strings.Join(strings.Fields(html.UnescapeString(string(text[:end]))), " ")
	}
}
