package testkit

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/go-sps/sps"
)

// MemNet is an in-memory network with one host, and also the net.Listener of that host. Its
// connections have buffers, like those of a kernel, and work in a testing/synctest bubble.
type MemNet struct {
	Connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func NewMemNet() *MemNet {
	return &MemNet{Connections: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial returns an option that makes a client connect over this network.
func (n *MemNet) Dial() sps.Option {
	return sps.WithTransport(func(base http.RoundTripper) http.RoundTripper {
		base.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			client, server := MemPipe()
			select {
			case n.Connections <- server:
				return client, nil
			case <-n.closed:
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return base
	})
}

func (n *MemNet) Accept() (net.Conn, error) {
	select {
	case conn := <-n.Connections:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *MemNet) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *MemNet) Addr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "mem" }

func (memAddr) String() string { return "appliance.test" }

// MemPipe returns the two ends of a new in-memory connection.
func MemPipe() (client, server net.Conn) {
	there, back := newMemBuffer(), newMemBuffer()
	return &memConn{back, there}, &memConn{there, back}
}

type memConn struct{ in, out *memBuffer }

func (c *memConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *memConn) Write(p []byte) (int, error) { return c.out.write(p) }

func (c *memConn) Close() error {
	c.in.close(syscall.ECONNRESET)
	c.out.close(io.EOF)
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return memAddr{} }

func (c *memConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
func (c *memConn) SetReadDeadline(t time.Time) error  { c.in.deadline(&c.in.reading, t); return nil }
func (c *memConn) SetWriteDeadline(t time.Time) error { c.out.deadline(&c.out.writing, t); return nil }

// memBuffer holds the bytes that travel in one direction of a connection.
type memBuffer struct {
	mu               sync.Mutex
	changed          *sync.Cond
	data             []byte
	ended            error // read returns it after all data has been read
	reading, writing memDeadline
}

type memDeadline struct {
	timer *time.Timer
	over  bool
}

// memBuffered is the number of bytes that one direction of a connection can buffer.
const memBuffered = 64 << 10

func newMemBuffer() *memBuffer {
	b := &memBuffer{}
	b.changed = sync.NewCond(&b.mu)
	return b
}

func (b *memBuffer) read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.reading.over:
			return 0, os.ErrDeadlineExceeded
		case len(b.data) > 0:
			n := copy(p, b.data)
			b.data = b.data[n:]
			b.changed.Broadcast()
			return n, nil
		case b.ended != nil:
			return 0, b.ended
		case len(p) == 0:
			return 0, nil
		}
		b.changed.Wait()
	}
}

func (b *memBuffer) write(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(p) > 0 {
		switch space := memBuffered - len(b.data); {
		case b.writing.over:
			return n, os.ErrDeadlineExceeded
		case b.ended != nil:
			return n, syscall.EPIPE
		case space > 0:
			part := p[:min(space, len(p))]
			b.data = append(b.data, part...)
			p, n = p[len(part):], n+len(part)
			b.changed.Broadcast()
		default:
			b.changed.Wait()
		}
	}
	return n, nil
}

func (b *memBuffer) close(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil {
		b.ended = why
	}
	b.changed.Broadcast()
}

func (b *memBuffer) deadline(d *memDeadline, t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.over = !t.IsZero() && !t.After(time.Now())
	if !t.IsZero() && !d.over {
		timer := (*time.Timer)(nil)
		timer = time.AfterFunc(time.Until(t), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if d.timer == timer {
				d.over = true
				b.changed.Broadcast()
			}
		})
		d.timer = timer
	}
	b.changed.Broadcast()
}
