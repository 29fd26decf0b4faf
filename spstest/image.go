package spstest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"
)

// imageMagic is the start of the first line of a simulated image. The format of real
// images is not documented.
const imageMagic = "SPS-FIRMWARE "

// imageHead is how many bytes from the start of an image are stored to read its version.
const imageHead = 64 << 10

// imageBlock is the length of the block that an image repeats after its first line. Each
// copy of the block starts with its number, so that the copies differ.
const imageBlock = 4096

var imageFiller = func() []byte {
	filler := make([]byte, 0, imageBlock)
	for sum := sha256.Sum256([]byte(imageMagic)); len(filler) < imageBlock; sum = sha256.Sum256(sum[:]) {
		filler = append(filler, sum[:]...)
	}
	return filler
}()

// Image returns a firmware image of the given size: the line "SPS-FIRMWARE <version>",
// followed by filler bytes that are the same in each run. The content is generated while
// it is read, so a large image needs no memory. Use [io.NewSectionReader] to read it as a
// stream. If size is shorter than the first line, the image is invalid.
func Image(version string, size int64) io.ReaderAt {
	return image{imageMagic + version + "\n", size}
}

// ImageSHA256 returns the SHA-256 of the [Image] with the same arguments, in lower-case
// hexadecimal digits.
func ImageSHA256(version string, size int64) string {
	h := sha256.New()
	_, _ = io.Copy(h, io.NewSectionReader(Image(version, size), 0, size))
	return hex.EncodeToString(h.Sum(nil))
}

type image struct {
	line string
	size int64
}

func (i image) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("spstest: image read at a negative offset")
	}
	if left := max(i.size-off, 0); int64(len(p)) > left {
		p, err = p[:left], io.EOF
	}
	for n < len(p) {
		n += i.copy(p[n:], off+int64(n))
	}
	return n, err
}

// copy copies the bytes from off up to the end of the first line or of a block.
func (i image) copy(p []byte, off int64) int {
	if off < int64(len(i.line)) {
		return copy(p, i.line[off:])
	}
	off -= int64(len(i.line))
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(off/imageBlock))
	at := int(off % imageBlock)
	if at < len(number) {
		return copy(p, number[at:])
	}
	return copy(p, imageFiller[at:])
}

// imageVersion reads the version from the first line of an image. ok is false if the line
// is not that of an image.
func imageVersion(head []byte) (version string, ok bool) {
	line, _, ended := bytes.Cut(head, []byte("\n"))
	version, ok = strings.CutPrefix(string(line), imageMagic)
	return version, ok && ended && version != "" && strings.Join(strings.Fields(version), "") == version
}

// digest computes the size and the hash of an image, and keeps its first bytes.
type digest struct {
	size int64
	hash hash.Hash
	head []byte
}

func newDigest() *digest {
	return &digest{hash: sha256.New(), head: make([]byte, 0, imageHead)}
}

func (d *digest) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	d.head = append(d.head, p[:min(len(p), cap(d.head)-len(d.head))]...)
	return d.hash.Write(p)
}

func (d *digest) sum() string { return hex.EncodeToString(d.hash.Sum(nil)) }
