// Package foreign finds the message in an answer that is not from the API: a page of a
// web server or of a device in between, or JSON of another form.
package foreign

import (
	"bytes"
	"html"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

// maxPage limits how much of a page is searched for its title.
const maxPage = 64 << 10

// Words returns the title of a page, or the message at the top level of a JSON object
// with its code, in the spelling of the server. It returns "" if there is none.
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

// message reads {"Code":70002,"Message":"…"} and similar objects. The names are those
// that web services use, the best first.
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

// title returns the text between the title tags.
func title(page []byte) string {
	lower := bytes.ToLower(page)
	if len(lower) != len(page) { // some letters have another length in lower case
		lower = page
	}
	for at := 0; ; {
		i := bytes.Index(lower[at:], []byte("<title"))
		if i < 0 {
			return ""
		}
		at += i + len("<title")
		inner, ok := bytes.CutPrefix(lower[at:], []byte(">"))
		if !ok { // attributes, or another tag
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
