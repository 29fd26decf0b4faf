package spstest

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// trailBlock is the length of the block that a recording repeats. Each copy of the block
// starts with its number.
const trailBlock = 64 << 10

// stream is a response body that is generated while it is read.
type stream struct {
	open    func() io.Reader
	size    int64
	chunked bool // the response has no Content-Length
}

// length returns the value of Content-Length, or -1 if the response has none.
func (s *stream) length() int64 {
	if s.chunked {
		return -1
	}
	return s.size
}

// size returns the length of the response body.
func (ans *answer) size() int64 {
	if ans.stream != nil {
		return ans.stream.size
	}
	return int64(len(ans.body))
}

// content returns a reader of the response body.
func (ans *answer) content() io.Reader {
	if ans.stream != nil {
		return ans.stream.open()
	}
	return &blockReader{block: ans.body, size: int64(len(ans.body))}
}

func (a *Appliance) writeStream(w http.ResponseWriter, out outcome) {
	if n := out.stream.length(); n >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	w.WriteHeader(out.status)
	if _, err := io.Copy(w, out.content()); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// streamBody is a response body in process. Reading it fails after the request's context
// has ended or the appliance was closed.
type streamBody struct {
	ctx    context.Context
	closed <-chan struct{}
	mu     sync.Mutex
	done   bool
	from   io.Reader
}

func (b *streamBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return 0, http.ErrBodyReadAfterClose
	}
	select {
	case <-b.closed:
		return 0, io.ErrUnexpectedEOF
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	default:
		return b.from.Read(p)
	}
}

func (b *streamBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
	return nil
}

// blockReader returns size bytes: copies of a block, one after the other.
type blockReader struct {
	block   []byte
	stamped bool // each copy of the block starts with its number
	at      int64
	size    int64
}

// next returns the rest of the current block.
func (r *blockReader) next() []byte {
	if r.at >= r.size {
		return nil
	}
	in := r.at % int64(len(r.block))
	if in == 0 && r.stamped {
		binary.BigEndian.PutUint64(r.block, uint64(r.at)/uint64(len(r.block)))
	}
	return r.block[in:min(int64(len(r.block)), in+r.size-r.at)]
}

func (r *blockReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		rest := r.next()
		if rest == nil {
			break
		}
		m := copy(p[n:], rest)
		n, r.at = n+m, r.at+int64(m)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// WriteTo writes the blocks to w without copying them to another buffer.
func (r *blockReader) WriteTo(w io.Writer) (n int64, err error) {
	for rest := r.next(); rest != nil; rest = r.next() {
		m, err := w.Write(rest)
		n, r.at = n+int64(m), r.at+int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// trail returns a reader of the recording of a session in a format.
func (v *auditView) trail(format string) *blockReader {
	block := make([]byte, trailBlock)
	z := v.hash
	if format == formatSRS {
		z = mix(z)
	}
	for i := 0; i < len(block); i += 8 {
		z += golden
		binary.LittleEndian.PutUint64(block[i:], mix(z))
	}
	return &blockReader{block: block, stamped: true, size: v.trailSize()}
}

const formatSRS = "srs"

// AuditTrail returns the content and the size of a recording, to compare a download with.
// format is "" or "srs", like the parameter of the API. It returns false if the session
// does not exist or has no recording.
func (a *Appliance) AuditTrail(key, format string) (content io.Reader, size int64, ok bool) {
	a.enter()
	defer a.mu.Unlock()
	index, ok := a.audit.find(key)
	if !ok {
		return nil, 0, false
	}
	v := a.audit.view(index)
	if !v.hasTrail() {
		return nil, 0, false
	}
	return v.trail(format), v.trailSize(), true
}

// downloadTrail answers GET audit_trail, and adds the download to the list of
// trail_downloads.
func (a *Appliance) downloadTrail(x *exchange) answer {
	v, ok := a.sessionAt(x)
	format := x.query.Get("format")
	switch {
	case !ok:
		return a.notFound(x)
	case format != "" && format != formatSRS && format != "zat":
		return a.syntacticError(x, href(x.path), "The format is not known")
	case !v.hasTrail(), v.record.active() && format != formatSRS && a.variant("trail-running") == "refused":
		return a.refuseHere(x, "trail-missing", "The session has no audit trail")
	}
	a.audit.downloads[v.index] = append(a.audit.downloads[v.index], trailDownload{a.now().UnixMilli(), ownerOf(x).address, x.session.user.name})
	extension := ".zat"
	if format == formatSRS {
		extension = ".srs"
	}
	ans := empty(http.StatusOK)
	ans.header.Set("Content-Type", "application/octet-stream")
	ans.header.Set("Content-Disposition", `attachment; filename="`+v.id()+extension+`"`)
	ans.stream = &stream{open: func() io.Reader { return v.trail(format) }, size: v.trailSize(), chunked: a.variant("trail-length") == "unknown"}
	return ans
}
