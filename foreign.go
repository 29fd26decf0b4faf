package sps

import (
	"strconv"

	"github.com/go-sps/sps/internal/foreign"
)

// foreignWords quotes what an answer says in another form than the API's: the title of a
// page, or a message at the top. Nothing is decided by it.
func (x *exchange) foreignWords() string {
	text := foreign.Words(x.body)
	switch {
	case text == "":
		return ""
	case x.veil().holds(text):
		return ": " + notShown
	}
	return ": " + strconv.Quote(oneLine(text, 200))
}
