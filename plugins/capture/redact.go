package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sluice/plugins"
	"sluice/router"
)

const (
	// removed stands where something was taken out.
	removed     = "[removed]"
	removedJSON = `"[removed]"`

	// Copies of what was taken out are looked for in the rest of the record, if
	// they are long enough not to be found by chance.
	minSecret  = 6
	maxSecrets = 256
)

// redactor takes out what must not be kept. Headers' values, query values,
// cookies and tokens go by default.
type redactor struct {
	headers  bool
	pointers []pointer
	claims   []pointer // names of claims, as pointers of one part
}

func newRedactor(headers bool, redact []string) (*redactor, error) {
	r := &redactor{headers: headers}
	for i, entry := range redact {
		if !strings.HasPrefix(entry, "/") {
			if entry == "" {
				return nil, fmt.Errorf("redact[%d]: name a claim, or a place in the content by a JSON pointer as /card/number", i)
			}
			r.claims = append(r.claims, pointer{entry})
			continue
		}
		p, err := parsePointer(entry)
		if err != nil {
			return nil, fmt.Errorf("redact[%d]: %w", i, err)
		}
		r.pointers = append(r.pointers, p)
	}
	return r, nil
}

// CheckRedact reports what is wrong with a list of what is to be taken out.
func CheckRedact(redact []string) error {
	_, err := newRedactor(false, redact)
	return err
}

// credentialWords are what the names of headers have in them that carry secrets.
var credentialWords = []string{"auth", "cookie", "token", "secret", "key", "session", "password", "credential", "jwt", "signature", "sec-websocket-protocol"}

func carriesCredential(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(credentialWords, func(w string) bool { return strings.Contains(name, w) })
}

// looksSecret reports whether a configuration has a key whose name says that its
// value is a secret. It is how those are found that stand in the configuration
// as they are; the others its reader knows of.
func looksSecret(config []byte) bool {
	var v any
	if json.Unmarshal(config, &v) != nil {
		return true
	}
	return hasSecretKey(v)
}

func hasSecretKey(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			key = strings.ToLower(key)
			for _, w := range []string{"secret", "password", "passwd", "token", "credential", "api_key", "apikey", "private"} {
				if strings.Contains(key, w) {
					return true
				}
			}
			if hasSecretKey(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasSecretKey)
	}
	return false
}

// removal is what is being taken out of one event.
type removal struct {
	*redactor
	event   *Event
	what    []string // for Event.Removed
	secrets []string // to be looked for elsewhere
}

// redact takes out of an event what must not be kept. It shares no bytes with the
// record that it changes.
func (r *redactor) redact(e *Event) {
	x := &removal{redactor: r, event: e}
	if e.Hook == "connect" && e.Kind == router.KindRefresh {
		x.token()
	}
	for i := range e.Asked {
		x.meta(e.Asked[i].Meta)
	}
	x.each(x.content, x.claimed)
	x.scrub()
	slices.Sort(x.what)
	e.Removed = slices.Compact(x.what)
}

func (x *removal) secret(text string) {
	if len(text) >= minSecret && len(x.secrets) < maxSecrets && text != removed {
		x.secrets = append(x.secrets, text)
	}
}

// credential notes a secret, and its parts: "Bearer TOKEN", "bearer, TOKEN".
func (x *removal) credential(text string) {
	x.secret(text)
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == ';' || r == '=' || r == '"' }) {
		if part != text {
			x.secret(part)
		}
	}
}

// token takes out the token of a refresh.
func (x *removal) token() {
	e := x.event
	if e.Payload != nil {
		x.what = append(x.what, "token")
		x.credential(string(e.Payload))
		e.Payload = Text(removed)
	}
	for i := range e.Asked {
		if a := &e.Asked[i]; a.Payload != nil {
			x.credential(string(a.Payload))
			a.Payload = Text(removed)
		}
	}
}

func (x *removal) meta(metas []Meta) {
	for i := range metas {
		m := &metas[i]
		switch plugins.MetaKind(m.Kind) {
		case plugins.MetaAttribute:
			continue
		case plugins.MetaHeader:
			if x.headers && !carriesCredential(m.Name) {
				continue
			}
			x.what = append(x.what, "header "+m.Name)
			if carriesCredential(m.Name) {
				x.credential(string(m.Value))
			}
		case plugins.MetaQuery:
			x.what = append(x.what, "query "+m.Name)
			x.credential(string(m.Value))
		default:
			x.what = append(x.what, "cookie "+m.Name)
			x.credential(string(m.Value))
		}
		m.Value = Text(removed)
	}
}

// each visits what is content and what is claims.
func (x *removal) each(content, claims func(*Text)) {
	e := x.event
	content(&e.Payload)
	claims(&e.Claims)
	for i := range e.Asked {
		a := &e.Asked[i]
		content(&a.Payload)
		content(&a.Lookup)
		content(&a.Answer.Payload)
		claims(&a.Claims)
		claims(&a.Answer.Claims)
	}
}

func (x *removal) content(t *Text) { x.cut(t, x.pointers, "content") }
func (x *removal) claimed(t *Text) { x.cut(t, x.redactor.claims, "claims") }

func (x *removal) cut(t *Text, pointers []pointer, what string) {
	out, found := cut(*t, pointers, x.taken)
	if found {
		*t = out
		x.what = append(x.what, what)
	}
}

// taken notes what a value that was taken out consists of.
func (x *removal) taken(value json.RawMessage) {
	x.secret(string(value))
	var v any
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if d.Decode(&v) == nil {
		x.scalars(v)
	}
}

func (x *removal) scalars(v any) {
	switch v := v.(type) {
	case string:
		x.secret(v)
		if quoted, err := json.Marshal(v); err == nil {
			x.secret(string(quoted[1 : len(quoted)-1]))
		}
	case json.Number:
		x.secret(v.String())
	case map[string]any:
		for _, inner := range v {
			x.scalars(inner)
		}
	case []any:
		for _, inner := range v {
			x.scalars(inner)
		}
	}
}

// scrub replaces copies of what was taken out: a filter may have put it into its
// reason, its output, its state or a value.
func (x *removal) scrub() {
	if len(x.secrets) == 0 {
		return
	}
	// The longest first: one may be part of another.
	slices.SortFunc(x.secrets, func(a, b string) int { return len(b) - len(a) })
	e := x.event
	text := func(s *string) {
		t := Text(*s)
		x.scrubText(&t)
		*s = string(t)
	}
	text(&e.Verdict.Reason)
	text(&e.User)
	x.each(x.scrubText, x.scrubText)
	for i := range e.Asked {
		a := &e.Asked[i]
		for _, t := range []*Text{&a.State, &a.User, &a.Answer.Reason, &a.Answer.State, &a.Answer.User, &a.Answer.Grants} {
			x.scrubText(t)
		}
		for j := range a.Host {
			if h := &a.Host[j]; plugins.Op(h.Op) == plugins.OpKVGet && h.Data != nil {
				x.scrubText(&h.Data)
				h.Value = int64(len(h.Data))
			}
		}
	}
}

func (x *removal) scrubText(t *Text) {
	for _, s := range x.secrets {
		if len(*t) >= len(s) && bytes.Contains(*t, []byte(s)) {
			*t = bytes.ReplaceAll(*t, []byte(s), []byte(stead(s)))
			x.what = append(x.what, "copies")
		}
	}
}

// stead is what stands for a copy of a secret. A number stays one, so that JSON
// stays JSON.
func stead(secret string) string {
	if strings.Trim(secret, "0123456789.-+eE") != "" {
		return removed
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '1'
		}
		return r
	}, secret)
}
