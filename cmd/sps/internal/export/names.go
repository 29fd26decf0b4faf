package export

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

const (
	index     = "_export.json"
	extension = ".json"
)

// fileName gives the file of a path, with slashes. It has the segments of the path,
// and in them %xx for every byte that is not safe in a file name everywhere:
// different paths have different files also where cases do not count, no file can
// be mistaken for a folder or be outside, and the path can be told from the file.
func fileName(p string) string {
	segments := strings.Split(p, "/")
	for i, segment := range segments {
		segments[i] = escape(segment)
	}
	return strings.Join(segments, "/") + extension
}

func escape(segment string) string {
	var b strings.Builder
	for i, c := range []byte(segment) {
		safe := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !safe || i == 0 && device(segment) {
			fmt.Fprintf(&b, "%%%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// device tells the names that are devices on Windows, whatever follows a dot.
func device(name string) bool {
	switch name {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(name) == 4 && (name[:3] == "com" || name[:3] == "lpt") && name[3] >= '0' && name[3] <= '9'
}

// pathOf is the reverse of fileName.
func pathOf(file string) (string, bool) {
	p, err := url.PathUnescape(strings.TrimSuffix(file, extension))
	return p, err == nil && path.Ext(file) == extension && fileName(p) == file
}
