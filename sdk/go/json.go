package sluice

import "unicode/utf8"

// JSON reads one JSON value, walking forward once and strictly. It allocates
// nothing but strings that have escapes, so it is fit for configurations and for
// content alike:
//
//	j := sluice.ReadJSON(e.Payload())
//	if !j.Object() {
//		return e.Deny(sluice.Invalid, "the configuration has to be an object")
//	}
//	for key, ok := j.Key(); ok; key, ok = j.Key() {
//		switch key {
//		case "max":
//			limit, ok = j.Int()
//		…
//		}
//	}
//	if !j.Done() …
//
// After a mistake every method reports false, so a look at Done at the end
// suffices where the kind of mistake does not matter. What it returns are views
// of the text that it reads.
type JSON struct {
	b     []byte
	at    int
	fresh bool // just behind an opening bracket: no comma is due
	bad   bool // met something that it does not read
}

// maxDepth is how deep values may be nested, as in content.
const maxDepth = 64

// ReadJSON begins to read a text.
func ReadJSON(text []byte) JSON { return JSON{b: text} }

func (j *JSON) fail() bool {
	j.bad = true
	return false
}

// Peek is the first byte of the next value, or of what follows it: one of
// { [ " t f n - 0 to 9; 0 at the end and after a mistake.
func (j *JSON) Peek() byte {
	for ; !j.bad && j.at < len(j.b); j.at++ {
		switch c := j.b[j.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// Done reports whether the text was read to its end without a mistake.
func (j *JSON) Done() bool { return j.Peek() == 0 && !j.bad && j.at == len(j.b) }

// Object goes into an object, whose members Key reads.
func (j *JSON) Object() bool { return j.enter('{') }

// Array goes into an array, whose elements Next reads.
func (j *JSON) Array() bool { return j.enter('[') }

func (j *JSON) enter(bracket byte) bool {
	if j.Peek() != bracket {
		return j.fail()
	}
	j.at++
	j.fresh = true
	return true
}

// Next reports whether the array has another element, and goes to it; else it
// goes out of the array.
func (j *JSON) Next() bool { return j.next(']') }

// Key reads the next key of the object and goes to its value; without one it
// goes out of the object.
func (j *JSON) Key() (key string, ok bool) {
	if !j.next('}') {
		return "", false
	}
	if key, ok = j.Text(); !ok {
		return "", false
	}
	if j.Peek() != ':' {
		return "", j.fail()
	}
	j.at++
	return key, true
}

func (j *JSON) next(closing byte) bool {
	c, fresh := j.Peek(), j.fresh
	j.fresh = false
	switch {
	case c == closing:
		j.at++
		return false
	case c == 0:
		return j.fail()
	case fresh:
		return true
	case c != ',':
		return j.fail()
	}
	j.at++
	if c = j.Peek(); c == 0 || c == closing {
		return j.fail()
	}
	return true
}

// Text reads a string. It is a view of the text unless it has escapes.
func (j *JSON) Text() (s string, ok bool) {
	if j.Peek() != '"' {
		return "", j.fail()
	}
	start := j.at + 1
	escaped, ok := j.skipString()
	if !ok {
		return "", false
	}
	raw := j.b[start : j.at-1]
	if !escaped {
		return text(raw), true
	}
	decoded, ok := unescape(make([]byte, 0, len(raw)), raw)
	if !ok {
		return "", j.fail()
	}
	return text(decoded), true
}

// Int reads a whole number without fraction and exponent.
func (j *JSON) Int() (n int64, ok bool) {
	negative := j.Peek() == '-'
	raw, ok := j.number()
	if !ok {
		return 0, false
	}
	if negative {
		raw = raw[1:]
	}
	for _, c := range raw {
		digit := int64(c) - '0'
		if c < '0' || c > '9' || n < (-1<<63+digit)/10 {
			return 0, j.fail()
		}
		n = n*10 - digit // negative, as there is one number more of these
	}
	if negative {
		return n, true
	}
	if n == -1<<63 {
		return 0, j.fail()
	}
	return -n, true
}

func (j *JSON) number() (raw []byte, ok bool) {
	if c := j.Peek(); c != '-' && (c < '0' || c > '9') {
		return nil, j.fail()
	}
	return j.Raw()
}

// Bool reads true or false.
func (j *JSON) Bool() (v, ok bool) {
	switch j.Peek() {
	case 't':
		return true, j.skipWord("true")
	case 'f':
		return false, j.skipWord("false")
	}
	return false, j.fail()
}

// Null reads null where there is one; anything else is left to be read.
func (j *JSON) Null() bool { return j.Peek() == 'n' && j.skipWord("null") }

// Raw reads any value, and returns it as it stands in the text.
func (j *JSON) Raw() (value []byte, ok bool) {
	j.Peek()
	start := j.at
	if !j.skip() {
		return nil, false
	}
	return j.b[start:j.at:j.at], true
}

// Field is the value of a member of an object, as it stands in the text; the
// last one, where there are several. ok is false where the text is no object, is
// malformed, or has no such member.
func Field(object []byte, name string) (value []byte, ok bool) {
	j := ReadJSON(object)
	if !j.Object() {
		return nil, false
	}
	for key, more := j.Key(); more; key, more = j.Key() {
		raw, _ := j.Raw()
		if key == name {
			value = raw
		}
	}
	return value, value != nil && j.Done()
}

// unescape appends a string without its quotes, decoded.
func unescape(to, raw []byte) ([]byte, bool) {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			to = append(to, raw[i])
			continue
		}
		i++ // skipString has seen that there is something
		switch c := raw[i]; c {
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 't':
			to = append(to, '\t')
		case 'u':
			r := hex(raw[i+1:])
			i += 4
			if r >= 0xDC00 && r < 0xE000 {
				return nil, false // the second half of a pair, alone
			}
			if r >= 0xD800 && r < 0xDC00 {
				if len(raw)-i < 7 || raw[i+1] != '\\' || raw[i+2] != 'u' {
					return nil, false
				}
				low := hex(raw[i+3:])
				if low < 0xDC00 || low >= 0xE000 {
					return nil, false
				}
				r = 0x10000 + (r-0xD800)<<10 + low - 0xDC00
				i += 6
			}
			to = utf8.AppendRune(to, r)
		default: // " \ /
			to = append(to, c)
		}
	}
	return to, true
}

// hex reads four digits, which skipString has seen.
func hex(b []byte) (r rune) {
	for _, c := range b[:4] {
		r = r<<4 | rune(hexDigit(c))
	}
	return r
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
