// Package pemtext reads the certificates in a PEM text. It reads each block separately, so
// that it can name a broken block and still read the others.
package pemtext

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sps/sps/internal/oneline"
)

// Text holds the result of reading a PEM text.
type Text struct {
	Certificates []*x509.Certificate
	Unread       []string // a description of each block that cannot be read, with the reason
	blocks       int
}

// Begin is the start of the first line of a block, and pemEnd the start of its last line.
const Begin, pemEnd = "-----BEGIN ", "-----END "

// Read reads the certificates in a PEM text. It returns an error if the text contains a
// private key, has another encoding such as UTF-16, or has no block. A block that it cannot
// read is not an error, but is listed in Unread.
func Read(text []byte) (*Text, error) {
	switch {
	case bytes.Contains(text, []byte("PRIVATE KEY-----")):
		return nil, errors.New("holds a private key; pass certificates only")
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return nil, errors.New("holds no certificate in PEM form: it is UTF-16, as some programs write it; save it as ASCII or UTF-8")
	}
	text = bytes.ReplaceAll(text, []byte("\ufeff"), nil) // remove the byte order mark that some programs write
	p := &Text{}
	line := 1
	for {
		before, rest, found := bytes.Cut(text, []byte(Begin))
		if !found {
			break
		}
		line += bytes.Count(before, []byte("\n"))
		text = rest
		block := rest
		if next := bytes.Index(rest, []byte(Begin)); next >= 0 {
			block, text = rest[:next], rest[next:]
		}
		p.add(append([]byte(Begin), block...), line)
		line += bytes.Count(rest[:len(rest)-len(text)], []byte("\n"))
	}
	if p.blocks == 0 {
		if _, err := x509.ParseCertificates(text); err == nil && len(text) > 0 {
			return nil, errors.New("holds no certificate in PEM form but one in DER form: convert it with openssl x509 -inform der")
		}
		return nil, errors.New("holds no certificate in PEM form")
	}
	return p, nil
}

// add reads the block that starts on the given line of the PEM text. Other text may follow
// the block.
func (p *Text) add(text []byte, line int) {
	p.blocks++
	certificate, err := readBlock(text)
	if err != nil {
		p.Unread = append(p.Unread, fmt.Sprintf("block %d (line %d): %s", p.blocks, line, err))
		return
	}
	p.Certificates = append(p.Certificates, certificate)
}

// readBlock returns the certificate in a block.
func readBlock(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, malformedBlock(text)
	}
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
	default:
		return nil, fmt.Errorf("it is a block of type %s, not CERTIFICATE", oneline.Quoted(block.Type))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, unreadable(err)
	}
	return certificate, nil
}

// malformedBlock returns an error with the reason why a text is not a valid block.
func malformedBlock(text []byte) error {
	_, inner, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case bytes.HasPrefix(inner, []byte(" ")), bytes.HasPrefix(inner, []byte("\t")):
		return errors.New("its lines are indented")
	case !bytes.Contains(text, []byte("\n"+pemEnd)):
		return errors.New("its end line is missing")
	}
	return errors.New("it is malformed: it is not base64, or its end line is that of another block")
}

// unreadable returns an error with the reason why a certificate cannot be read and, where
// there is one, a remedy.
func unreadable(err error) error {
	text := "Go cannot read the certificate: " + strings.TrimPrefix(oneline.Text(err.Error(), 200), "x509: ")
	if strings.Contains(text, "negative serial number") {
		text += " (set GODEBUG=x509negativeserial=1 to accept it)"
	}
	return errors.New(text)
}

// maxUnread is the maximum number of unreadable blocks whose descriptions Named returns.
const maxUnread = 5

// Named joins the descriptions of unreadable blocks to one text. It includes at most
// maxUnread descriptions, and the number of the others. It returns "" for an empty list.
func Named(unread []string) string {
	shown := unread[:min(len(unread), maxUnread)]
	text := strings.Join(shown, "; ")
	if more := len(unread) - len(shown); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// UnreadBlocks returns a text with the number of blocks that cannot be read and the
// descriptions of these blocks.
func (p *Text) UnreadBlocks() string {
	count := fmt.Sprintf("%d of the %d blocks", len(p.Unread), p.blocks)
	if p.blocks == 1 {
		count = "the one block"
	}
	return count + " of the PEM text cannot be read: " + Named(p.Unread)
}
