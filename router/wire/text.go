package wire

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Reasons that a string of the protocol is refused for.
const (
	reasonSurrogate = "contains half of a surrogate pair, which is no character"
	reasonEmpty     = "must not be empty"
)

// unescape appends the text of a string to dst: raw is what stands between its
// quotes, and skipString has found it valid. The text is not longer than raw.
// It is cut off behind the character with which it exceeds limit bytes, so that
// at most limit+utf8.UTFMax are appended. reason is "" or reasonSurrogate.
func unescape(dst, raw []byte, limit int) (out []byte, reason string) {
	start := len(dst)
	for i := 0; i < len(raw) && len(dst)-start <= limit; {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		c := raw[i+1]
		i += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, size := unescapeRune(raw[i:])
			if size == 0 {
				return dst, reasonSurrogate
			}
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		dst = append(dst, c)
	}
	return dst, ""
}

// unescapeRune reads the digits after a \u, and the second half of a surrogate
// pair if they are the first. size is 0 for half a pair.
func unescapeRune(b []byte) (r rune, size int) {
	r = hexRune(b)
	if !utf16.IsSurrogate(r) {
		return r, 4
	}
	if len(b) >= 10 && b[4] == '\\' && b[5] == 'u' {
		if r = utf16.DecodeRune(r, hexRune(b[6:])); r != utf8.RuneError {
			return r, 10
		}
	}
	return utf8.RuneError, 0
}

func hexRune(b []byte) rune {
	return rune(hexDigit(b[0])<<12 | hexDigit(b[1])<<8 | hexDigit(b[2])<<4 | hexDigit(b[3]))
}
