package audit

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sps/sps/internal/wire"
)

// decoder decodes JSON into the types of this package in one pass. A method that reads a
// value skips the value if its type is unexpected.
type decoder struct {
	wire.Scanner
	dotted bool // a member of a session has a dot in its name

	// These fields are used only by Unknown: the members without a field, the name of the
	// current member, and the names of the members that contain it.
	unknown map[string]json.RawMessage
	name    string
	path    []string

	// few is memory for the lists of strings of one session. kept holds strings that
	// occur in many sessions, which share them. The other strings of a session share one
	// allocation, which settle makes at the end.
	few   []string
	kept  [512]string
	later []laterText

	// A temporary session for encode, and whether it is in use.
	spare struct {
		session Session
		groups  groups
		used    bool
	}
}

// laterText is a string that settle will store.
type laterText struct {
	text       []byte
	into, kept *string // kept is nil for a string that is not shared
}

var (
	decoders = sync.Pool{New: func() any { return new(decoder) }}
	seed     = maphash.MakeSeed()
)

// newDecoder takes a decoder for a JSON text from the pool. The caller must call
// giveBack.
func newDecoder(data []byte) *decoder {
	d := decoders.Get().(*decoder)
	d.Reset(data)
	d.dotted = false
	return d
}

func (d *decoder) giveBack() {
	d.Reset(nil)
	d.unknown, d.name, d.path, d.few = nil, "", nil, nil
	d.forget()
	if d.spare.used {
		d.spare.session, d.spare.groups, d.spare.used = Session{}, groups{}, false
	}
	decoders.Put(d)
}

// record is a type of this package that decodes from one object of the appliance.
type record[T any] interface {
	*T
	// read reads all fields except Raw into a zero value.
	read(d *decoder, data []byte) error
	// raw returns the field Raw.
	raw() *json.RawMessage
	// equal reports whether all fields except Raw are equal.
	equal(*T) bool
	// scratch returns a zero value that may be used until giveBack.
	scratch(d *decoder) *T
}

func decode[T any, R record[T]](into R, data []byte) error {
	d := newDecoder(data)
	defer d.giveBack()
	*into = *new(T)
	if err := into.read(d, data); err != nil {
		*into = *new(T)
		return err
	}
	*into.raw() = oneLine(bytes.TrimSpace(data))
	return nil
}

// oneLine copies JSON without its line breaks, which occur only between values.
func oneLine(data []byte) []byte {
	line := bytes.Clone(data)
	if bytes.IndexByte(line, '\n') < 0 && bytes.IndexByte(line, '\r') < 0 {
		return line
	}
	return slices.DeleteFunc(line, func(b byte) bool { return b == '\n' || b == '\r' })
}

// unknown decodes the value again and returns the members without a field.
func unknown[T any, R record[T]](r R) map[string]json.RawMessage {
	raw, found := *r.raw(), map[string]json.RawMessage{}
	if wire.Valid(raw) != nil {
		return found
	}
	d := newDecoder(raw)
	defer d.giveBack()
	d.unknown = found
	if R(new(T)).read(d, raw) != nil {
		clear(found)
	}
	return found
}

// enter starts to read an object. It returns false and skips the value if the value is
// not an object.
func (d *decoder) enter() bool {
	if !d.Enter(wire.Object) {
		d.other()
		return false
	}
	d.push()
	return true
}

// next moves to the next member of the object.
func (d *decoder) next() (name []byte, ok bool) {
	name, ok = d.Member()
	if d.unknown == nil {
		return name, ok
	}
	if d.name = string(name); !ok {
		d.pop()
	}
	return name, ok
}

func (d *decoder) push() {
	if d.unknown != nil {
		d.path = append(d.path, d.name)
	}
}

func (d *decoder) pop() {
	if d.unknown != nil && len(d.path) > 0 {
		d.path = d.path[:len(d.path)-1]
	}
}

// other skips a value that has no field or does not fit into its field.
func (d *decoder) other() { d.unfit(d.Value()) }

func (d *decoder) unfit(value []byte) {
	if d.unknown == nil || wire.Kind(value) == wire.Null {
		return
	}
	name := d.name
	if len(d.path) > 1 { // the first name is "body"
		name = strings.Join(d.path[1:], ".") + "." + name
	}
	d.unknown[name] = bytes.Clone(value)
}

// asText reads a string or a number as a text. It keeps the digits of a number.
func (d *decoder) asText() (text string, ok bool) {
	quoted, escaped, ok := d.Text()
	switch {
	case escaped:
		text, _ := wire.Text(quoted) // invalid Unicode becomes U+FFFD
		return text, true
	case ok:
		return d.keep(quoted[1 : len(quoted)-1]), true
	case d.Kind() == wire.Number:
		return string(d.Value()), true
	}
	return "", false
}

func (d *decoder) keep(text []byte) string {
	place := d.placeOf(text)
	if place == nil {
		return string(text)
	}
	if *place != string(text) {
		*place = string(text)
	}
	return *place
}

// placeOf returns the place in kept for a string, or nil if strings of this length are
// not shared.
func (d *decoder) placeOf(text []byte) *string {
	if len(text) < 2 || len(text) > 64 {
		return nil
	}
	return &d.kept[maphash.Bytes(seed, text)%uint64(len(d.kept))]
}

func (d *decoder) text(into *string) { d.readText(into, true) }

// ownText is like text, for strings that differ from session to session.
func (d *decoder) ownText(into *string) { d.readText(into, false) }

func (d *decoder) readText(into *string, keep bool) {
	if !d.textInto(into, keep) {
		d.other()
	}
}

// textInto reads like asText and stores the string in into. It may store the string only
// when settle is called.
func (d *decoder) textInto(into *string, keep bool) bool {
	quoted, escaped, ok := d.Text()
	switch {
	case escaped:
		*into, _ = wire.Text(quoted) // invalid Unicode becomes U+FFFD
		return true
	case !ok && d.Kind() == wire.Number:
		*into = string(d.Value())
		return true
	case !ok:
		return false
	case len(quoted) > longText:
		*into = string(quoted[1 : len(quoted)-1])
		return true
	}
	later := laterText{text: quoted[1 : len(quoted)-1], into: into}
	if keep {
		if later.kept = d.placeOf(later.text); later.kept != nil && *later.kept == string(later.text) {
			*into = *later.kept
			return true
		}
	}
	d.later = append(d.later, later)
	return true
}

// longText is the length above which a string has an allocation of its own, so that it
// does not keep the other strings of the session in memory.
const longText = 256

// settle stores the strings that textInto has not stored yet, in one allocation.
func (d *decoder) settle() {
	size := 0
	for i := range d.later {
		size += len(d.later[i].text)
	}
	var b strings.Builder
	b.Grow(size)
	for i := range d.later {
		b.Write(d.later[i].text)
	}
	all := b.String()
	for i := range d.later {
		l := &d.later[i]
		text := all[:len(l.text)]
		all = all[len(text):]
		if *l.into = text; l.kept != nil {
			*l.kept = text
		}
	}
	d.forget()
}

func (d *decoder) forget() {
	clear(d.later)
	d.later = d.later[:0]
}

// texts reads a list of strings, or a single string.
func (d *decoder) texts(into *[]string) {
	list := d.few[:0:len(d.few)]
	add := func() {
		if text, ok := d.asText(); ok {
			list = append(list, text)
		} else {
			d.other()
		}
	}
	switch d.Kind() {
	case wire.Array:
		d.each(add)
	case wire.String:
		add()
	default:
		d.other()
		return
	}
	if len(list) <= len(d.few) {
		d.few = d.few[len(list):]
	}
	if list == nil {
		list = []string{}
	}
	*into = list[:len(list):len(list)]
}

// each reads the elements of a list.
func (d *decoder) each(element func()) {
	if !d.Enter(wire.Array) {
		d.other()
		return
	}
	d.push()
	for i := 0; d.Element(); i++ {
		if d.unknown != nil {
			d.name = strconv.Itoa(i)
		}
		element()
	}
	d.pop()
}

func (d *decoder) bool(into *bool) {
	value := d.Value()
	is, ok := wire.Bool(value)
	if !ok {
		d.unfit(value)
		return
	}
	*into = is
}

// raw copies a value of unknown form.
func (d *decoder) raw(into *json.RawMessage) {
	if value := d.Value(); wire.Kind(value) != wire.Null {
		*into = bytes.Clone(value)
	}
}

// raws copies the elements of a list, whose form is unknown.
func (d *decoder) raws(into *[]json.RawMessage) {
	if d.Kind() != wire.Array {
		d.other()
		return
	}
	list := []json.RawMessage{}
	d.each(func() { list = append(list, bytes.Clone(d.Value())) })
	*into = list
}

// unquoted returns the text between the quotes of a string, and any other value
// unchanged.
func unquoted(value []byte) []byte {
	if len(value) > 1 && value[0] == wire.String {
		return value[1 : len(value)-1]
	}
	return value
}

// digits returns the characters of a number, which may be a JSON number or a string.
func digits(value []byte) []byte {
	value = unquoted(value)
	for _, b := range value {
		if (b < '0' || b > '9') && b != '-' && b != '+' && b != '.' && b != 'e' && b != 'E' {
			return nil
		}
	}
	return value
}

// asInteger returns a whole number.
func asInteger(value []byte) (n int64, ok bool) {
	text := digits(value)
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err == nil {
		return n, true
	}
	f, ok := asFloat(text)
	return int64(f), ok && f == math.Trunc(f) && math.Abs(f) <= 1<<53
}

func asFloat(value []byte) (f float64, ok bool) {
	f, err := strconv.ParseFloat(string(digits(value)), 64)
	return f, err == nil
}

func (d *decoder) integer(into *int64) {
	value := d.Value()
	n, ok := asInteger(value)
	if !ok {
		d.unfit(value)
		return
	}
	*into = n
}

func (d *decoder) port(into *int) {
	value := d.Value()
	n, ok := asInteger(value)
	if !ok || n != int64(int(n)) {
		d.unfit(value)
		return
	}
	*into = int(n)
}

func (d *decoder) float(into *float64) {
	value := d.Value()
	f, ok := asFloat(value)
	if !ok {
		d.unfit(value)
		return
	}
	*into = f
}

// seconds reads a duration, which is a number of seconds.
func (d *decoder) seconds(into *time.Duration) {
	value := d.Value()
	const longest = int64(math.MaxInt64 / time.Second)
	if n, ok := asInteger(value); ok && n >= -longest && n <= longest {
		*into = time.Duration(n) * time.Second
		return
	}
	duration, err := time.ParseDuration(string(digits(value)) + "s")
	if err != nil {
		d.unfit(value)
		return
	}
	*into = duration
}

func (d *decoder) time(into *time.Time) {
	value := d.Value()
	text := unquoted(value)
	if len(text) == 0 {
		return
	}
	t, ok := asTime(text)
	if !ok {
		d.unfit(value)
		return
	}
	*into = t
}

// asTime parses a time in one of the forms that the API uses.
func asTime(text []byte) (t time.Time, ok bool) {
	const day, minute = len("2006-01-02"), len("2006-01-02T15:04")
	if len(text) <= 4 || text[4] != '-' {
		return asEpoch(text)
	}
	if len(text) > 40 {
		return t, false
	}
	var space [60]byte
	zoned := space[:copy(space[:], text)]
	switch {
	case len(text) == day:
		zoned = append(zoned, "T00:00:00Z"...)
	case len(text) == minute:
		zoned = append(zoned, ":00Z"...)
	case !hasZone(text):
		zoned = append(zoned, assumedZone...)
	}
	if t.UnmarshalText(zoned) != nil {
		return time.Time{}, false
	}
	return encodable(t)
}

// hasZone reports whether a time ends with Z or an offset.
func hasZone(text []byte) bool {
	if text[len(text)-1] == 'Z' {
		return true
	}
	const offset = len("+00:00")
	return len(text) > len("2006-01-02T15:04:05") && (text[len(text)-offset] == '+' || text[len(text)-offset] == '-')
}

// asEpoch parses seconds or milliseconds since 1970.
func asEpoch(text []byte) (time.Time, bool) {
	f, ok := asFloat(text)
	if !ok || math.Abs(f) > 1e15 {
		return time.Time{}, false
	}
	milliseconds := math.Abs(f) >= leastMilliseconds
	n, whole := asInteger(text)
	switch {
	case whole && milliseconds:
		return encodable(time.UnixMilli(n))
	case whole:
		return encodable(time.Unix(n, 0))
	case milliseconds:
		return encodable(time.UnixMicro(int64(math.Round(f * 1e3))))
	}
	return encodable(time.UnixMicro(int64(math.Round(f * 1e6))))
}

// encodable returns the time in UTC. It returns false if the time cannot be encoded as
// JSON.
func encodable(t time.Time) (time.Time, bool) {
	t = t.UTC()
	return t, t.Year() >= 0 && t.Year() <= 9999
}
