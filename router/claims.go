package router

import (
	"bytes"
	"encoding/json"

	"sluice/router/wire"
)

// readClaims finds the token's id and the tags in claims. What is not there, or
// is something else, is none. It is what parseClaims says; but nearly all claims are
// plain, and are read where they are.
func readClaims(raw []byte) (tokenID string, tags []string) {
	if bytes.IndexByte(raw, '\\') >= 0 {
		return parseClaims(raw)
	}
	// Without escapes a name is there as it is, or not at all.
	if !bytes.Contains(raw, []byte(`"jti"`)) && !bytes.Contains(raw, []byte(`"tags"`)) {
		return "", nil
	}
	if wire.CheckJSON(raw) != "" {
		return parseClaims(raw) // which is more lenient: in depth, and with what is not UTF-8
	}
	return plainClaims(raw)
}

// plainClaims is parseClaims for valid JSON without a backslash.
func plainClaims(raw []byte) (tokenID string, tags []string) {
	next, end := members(raw, '{')
	for !end {
		var name, value []byte
		name, next = token(next)
		_, next = token(next) // the colon
		value, next, end = element(next)
		switch string(name) { // of equal names the last one counts
		case `"jti"`:
			switch c := value[0]; {
			case c == '"':
				tokenID = string(value[1 : len(value)-1])
			case c == '-' || '0' <= c && c <= '9':
				tokenID = string(value)
			default:
				tokenID = ""
			}
		case `"tags"`:
			tags = plainTags(value)
		}
	}
	return tokenID, tags
}

func plainTags(raw []byte) (tags []string) {
	next, end := members(raw, '[')
	for !end {
		var value []byte
		if value, next, end = element(next); value[0] == '"' && len(value) > 2 {
			tags = append(tags, string(value[1:len(value)-1]))
		}
	}
	return tags
}

// members steps into a container that begins with open. end is true if it is empty, or
// something else.
func members(raw []byte, open byte) (next []byte, end bool) {
	first, next := token(raw)
	if first[0] != open {
		return nil, true
	}
	second, _ := token(next)
	return next, second[0] == open+2 // { and }, [ and ] are two apart
}

// element steps over a value and what follows it, a comma or the container's end.
func element(b []byte) (value, next []byte, end bool) {
	value, next = token(b)
	if c := value[0]; c == '{' || c == '[' {
		whole := b[len(b)-len(next)-1:]
		for depth := 1; depth > 0; {
			var t []byte
			switch t, next = token(next); t[0] {
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
		}
		value = whole[:len(whole)-len(next)]
	}
	after, next := token(next)
	return value, next, after[0] != ','
}

// token is the first token of a valid JSON text without a backslash, and what follows.
// It is never empty.
func token(b []byte) (t, next []byte) {
	b = bytes.TrimLeft(b, " \t\r\n")
	n := 1
	switch c := b[0]; {
	case c == '"':
		n = bytes.IndexByte(b[1:], '"') + 2
	case c > ',' && c != ':' && c != '[' && c != ']' && c != '{' && c != '}': // a number or a word
		for n < len(b) && bytes.IndexByte(scalarEnds, b[n]) < 0 {
			n++
		}
	}
	return b[:n], b[n:]
}

var scalarEnds = []byte(",]} \t\r\n")

// parseClaims is readClaims for whatever it is.
func parseClaims(raw []byte) (tokenID string, tags []string) {
	var claims map[string]json.RawMessage
	if len(raw) == 0 || json.Unmarshal(raw, &claims) != nil {
		return "", nil
	}
	if jti := claims["jti"]; len(jti) > 0 && json.Unmarshal(jti, &tokenID) != nil {
		var number json.Number
		if json.Unmarshal(jti, &number) == nil {
			tokenID = string(number)
		}
	}
	var list []json.RawMessage
	if json.Unmarshal(claims["tags"], &list) != nil {
		return tokenID, nil
	}
	for _, item := range list {
		var tag string
		if json.Unmarshal(item, &tag) == nil && tag != "" {
			tags = append(tags, tag)
		}
	}
	return tokenID, tags
}
