// Package pemtext reads the certificates of texts in PEM form, each block by itself: what is
// wrong with one does not hide the others, and is named.
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

// Text is what a text in PEM form holds.
type Text struct {
	Certificates []*x509.Certificate
	Unread       []string // the blocks that cannot be read, with the reason
	blocks       int
}

// Begin is how the first line of a block begins.
const Begin, pemEnd = "-----BEGIN ", "-----END "

// Read reads the certificates of a text. A private key in it is refused, and so is
// what is no text of bytes.
func Read(text []byte) (*Text, error) {
	switch {
	case bytes.Contains(text, []byte("PRIVATE KEY-----")):
		return nil, errors.New("holds a private key; pass certificates only")
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return nil, errors.New("holds no certificate in PEM form: it is UTF-16, as some programs write it; save it as ASCII or UTF-8")
	}
	text = bytes.ReplaceAll(text, []byte("\ufeff"), nil) // the mark that some programs begin a file with
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

// add reads a block, which may have other text behind it.
func (p *Text) add(text []byte, line int) {
	p.blocks++
	certificate, err := readBlock(text)
	if err != nil {
		p.Unread = append(p.Unread, fmt.Sprintf("block %d (line %d): %s", p.blocks, line, err))
		return
	}
	p.Certificates = append(p.Certificates, certificate)
}

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

// malformedBlock says why a block is none.
func malformedBlock(text []byte) error {
	_, inner, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case bytes.HasPrefix(inner, []byte(" ")), bytes.HasPrefix(inner, []byte("\t")):
		return errors.New("its lines are indented")
	case !bytes.Contains(text, []byte("\n"+pemEnd)):
		return errors.New("its end line is missing")
	}
	return errors.New("it is malformed: no base64, or the end line of another block")
}

// unreadable says why a certificate cannot be read, and what helps.
func unreadable(err error) error {
	text := "Go cannot read the certificate: " + strings.TrimPrefix(oneline.Text(err.Error(), 200), "x509: ")
	if strings.Contains(text, "negative serial number") {
		text += " (it does where the program runs with GODEBUG=x509negativeserial=1)"
	}
	return errors.New(text)
}

// maxUnread bounds how many blocks a text names.
const maxUnread = 5

// Named tells which blocks cannot be read, in words; "" for none.
func Named(unread []string) string {
	shown := unread[:min(len(unread), maxUnread)]
	text := strings.Join(shown, "; ")
	if more := len(unread) - len(shown); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// UnreadBlocks says how many blocks cannot be read, and which.
func (p *Text) UnreadBlocks() string {
	count := fmt.Sprintf("%d of the %d blocks", len(p.Unread), p.blocks)
	if p.blocks == 1 {
		count = "the one block"
	}
	return count + " of the PEM text cannot be read: " + Named(p.Unread)
}
