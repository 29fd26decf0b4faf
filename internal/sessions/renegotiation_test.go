package sessions

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/internal/testkit"
)

// TestRenegotiation logs in at a server that requests the client's certificate after it has
// read the HTTP request, as some web servers with TLS 1.2 do. Go's crypto/tls cannot act as
// such a server, so this file contains one. The test checks that the client renegotiates once,
// and only if it has a certificate.
func TestRenegotiation(t *testing.T) {
	t.Parallel()
	user := issue(t, nil, "user")
	password := sps.UsernamePassword("admin", sps.NewSecretString("secret"))
	for name, test := range map[string]struct {
		credential sps.Credential
		often      int // the number of certificate requests on a connection
		text       string
		asked      int
	}{
		"a certificate":                      {sps.ClientCertificate(chainOf(user).Certificates[0]), 1, "", 1},
		"a certificate, requested twice":     {sps.ClientCertificate(chainOf(user).Certificates[0]), 2, "no renegotiation", 2},
		"a password":                         {password, 1, "no renegotiation", 1},
		"a password, no certificate request": {password, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newAsking(t, issue(t, nil, "server"), test.often)
			c, err := sps.Connect(t.Context(), server.address, test.credential, testkit.Quick, sps.WithPinnedCertificates(server.pin))
			if err == nil {
				err = c.Close(context.Background())
			}
			server.stop()
			var broken *sps.TransportError
			switch {
			case test.text == "" && err != nil:
				t.Error(err)
			case test.text != "" && (!errors.As(err, &broken) || broken.Attempts != 1 || !strings.Contains(err.Error(), test.text)):
				t.Errorf("error %v, want %q after one attempt", err, test.text)
			}
			testkit.Diff(t, "asked", test.asked, server.asked)
			want := [][]byte(nil)
			if test.asked > 0 && name != "a password" {
				want = [][]byte{user.Raw}
			}
			testkit.Diff(t, "certificates", want, server.shown)
			for _, err := range server.failed {
				if test.text == "" {
					t.Errorf("server: %v", err)
				}
			}
		})
	}
}

// asking is a minimal TLS 1.2 server with one key exchange, one cipher suite, and
// renegotiation. It requests the certificate of the client after it has read a request.
type asking struct {
	address, pin string
	often        int // the number of certificate requests on each connection
	certificate  *issued
	stop         func()

	asked  int
	shown  [][]byte // the certificates that clients sent
	failed []error
}

func newAsking(t *testing.T, certificate *issued, often int) *asking {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &asking{address: listener.Addr().String(), pin: sps.CertificateFingerprint(certificate.Certificate), often: often, certificate: certificate}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for { // serves one connection at a time, so that connections share no state
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if err := s.serve(conn); err != nil && err != io.EOF {
				s.failed = append(s.failed, err)
			}
			conn.Close()
		}
	}()
	s.stop = sync.OnceFunc(func() { listener.Close(); <-done })
	t.Cleanup(s.stop)
	return s
}

// serve answers the requests on one connection.
func (s *asking) serve(conn net.Conn) error {
	c := &askingConn{Conn: conn, s: s}
	if err := c.handshake(false); err != nil {
		return err
	}
	requests, asked := bufio.NewReader(c), 0
	for {
		r, err := http.ReadRequest(requests)
		if err != nil {
			return err
		}
		for ; asked < s.often; asked++ {
			s.asked++
			if err := c.write(recordHandshake, make([]byte, 4)); err != nil { // a HelloRequest
				return err
			}
			if err := c.handshake(true); err != nil {
				return err
			}
		}
		cookie := ""
		if r.Method == http.MethodGet {
			cookie = "Set-Cookie: session_id=0123456789; Path=/; Secure\r\n"
		}
		if err := c.write(recordData, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: 2\r\n\r\n{}", cookie)); err != nil {
			return err
		}
	}
}

const recordCipher, recordAlert, recordHandshake, recordData = 20, 21, 22, 23

type askingConn struct {
	net.Conn
	s            *asking
	in, out      *askingCipher // nil before encryption begins
	data         []byte        // application data that is not read yet
	messages     []byte        // handshake messages that are not read yet
	transcript   []byte
	mine, theirs []byte // the verify data of the last handshake
}

type askingCipher struct {
	cipher.AEAD
	salt []byte
	seq  uint64
}

func (c *askingCipher) nonce(explicit []byte) []byte { return append(bytes.Clone(c.salt), explicit...) }

func (c *askingCipher) more(kind byte, size int) []byte {
	additional := binary.BigEndian.AppendUint64(nil, c.seq)
	c.seq++
	return append(additional, kind, 3, 3, byte(size>>8), byte(size))
}

// record reads one TLS record and decrypts it.
func (c *askingConn) record() (kind byte, body []byte, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(c.Conn, head); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(c.Conn, body); err != nil {
		return 0, nil, err
	}
	if c.in != nil {
		if len(body) < 24 {
			return 0, nil, errors.New("a short record")
		}
		if body, err = c.in.Open(nil, c.in.nonce(body[:8]), body[8:], c.in.more(head[0], len(body)-24)); err != nil {
			return 0, nil, err
		}
	}
	if head[0] == recordAlert {
		if len(body) == 2 && body[1] == 0 {
			return 0, nil, io.EOF
		}
		return 0, nil, fmt.Errorf("the client's alert %v", body)
	}
	return head[0], body, nil
}

// write encrypts and writes one TLS record.
func (c *askingConn) write(kind byte, body []byte) error {
	if c.out != nil {
		explicit := binary.BigEndian.AppendUint64(nil, c.out.seq)
		body = c.out.Seal(explicit, c.out.nonce(explicit), body, c.out.more(kind, len(body)))
	}
	_, err := c.Conn.Write(append([]byte{kind, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...))
	return err
}

// Read reads application data.
func (c *askingConn) Read(p []byte) (int, error) {
	for len(c.data) == 0 {
		kind, body, err := c.record()
		if err != nil {
			return 0, err
		}
		if kind != recordData {
			return 0, fmt.Errorf("got a record of type %d, want application data", kind)
		}
		c.data = body
	}
	n := copy(p, c.data)
	c.data = c.data[n:]
	return n, nil
}

// message reads one handshake message of the given type.
func (c *askingConn) message(kind byte) ([]byte, error) {
	for {
		if m := c.messages; len(m) >= 4 {
			if size := 4 + int(m[1])<<16 + int(m[2])<<8 + int(m[3]); len(m) >= size {
				if m[0] != kind {
					return nil, fmt.Errorf("message %d, want %d", m[0], kind)
				}
				c.messages = m[size:]
				c.transcript = append(c.transcript, m[:size]...)
				return m[4:size], nil
			}
		}
		record, body, err := c.record()
		if err != nil {
			return nil, err
		}
		if record != recordHandshake {
			return nil, fmt.Errorf("got a record of type %d, want a handshake record", record)
		}
		c.messages = append(bytes.Clone(c.messages), body...)
	}
}

// say writes one handshake message.
func (c *askingConn) say(kind byte, body []byte) error {
	m := append([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	c.transcript = append(c.transcript, m...)
	return c.write(recordHandshake, m)
}

func prefixed(size int, body []byte) []byte {
	length := binary.BigEndian.AppendUint64(nil, uint64(len(body)))
	return append(length[8-size:], body...)
}

// prf is the pseudorandom function of TLS 1.2, from which keys are derived.
func prf(secret []byte, label string, seed []byte, size int) (out []byte) {
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, secret)
		for _, part := range parts {
			h.Write(part)
		}
		return h.Sum(nil)
	}
	seed = append([]byte(label), seed...)
	for a := mac(seed); len(out) < size; a = mac(a) {
		out = append(out, mac(a, seed)...)
	}
	return out[:size]
}

// handshake performs a handshake. If again is true, it is a renegotiation that requests the
// client's certificate.
func (c *askingConn) handshake(again bool) error {
	c.transcript = nil
	hello, err := c.message(1)
	if err != nil {
		return err
	}
	clientRandom, serverRandom := hello[2:34], make([]byte, 32)
	_, _ = rand.Read(serverRandom)
	var before []byte // the verify data of the previous handshake
	if again {
		before = append(bytes.Clone(c.theirs), c.mine...)
	}
	extension := append([]byte{0xff, 0x01}, prefixed(2, prefixed(1, before))...)
	answer := append([]byte{3, 3}, serverRandom...)
	answer = append(answer, 0, 0xc0, 0x2b, 0) // no session ID, ECDHE-ECDSA with AES-128-GCM, no compression
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	exchange := append([]byte{3, 0, 29}, prefixed(1, own.PublicKey().Bytes())...)
	sum := sha256.Sum256(append(append(bytes.Clone(clientRandom), serverRandom...), exchange...))
	signature, err := ecdsa.SignASN1(rand.Reader, c.s.certificate.key.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		return err
	}
	exchange = append(append(exchange, 4, 3), prefixed(2, signature)...)
	err = errors.Join(
		c.say(2, append(answer, prefixed(2, extension)...)),
		c.say(11, prefixed(3, prefixed(3, c.s.certificate.Raw))),
		c.say(12, exchange))
	if again {
		err = errors.Join(err, c.say(13, []byte{1, 64, 0, 2, 4, 3, 0, 0})) // CertificateRequest for an ECDSA certificate with P-256 and SHA-256 from any authority
	}
	if err = errors.Join(err, c.say(14, nil)); err != nil {
		return err
	}
	if again {
		shown, err := c.message(11)
		if err != nil {
			return err
		}
		if len(shown) > 6 {
			c.s.shown = append(c.s.shown, bytes.Clone(shown[6:6+int(shown[3])<<16+int(shown[4])<<8+int(shown[5])]))
		}
	}
	key, err := c.message(16)
	if err != nil {
		return err
	}
	theirs, err := ecdh.X25519().NewPublicKey(key[1:])
	if err != nil {
		return err
	}
	shared, err := own.ECDH(theirs)
	if err != nil {
		return err
	}
	if again {
		if _, err := c.message(15); err != nil {
			return err
		}
	}
	master := prf(shared, "master secret", append(bytes.Clone(clientRandom), serverRandom...), 48)
	keys := prf(master, "key expansion", append(bytes.Clone(serverRandom), clientRandom...), 40)
	in, out := newAskingCipher(keys[:16], keys[32:36]), newAskingCipher(keys[16:32], keys[36:])
	if kind, _, err := c.record(); err != nil || kind != recordCipher {
		return fmt.Errorf("got a record of type %d, want ChangeCipherSpec: %w", kind, err)
	}
	c.in = in
	sum = sha256.Sum256(c.transcript)
	if c.theirs, err = c.message(20); err != nil {
		return err
	}
	if !bytes.Equal(c.theirs, prf(master, "client finished", sum[:], 12)) {
		return errors.New("another end of the handshake")
	}
	if err := c.write(recordCipher, []byte{1}); err != nil {
		return err
	}
	c.out = out
	sum = sha256.Sum256(c.transcript)
	c.mine = prf(master, "server finished", sum[:], 12)
	return c.say(20, c.mine)
}

func newAskingCipher(key, salt []byte) *askingCipher {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &askingCipher{AEAD: aead, salt: salt}
}
