package wire

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// The scanner answers one question, where a JSON value ends, and on the way
// holds it against RFC 8259, UTF-8 and MaxDepth. It neither builds values nor
// recurses: open containers are bits of a word, so that the stack of a
// connection's goroutine stays small whatever a client sends.

// fault is why a text is not acceptable JSON.
type fault uint8

const (
	faultNone fault = iota
	faultEnd
	faultValue
	faultName
	faultColon
	faultInObject
	faultInArray
	faultNumber
	faultEscape
	faultControl
	faultUTF8
	faultDepth
	faultTrailing
)

var faultTexts = [...]string{
	faultEnd:      "it ends too early",
	faultValue:    "a value was expected",
	faultName:     "a field name in quotes was expected",
	faultColon:    "a colon was expected",
	faultInObject: "a comma or } was expected",
	faultInArray:  "a comma or ] was expected",
	faultNumber:   "a digit was expected, or the number has a leading zero",
	faultEscape:   "an escape sequence is not one of JSON's",
	faultControl:  "a control character in a string must be escaped",
	faultUTF8:     "a string is not valid UTF-8",
	faultDepth:    "arrays and objects are nested deeper than " + strconv.Itoa(MaxDepth),
	faultTrailing: "something follows the value",
}

// reason is the fault in words, for people.
func (f fault) reason(at int) string {
	if f == faultDepth {
		return faultTexts[f]
	}
	return "not valid JSON at byte " + strconv.Itoa(at) + ": " + faultTexts[f]
}

// CheckJSON says what is wrong with b as one JSON value (RFC 8259, UTF-8, at
// most MaxDepth deep); "" if nothing is. It does not allocate when b is valid.
func CheckJSON(b []byte) (reason string) {
	i, f := skipValue(b, 0, 0)
	if f == faultNone {
		if i = skipSpace(b, i); i < len(b) {
			f = faultTrailing
		}
	}
	if f != faultNone {
		return f.reason(i)
	}
	return ""
}

// skipValue steps over the value at i, which lies inside depth containers, and
// over the space before it. It returns where the value ends, or where the
// fault is.
func skipValue(b []byte, i, depth int) (int, fault) {
	var objects uint64 // bit n is set: the container at depth n+1 is an object
	var f fault
	for outside := depth; ; {
		if i = skipSpace(b, i); i >= len(b) {
			return i, faultEnd
		}
		switch c := b[i]; c {
		case '"':
			i, _, f = skipString(b, i+1)
		case '{', '[':
			if depth == MaxDepth {
				return i, faultDepth
			}
			i = skipSpace(b, i+1)
			if i < len(b) && b[i] == c+2 { // { and }, [ and ] are two apart
				i++
				break
			}
			objects &^= 1 << depth
			if c == '{' {
				objects |= 1 << depth
				i, f = skipName(b, i)
			}
			if f != faultNone {
				return i, f
			}
			depth++
			continue
		default:
			i, f = skipScalar(b, i)
		}
		if f != faultNone {
			return i, f
		}

		// The value has ended: close what ends with it, up to a comma.
		for more := false; !more; {
			if depth == outside {
				return i, faultNone
			}
			inObject := objects>>(depth-1)&1 != 0
			if i, more, f = skipSeparator(b, i, inObject); f != faultNone {
				return i, f
			}
			if !more {
				depth--
			} else if inObject {
				if i, f = skipName(b, i); f != faultNone {
					return i, f
				}
			}
		}
	}
}

// skipSeparator steps over the comma after a value (more is true) or over the
// end of the container.
func skipSeparator(b []byte, i int, inObject bool) (next int, more bool, f fault) {
	if i = skipSpace(b, i); i >= len(b) {
		return i, false, faultEnd
	}
	c := b[i]
	switch {
	case c == ',':
		return i + 1, true, faultNone
	case inObject && c == '}', !inObject && c == ']':
		return i + 1, false, faultNone
	case inObject:
		return i, false, faultInObject
	default:
		return i, false, faultInArray
	}
}

// skipName steps over a field's name and its colon.
func skipName(b []byte, i int) (int, fault) {
	if i = skipSpace(b, i); i >= len(b) {
		return i, faultEnd
	}
	if b[i] != '"' {
		return i, faultName
	}
	i, _, f := skipString(b, i+1)
	if f != faultNone {
		return i, f
	}
	return skipColon(b, i)
}

func skipColon(b []byte, i int) (int, fault) {
	if i = skipSpace(b, i); i >= len(b) {
		return i, faultEnd
	}
	if b[i] != ':' {
		return i, faultColon
	}
	return i + 1, faultNone
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// Masks for looking at eight bytes in one word.
const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
)

// skipString steps over a string whose opening quote lies before i. Runs of
// plain ASCII are passed eight bytes at a time: of the three differences below
// at least one has the highest bit of a byte set if that is a quote, a
// backslash, a control character or not ASCII. A borrow can set it wrongly, but
// only in bytes after a right one.
func skipString(b []byte, i int) (next int, escaped bool, f fault) {
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			special := ((w ^ '"'*everyByte) - everyByte) | ((w ^ '\\'*everyByte) - everyByte) | (w - ' '*everyByte)
			if special &= highBits; special != 0 {
				i += bits.TrailingZeros64(special) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return i, escaped, faultEnd
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped, faultNone
		case c == '\\':
			escaped = true
			if i, f = skipEscape(b, i); f != faultNone {
				return i, escaped, f
			}
		case c < ' ':
			return i, escaped, faultControl
		case c < utf8.RuneSelf:
			i++
		default:
			if i, f = skipRunes(b, i); f != faultNone {
				return i, escaped, f
			}
		}
	}
}

// skipRunes steps over the characters from i on that are not ASCII. Most
// scripts have two or three bytes a character, and are told apart here.
func skipRunes(b []byte, i int) (int, fault) {
	for i < len(b) && b[i] >= utf8.RuneSelf {
		c := b[i]
		switch {
		case 0xc2 <= c && c <= 0xdf && i+1 < len(b) && b[i+1]&0xc0 == 0x80:
			i += 2
		case 0xe1 <= c && c <= 0xec && i+2 < len(b) && b[i+1]&0xc0 == 0x80 && b[i+2]&0xc0 == 0x80:
			i += 3
		default:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				return i, faultUTF8
			}
			i += size
		}
	}
	return i, faultNone
}

// skipEscape steps over the escape sequence whose backslash is at i.
func skipEscape(b []byte, i int) (int, fault) {
	if i+1 >= len(b) {
		return len(b), faultEnd
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, faultNone
	case 'u':
		for k := i + 2; k < i+6; k++ {
			if k >= len(b) {
				return k, faultEnd
			}
			if hexDigit(b[k]) < 0 {
				return i, faultEscape
			}
		}
		return i + 6, faultNone
	}
	return i, faultEscape
}

// skipScalar steps over a number, true, false or null.
func skipScalar(b []byte, i int) (int, fault) {
	var word string
	switch c := b[i]; {
	case c == '-', isDigit(c):
		return skipNumber(b, i)
	case c == 't':
		word = "true"
	case c == 'f':
		word = "false"
	case c == 'n':
		word = "null"
	default:
		return i, faultValue
	}
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return i, faultValue
	}
	return i + len(word), faultNone
}

func skipNumber(b []byte, i int) (int, fault) {
	var f fault
	if b[i] == '-' {
		i++
	}
	zero := i < len(b) && b[i] == '0'
	start := i
	if i, f = skipDigits(b, i); f != faultNone {
		return i, f
	}
	if zero && i > start+1 {
		return start, faultNumber
	}
	if i < len(b) && b[i] == '.' {
		if i, f = skipDigits(b, i+1); f != faultNone {
			return i, f
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return skipDigits(b, i)
	}
	return i, faultNone
}

// skipDigits steps over one digit or more.
func skipDigits(b []byte, i int) (int, fault) {
	start := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	switch {
	case i > start:
		return i, faultNone
	case i == len(b):
		return i, faultEnd
	}
	return i, faultNumber
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// hexDigit is the value of a hexadecimal digit, -1 of anything else.
func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
