package lookup

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxURL = 8 << 10 // bytes of a URL once its fields are filled in
	maxKey = 1 << 10 // bytes of a key once its fields are filled in
)

// fieldKind says what a field of a template stands for.
type fieldKind uint8

const (
	fieldUser fieldKind = iota
	fieldRoom
	fieldTarget
	fieldHook
	fieldKindOf
	fieldRemote
	fieldConn
	fieldClaim // these and the following have a name
	fieldHeader
	fieldQuery
	fieldCookie
)

// fieldWords are the fields as templates write them, and the hooks whose events
// can have a value for them.
var fieldWords = []struct {
	kind  fieldKind
	word  string
	hooks []string
}{
	{fieldUser, "user", nil},
	{fieldRoom, "room", []string{hookJoin, hookMessage}},
	{fieldTarget, "target", []string{hookMessage}},
	{fieldHook, "hook", nil},
	{fieldKindOf, "kind", []string{hookConnect, hookMessage}},
	{fieldRemote, "remote", nil},
	{fieldConn, "conn", nil},
	{fieldClaim, "claims.", nil},
	{fieldHeader, "header.", []string{hookConnect}},
	{fieldQuery, "query.", []string{hookConnect}},
	{fieldCookie, "cookie.", []string{hookConnect}},
}

// fieldsText is what an error says of the fields that exist.
const fieldsText = "user, room, target, hook, kind, remote, conn, claims.NAME, header.NAME, query.NAME and cookie.NAME"

// field is one ${…} of a template.
type field struct {
	kind  fieldKind
	name  string // of a claim, header, query field or cookie
	hooks []string
}

func (f *field) String() string {
	for _, w := range fieldWords {
		if w.kind == f.kind {
			return "${" + w.word + f.name + "}"
		}
	}
	return ""
}

// IsField reports whether ${name} is a field of the event in a template.
func IsField(name string) bool { return parseField(name) != nil }

func parseField(name string) *field {
	for _, w := range fieldWords {
		if w.kind < fieldClaim {
			if name == w.word {
				return &field{kind: w.kind, hooks: w.hooks}
			}
			continue
		}
		rest, ok := strings.CutPrefix(name, w.word)
		if !ok || rest == "" || len(rest) > 255 || strings.ContainsFunc(rest, isControl) {
			continue
		}
		if w.kind == fieldHeader {
			rest = strings.ToLower(rest)
		}
		return &field{kind: w.kind, name: rest, hooks: w.hooks}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// part is literal text, or a field.
type part struct {
	literal string
	field   *field
}

// template is text with fields.
type template []part

func parseTemplate(text string) (template, error) {
	var t template
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "${")
		if before != "" {
			t = append(t, part{literal: before})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return nil, errors.New("a ${ is not closed; write ${user}")
		}
		f := parseField(name)
		if f == nil {
			return nil, fmt.Errorf("${%.40s} is no field of the event; there are %s", name, fieldsText)
		}
		t = append(t, part{field: f})
		rest = after
	}
	return t, nil
}

// fields are the template's fields.
func (t template) fields() (out []*field) {
	for _, p := range t {
		if p.field != nil {
			out = append(out, p.field)
		}
	}
	return out
}

// errAbsent says that a field has no value, which makes a lookup a miss.
var errAbsent = errors.New("a field has no value")

// expand fills in the fields' values as escape writes them.
func (t template) expand(v *values, limit int, escape func(*strings.Builder, string)) (string, error) {
	var out strings.Builder
	for _, p := range t {
		if p.field == nil {
			out.WriteString(p.literal)
			continue
		}
		value, err := v.of(p.field)
		if err != nil {
			return "", err
		}
		if len(value) <= limit {
			escape(&out, value)
		}
		if len(value) > limit || out.Len() > limit {
			return "", fmt.Errorf("with %s filled in it is longer than %d bytes", p.field, limit)
		}
	}
	if out.Len() > limit {
		return "", fmt.Errorf("with its fields filled in it is longer than %d bytes", limit)
	}
	return out.String(), nil
}

const upperHex = "0123456789ABCDEF"

// escapeURL percent-encodes all but the characters that RFC 3986 calls
// unreserved, so that a value stays within its segment, or its query value.
func escapeURL(out *strings.Builder, value string) {
	escapeBytes(out, value, func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
	})
}

// escapeKey percent-encodes what separates the segments of a key, what marks a
// hash tag, and what cannot be seen, so that a value stays within its segment.
func escapeKey(out *strings.Builder, value string) {
	escapeBytes(out, value, func(c byte) bool {
		return c > ' ' && c != 0x7f && c != ':' && c != '%' && c != '{' && c != '}'
	})
}

func escapeBytes(out *strings.Builder, value string, plain func(byte) bool) {
	for i := range len(value) {
		if c := value[i]; plain(c) {
			out.WriteByte(c)
		} else {
			out.WriteByte('%')
			out.WriteByte(upperHex[c>>4])
			out.WriteByte(upperHex[c&15])
		}
	}
}

// measure puts a value's length before it: whatever the values are, two keys are
// equal only if all values are.
func measure(out *strings.Builder, value string) {
	out.WriteString(strconv.Itoa(len(value)))
	out.WriteByte(':')
	out.WriteString(value)
}

// urlTemplate is a template of which scheme, host and port are fixed.
type urlTemplate struct {
	template
	fixed  string // the text up to the path
	target string // scheme and host, for logs
	http   bool   // plain http, to loopback
}

// splitAuthority cuts a URL behind its host and port.
func splitAuthority(text string) (fixed, rest string) {
	scheme, after, ok := strings.Cut(text, "://")
	if !ok {
		return text, ""
	}
	end := len(scheme) + len("://")
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		return text[:end+i], text[end+i:]
	}
	return text, ""
}

// expandURL fills the template in.
func (t *urlTemplate) expandURL(v *values) (string, error) {
	text, err := t.expand(v, maxURL, escapeURL)
	if err != nil {
		return "", err
	}
	if !dotless(text[len(t.fixed):]) {
		return "", errors.New("a value makes a segment of its path . or .., which would lead elsewhere")
	}
	return text, nil
}

// dotless reports whether no segment of the path is . or .., by which servers
// climb to another path, even where they are encoded.
func dotless(pathAndQuery string) bool {
	path, _, _ := strings.Cut(pathAndQuery, "?")
	path, err := url.PathUnescape(path)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }),
		func(segment string) bool { return segment == "." || segment == ".." })
}
