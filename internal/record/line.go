package record

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
)

// An export of a journal is lines of JSON (docs/export.md): a header, a line for each
// record, and a trailer. There is one way only to write a record, so what is read would
// be written again.

const (
	exportFormat  = "capycoin journal"
	exportVersion = 1
)

// ExportHeader is the first line.
type ExportHeader struct {
	Ledger  uuid.UUID
	Records uint64
}

// ExportTrailer is the last line.
type ExportTrailer struct {
	Records uint64
	Sum     [32]byte // SHA-256 of all records
}

// AppendLine appends the line of a record.
func AppendLine(b []byte, r *Record) []byte {
	return writeLine(b, func(c *lineCodec) { c.record(r) })
}

// ReadLine reads the line of a record into r. The error says which member is wrong.
func ReadLine(line []byte, r *Record) error {
	return parseLine(line, func(c *lineCodec) { c.record(r) })
}

// AppendHeaderLine appends the first line.
func AppendHeaderLine(b []byte, h ExportHeader) []byte { return writeLine(b, h.line) }

// ReadHeaderLine reads the first line.
func ReadHeaderLine(line []byte) (h ExportHeader, err error) { return h, parseLine(line, h.line) }

// AppendTrailerLine appends the last line.
func AppendTrailerLine(b []byte, e ExportTrailer) []byte { return writeLine(b, e.line) }

// ReadTrailerLine reads the last line.
func ReadTrailerLine(line []byte) (e ExportTrailer, err error) { return e, parseLine(line, e.line) }

func (h *ExportHeader) line(c *lineCodec) {
	c.constant("format", exportFormat)
	version := c.integer("version", exportVersion, 1, 1<<31)
	if version != exportVersion {
		c.fail("version is %d, this program knows %d", version, exportVersion)
	}
	c.id("ledger_id", &h.Ledger)
	h.Records = c.integer("records", h.Records, 1, wire.MaxPosition)
	c.end()
}

func (e *ExportTrailer) line(c *lineCodec) {
	e.Records = c.integer("records", e.Records, 1, wire.MaxPosition)
	c.hex("sha256", e.Sum[:])
	c.end()
}

func writeLine(b []byte, fn func(*lineCodec)) []byte {
	c := lineCodec{b: b}
	fn(&c)
	return c.b
}

func parseLine(line []byte, fn func(*lineCodec)) error {
	c := lineCodec{b: line, reading: true, length: len(line)}
	fn(&c)
	return c.err
}

// lineCodec writes a line of an export, or reads one: the same calls do both, so
// that the two can't differ. A line has the members that are asked for, in that
// order, and nothing else, no space either.
type lineCodec struct {
	b       []byte // what is written, or left to be read
	reading bool
	length  int // of the line that is read
	within  bool
	err     error // the first one, when reading
}

// record is the line of a record. The fields of each kind are with the kind.
func (c *lineCodec) record(r *Record) {
	r.Position = c.integer("position", r.Position, 1, wire.MaxPosition)
	c.kind(&r.Kind)
	c.time("time", &r.Time)
	switch {
	case c.err != nil:
	case r.Kind == KindTransfer:
		r.Transfer.line(c, &r.Header)
	default:
		if c.reading && (r.Body == nil || r.Body.Kind() != r.Kind) {
			r.Body = kinds[r.Kind].body()
		}
		r.Body.line(c, &r.Header)
	}
	c.end()
}

// publicKey is there if an account has one.
func (c *lineCodec) publicKey(key *[ed25519.PublicKeySize]byte) {
	if has := c.more(*key != NoKey); has {
		c.hex("public_key", key[:])
		if *key == NoKey {
			c.fail("public_key is all zero: an account without one has no such member")
		}
	} else {
		*key = NoKey
	}
}

// lifeAndLabel are the fields that tokens and invites have at their ends.
func (c *lineCodec) lifeAndLabel(made int64, expires *int64, label *string) {
	c.time("expires", expires)
	if *expires <= made {
		c.fail("expires is not after the record's time")
	}
	c.text("label", label)
	if err := CheckLabel(*label); err != nil {
		c.fail("%v", err)
	}
}

// linkNames are the members of a record's place in a chain.
type linkNames [3]string

var (
	accountLink  = linkNames{"previous", "jump", "ordinal"}
	senderLink   = linkNames{"sender_previous", "sender_jump", "sender_ordinal"}
	receiverLink = linkNames{"receiver_previous", "receiver_jump", "receiver_ordinal"}
	feeLink      = linkNames{"fee_account_previous", "fee_account_jump", "fee_account_ordinal"}
)

func (c *lineCodec) link(names *linkNames, position uint64, l *chain.Link) {
	l.Prev = c.integer(names[0], l.Prev, 0, position-1)
	l.Jump = c.integer(names[1], l.Jump, 0, l.Prev)
	l.Ordinal = int64(c.integer(names[2], uint64(l.Ordinal), 1, wire.MaxPosition))
	if c.err == nil && ((l.Prev == 0) != (l.Ordinal == 1) || (l.Jump == 0) != (chain.TreeSize(l.Ordinal) == l.Ordinal)) {
		c.fail("%s and %s do not go with %s %d", names[0], names[1], names[2], l.Ordinal)
	}
}

// fail notes the first thing that is wrong.
func (c *lineCodec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// literal is text that has to be there.
func (c *lineCodec) literal(s string) {
	switch {
	case !c.reading:
		c.b = append(c.b, s...)
	case c.err == nil && (len(c.b) < len(s) || string(c.b[:len(s)]) != s):
		c.fail("byte %d: %s has to come here, there is %.40q", c.length-len(c.b)+1, s, c.b)
	case c.err == nil:
		c.b = c.b[len(s):]
	}
}

func (c *lineCodec) name(name string) {
	before := `{"`
	if c.within {
		before = `,"`
	}
	c.within = true
	n := len(before) + len(name) + 2
	switch {
	case !c.reading:
		c.b = append(append(append(c.b, before...), name...), `":`...)
	case c.err == nil && len(c.b) >= n && string(c.b[:2]) == before && string(c.b[2:n-2]) == name && string(c.b[n-2:n]) == `":`:
		c.b = c.b[n:]
	default:
		c.literal(before + name + `":`) // which says what is wrong
	}
}

// more says whether members follow that only some lines have: when writing, as told.
func (c *lineCodec) more(has bool) bool {
	if !c.reading {
		return has
	}
	return c.err == nil && len(c.b) > 0 && c.b[0] == ','
}

// end ends a line.
func (c *lineCodec) end() {
	c.literal("}\n")
	if c.reading && len(c.b) > 0 {
		c.fail("there is more on it")
	}
	c.within = false
}

// word takes the value of a member, up to where it must end.
func (c *lineCodec) word() string {
	n := 0
	for n < len(c.b) && c.b[n] != ',' && c.b[n] != '}' {
		n++
	}
	s := string(c.b[:n])
	if c.err == nil {
		c.b = c.b[n:]
	}
	return s
}

func (c *lineCodec) integer(name string, v, least, most uint64) uint64 {
	c.name(name)
	if !c.reading {
		c.b = strconv.AppendUint(c.b, v, 10)
		return v
	}
	s := c.word()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n < least || n > most || s[0] == '+' || s[0] == '0' && len(s) > 1 {
		c.fail("%s is %.40s; it has to be a whole number, %d to %d", name, s, least, most)
	}
	return n
}

func (c *lineCodec) coins(name string, v *int64, least uint64) {
	*v = int64(c.integer(name, uint64(*v), least, wire.MaxCoins))
}

// quoted is a value that is written between quotes as it is.
func (c *lineCodec) quoted(name, v string) string {
	c.name(name)
	if !c.reading {
		c.b = append(append(append(c.b, '"'), v...), '"')
		return v
	}
	s := c.word()
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		c.fail("%s is %.40s; it has to be a string", name, s)
	}
	if c.err != nil {
		return ""
	}
	return s[1 : len(s)-1]
}

func (c *lineCodec) constant(name, want string) {
	got := c.quoted(name, want)
	if got != want {
		c.fail("%s is %.40q; it has to be %q", name, got, want)
	}
}

func (c *lineCodec) kind(v *Kind) {
	s := ""
	if !c.reading {
		s = kinds[*v].name
	}
	s = c.quoted("kind", s)
	if !c.reading || c.err != nil {
		return
	}
	var names []string
	for kind := range kinds[1:] {
		name := kinds[kind+1].name
		if name == s {
			*v = Kind(kind + 1)
			return
		}
		names = append(names, name)
	}
	c.fail("kind is %.40q; there are %q", s, names)
}

func (c *lineCodec) id(name string, v *uuid.UUID) {
	if !c.reading {
		c.quoted(name, v.String())
		return
	}
	s := c.quoted(name, "")
	id, err := uuid.Parse(s)
	if err != nil || id.String() != s {
		c.fail("%s is %.40q; it has to be a UUID in lower case with dashes", name, s)
	}
	*v = id
}

// ids is a list of ids, ascending.
func (c *lineCodec) ids(name string, v *[]uuid.UUID, most int) {
	c.name(name)
	c.literal("[")
	if !c.reading {
		for i, id := range *v {
			if i > 0 {
				c.b = append(c.b, ',')
			}
			c.b = append(append(append(c.b, '"'), id.String()...), '"')
		}
		c.literal("]")
		return
	}
	*v = nil
	for c.err == nil && len(c.b) > 0 && c.b[0] != ']' {
		if len(*v) > 0 {
			c.literal(",")
		}
		var s string
		if len(c.b) > 38 && c.b[0] == '"' && c.b[37] == '"' {
			s, c.b = string(c.b[1:37]), c.b[38:]
		}
		id, err := uuid.Parse(s)
		if err != nil || id.String() != s {
			c.fail("%s has %.40q; it has to be a list of UUIDs in lower case with dashes", name, s)
		}
		*v = append(*v, id)
	}
	if len(*v) > most || !ascending(*v) {
		c.fail("%s has %d ids; there can be %d, in order, each of them once", name, len(*v), most)
	}
	c.literal("]")
}

func (c *lineCodec) time(name string, v *int64) {
	if !c.reading {
		c.quoted(name, wire.TimeOf(*v).Format(wire.TimeForm))
		return
	}
	s := c.quoted(name, "")
	t, err := time.Parse(wire.TimeForm, s)
	if err != nil || t.Format(wire.TimeForm) != s || t.UnixMicro() < 0 || t.UnixMicro() > wire.MaxTime {
		c.fail("%s is %.40q; it has to be a time such as 2022-08-15T13:24:23.136285Z", name, s)
	}
	*v = t.UnixMicro()
}

func (c *lineCodec) hex(name string, v []byte) {
	if !c.reading {
		c.quoted(name, hex.EncodeToString(v))
		return
	}
	s := c.quoted(name, "")
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(v) || hex.EncodeToString(b) != s {
		c.fail("%s is %.40q; it has to be %d hexadecimal digits in lower case", name, s, 2*len(v))
	}
	if c.err == nil {
		copy(v, b)
	}
}

// text is any string: of what JSON can escape, quotes and backslashes are.
func (c *lineCodec) text(name string, v *string) {
	c.name(name)
	c.literal(`"`)
	if !c.reading {
		for i := range len(*v) {
			if b := (*v)[i]; b == '"' || b == '\\' {
				c.b = append(c.b, '\\', b)
			} else {
				c.b = append(c.b, b)
			}
		}
		c.literal(`"`)
		return
	}
	var s []byte
	for c.err == nil {
		if len(c.b) == 0 {
			c.fail("%s does not end", name)
			break
		}
		b := c.b[0]
		if b == '"' {
			break
		}
		if b == '\\' && len(c.b) > 1 && (c.b[1] == '"' || c.b[1] == '\\') {
			c.b = c.b[1:]
			b = c.b[0]
		} else if b == '\\' || b < 0x20 {
			c.fail(`%s has %q at byte %d; only \" and \\ are escaped, and control characters can't be in it`,
				name, b, c.length-len(c.b)+1)
		}
		s = append(s, b)
		c.b = c.b[1:]
	}
	if !utf8.Valid(s) {
		c.fail("%s is not UTF-8", name)
	}
	c.literal(`"`)
	*v = string(s)
}
