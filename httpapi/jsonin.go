package httpapi

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parser reads strict JSON (RFC 8259) of a known shape. encoding/json takes
// members of another case, twice, or unknown, floats, and bytes that are no
// UTF-8; where money moves each of these is more likely a mistake. The bytes
// have to be valid UTF-8 as a whole.
type parser struct {
	b []byte
	i int
}

// formError says why a body is not in form.
type formError struct {
	at     int // byte, from 0
	detail string
	value  bool   // it is about a value, of another type than is wanted
	member string // whose value it is; empty: no member's
}

func (e *formError) Error() string {
	if e.member != "" {
		return fmt.Sprintf("At byte %d, in the member %s: %s.", e.at, e.member, e.detail)
	}
	return fmt.Sprintf("At byte %d: %s.", e.at, e.detail)
}

func (p *parser) bad(format string, args ...any) error {
	return &formError{at: p.i, detail: fmt.Sprintf(format, args...)}
}

// badValue says that a value is not what it has to be.
func (p *parser) badValue(detail string) error {
	return &formError{at: p.i, detail: detail, value: true}
}

// begin is expect for the first byte of a value.
func (p *parser) begin(c byte, what string) error {
	if p.next() != c || p.i == len(p.b) {
		return p.badValue("expected " + what)
	}
	p.i++
	return nil
}

// next skips white space and returns the byte there, 0 at the end.
func (p *parser) next() byte {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
		default:
			return p.b[p.i]
		}
	}
	return 0
}

func (p *parser) expect(c byte, what string) error {
	if p.next() != c || p.i == len(p.b) {
		return p.bad("expected %s", what)
	}
	p.i++
	return nil
}

// valid checks that there is a body, and that it is UTF-8.
func (p *parser) valid() error {
	if len(p.b) == 0 {
		return p.bad("the body is empty, expected an object")
	}
	if !utf8.Valid(p.b) {
		return p.bad("the body is not UTF-8")
	}
	return nil
}

// end checks that nothing is left.
func (p *parser) end() error {
	if p.next(); p.i < len(p.b) {
		return p.bad("expected nothing after the object")
	}
	return nil
}

// object reads an object. The function is called at each member's value, which
// it has to read, and returns an error for a name it does not know; each name
// may come once.
func (p *parser) object(member func(name []byte) error) error {
	if err := p.begin('{', "an object"); err != nil {
		return err
	}
	if p.next() == '}' {
		p.i++
		return nil
	}
	var room [8][]byte // for the names of most objects
	seen := room[:0]
	for {
		if p.next() != '"' {
			return p.bad("expected a member's name in double quotes")
		}
		name, err := p.text()
		if err != nil {
			return err
		}
		for _, s := range seen {
			if bytes.Equal(s, name) {
				return p.bad("the member %.40q comes twice", name)
			}
		}
		seen = append(seen, name)
		if err := p.expect(':', "a colon"); err != nil {
			return err
		}
		if err := member(name); err != nil {
			if e, ok := err.(*formError); ok && e.value && e.member == "" {
				e.member = string(name) // the innermost one; it is one that is known
			}
			return err
		}
		if p.next() == '}' {
			p.i++
			return nil
		}
		if err := p.expect(',', "a comma or the end of the object"); err != nil {
			return err
		}
	}
}

// array reads an array, calling the function at each of its values.
func (p *parser) array(item func(n int) error) error {
	if err := p.begin('[', "an array"); err != nil {
		return err
	}
	if p.next() == ']' {
		p.i++
		return nil
	}
	for n := 0; ; n++ {
		if err := item(n); err != nil {
			return err
		}
		if p.next() == ']' {
			p.i++
			return nil
		}
		if err := p.expect(',', "a comma or the end of the array"); err != nil {
			return err
		}
	}
}

// integer reads a whole number of 64 bits.
func (p *parser) integer() (int64, error) {
	c := p.next()
	start := p.i
	if c == '-' {
		p.i++
	}
	digits := p.i
	for p.i < len(p.b) && '0' <= p.b[p.i] && p.b[p.i] <= '9' {
		p.i++
	}
	text := p.b[digits:p.i]
	after := byte(0)
	if p.i < len(p.b) {
		after = p.b[p.i]
	}
	n, err := strconv.ParseInt(string(p.b[start:p.i]), 10, 64)
	wrong := ""
	switch {
	case len(text) == 0:
		wrong = "expected a whole number"
	case len(text) > 1 && text[0] == '0':
		wrong = "a number has no leading zero"
	case after == '.' || after == 'e' || after == 'E':
		wrong = "expected a whole number, written without fraction and exponent"
	case err != nil:
		wrong = "a number of 64 bits is -9223372036854775808 to 9223372036854775807"
	default:
		return n, nil
	}
	p.i = start // where whoever looks for it finds it
	return 0, p.badValue(wrong)
}

// null reads null if it is there, and says whether it was.
func (p *parser) null() bool {
	p.next()
	if !bytes.HasPrefix(p.b[p.i:], []byte("null")) {
		return false
	}
	p.i += len("null")
	return true
}

func (p *parser) boolean() (bool, error) {
	p.next()
	for _, word := range []string{"true", "false"} {
		if strings.HasPrefix(string(p.b[p.i:min(len(p.b), p.i+5)]), word) {
			p.i += len(word)
			return word == "true", nil
		}
	}
	return false, p.badValue("expected true or false")
}

// string reads a string.
func (p *parser) string() (string, error) {
	s, err := p.text()
	return string(s), err
}

// text reads a string, as a part of the body if it can.
func (p *parser) text() ([]byte, error) {
	if err := p.begin('"', "a string"); err != nil {
		return nil, err
	}
	rest := p.b[p.i:]
	for i, c := range rest {
		switch {
		case c == '"':
			p.i += i + 1
			return rest[:i], nil
		case c == '\\':
			p.i += i
			return p.escaped(append([]byte(nil), rest[:i]...))
		case c < 0x20:
			p.i += i
			return nil, p.bad("a control character in a string has to be escaped")
		}
	}
	p.i = len(p.b)
	return nil, p.bad("the string does not end")
}

// escaped reads the rest of a string that has escapes in it.
func (p *parser) escaped(s []byte) ([]byte, error) {
	for p.i < len(p.b) {
		c := p.b[p.i]
		switch {
		case c == '"':
			p.i++
			return s, nil
		case c < 0x20:
			return nil, p.bad("a control character in a string has to be escaped")
		case c != '\\':
			s = append(s, c)
			p.i++
			continue
		case p.i+1 == len(p.b):
			return nil, p.bad("the string does not end")
		}
		const escapes, meant = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
		c = p.b[p.i+1]
		if n := strings.IndexByte(escapes, c); n >= 0 {
			s = append(s, meant[n])
			p.i += 2
			continue
		}
		if c != 'u' {
			return nil, p.bad("there is no escape \\%c", c)
		}
		r, err := p.unit()
		if err != nil {
			return nil, err
		}
		if utf16.IsSurrogate(r) {
			if p.i+1 >= len(p.b) || p.b[p.i] != '\\' || p.b[p.i+1] != 'u' {
				return nil, p.bad("half of a surrogate pair")
			}
			low, err := p.unit()
			if err != nil {
				return nil, err
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return nil, p.bad("half of a surrogate pair")
			}
		}
		s = utf8.AppendRune(s, r)
	}
	return nil, p.bad("the string does not end")
}

// unit reads an escape of four hexadecimal digits.
func (p *parser) unit() (rune, error) {
	if p.i+6 > len(p.b) {
		return 0, p.bad("the string does not end")
	}
	digits := p.b[p.i+2 : p.i+6]
	for _, c := range digits {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return 0, p.bad("an escape \\u has four hexadecimal digits")
		}
	}
	n, err := strconv.ParseUint(string(digits), 16, 16)
	p.i += 6
	return rune(n), err
}
