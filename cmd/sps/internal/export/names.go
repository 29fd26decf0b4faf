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

// fileName returns the name of the file for a path, with slashes. The name has the segments of
// the path. A byte that is not safe in file names on each system is written as %xx. So different
// paths have different names, even on systems that ignore the case of letters. No name leaves
// the folder, and no name of a file equals the name of a folder. pathOf returns the path.
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

// device reports whether a name is the name of a device on Windows.
func device(name string) bool {
	switch name {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(name) == 4 && (name[:3] == "com" || name[:3] == "lpt") && name[3] >= '0' && name[3] <= '9'
}

// pathOf returns the path for which fileName returns file. It returns false if there is none.
func pathOf(file string) (string, bool) {
	p, err := url.PathUnescape(strings.TrimSuffix(file, extension))
	return p, err == nil && path.Ext(file) == extension && fileName(p) == file
}
