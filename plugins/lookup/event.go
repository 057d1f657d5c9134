package lookup

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// The hooks that a lookup can be made for.
const (
	hookConnect = "connect"
	hookJoin    = "join"
	hookMessage = "message"
)

// Event is what templates, and the body of a POST, are filled from: the event
// as the filters before left it.
type Event struct {
	Hook    string // connect, join, message
	Kind    string // connect: new, refresh; message: room, broadcast, direct; else ""
	Time    int64  // Unix nanoseconds
	Conn    string // the connection's identifier, as its client has it in welcome
	Seq     uint64
	User    string
	Room    string
	Target  string
	Remote  string
	Claims  []byte // a JSON object, or empty
	Payload []byte // message: JSON; connect of kind refresh: the token

	Request *Request // of connect of kind new, else nil
}

// Request is what the filter's configuration names of the upgrade request.
type Request struct {
	Path, Host, Origin      string
	Headers, Query, Cookies map[string][]string // header names in lower case
}

// values finds the values of fields in an event.
type values struct {
	event  *Event
	claims map[string]json.RawMessage // once one was asked for
}

var errSeveral = errors.New("has several values, and which is meant cannot be told")

// of is a field's value. The error is errAbsent if it has none.
func (v *values) of(f *field) (string, error) {
	e := v.event
	var text string
	switch f.kind {
	case fieldUser:
		text = e.User
	case fieldRoom:
		text = e.Room
	case fieldTarget:
		text = e.Target
	case fieldHook:
		text = e.Hook
	case fieldKindOf:
		text = e.Kind
	case fieldRemote:
		text = e.Remote
	case fieldConn:
		text = e.Conn
	case fieldClaim:
		text = v.claim(f.name)
	default:
		list := e.Request.values(f)
		if len(list) > 1 {
			return "", errors.New(f.String() + " " + errSeveral.Error())
		}
		if len(list) == 1 {
			text = list[0]
		}
	}
	if text == "" {
		return "", errAbsent
	}
	return text, nil
}

func (r *Request) values(f *field) []string {
	if r == nil {
		return nil
	}
	switch f.kind {
	case fieldHeader:
		return r.Headers[f.name]
	case fieldQuery:
		return r.Query[f.name]
	}
	return r.Cookies[f.name]
}

// claim is a claim that is text, a number, true or false; "" if there is none.
func (v *values) claim(name string) string {
	if v.claims == nil {
		v.claims = make(map[string]json.RawMessage)
		_ = json.Unmarshal(v.event.Claims, &v.claims) // what is no object has no claims
	}
	raw := v.claims[name]
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var text string
		_ = json.Unmarshal(raw, &text)
		return text
	case '{', '[', 'n':
		return ""
	}
	return string(raw)
}

// body is the event as a POST sends it.
func (e *Event) body() []byte {
	var b body
	b.text("hook", e.Hook)
	b.text("kind", e.Kind)
	b.raw("time", strconv.AppendInt(nil, e.Time/1e6, 10))
	b.text("conn", e.Conn)
	b.raw("seq", strconv.AppendUint(nil, e.Seq, 10))
	b.text("user", e.User)
	b.text("room", e.Room)
	b.text("target", e.Target)
	b.raw("claims", e.Claims)
	b.text("remote", e.Remote)
	if e.Hook == hookMessage {
		b.raw("payload", e.Payload)
	} else if len(e.Payload) > 0 {
		b.text("payload", string(e.Payload))
	} else {
		b.raw("payload", nil)
	}
	if r := e.Request; r != nil {
		var in body
		in.text("path", r.Path)
		in.text("host", r.Host)
		in.text("origin", r.Origin)
		in.lists("headers", r.Headers)
		in.lists("query", r.Query)
		in.lists("cookies", r.Cookies)
		b.raw("request", in.end())
	} else {
		b.raw("request", nil)
	}
	return b.end()
}

// body writes a JSON object. Claims and content go in as they are: they are
// JSON, and need not be read.
type body struct{ bytes.Buffer }

func (b *body) name(name string) {
	if b.Len() == 0 {
		b.WriteByte('{')
	} else {
		b.WriteByte(',')
	}
	b.WriteByte('"')
	b.WriteString(name)
	b.WriteString(`":`)
}

// raw adds JSON; nothing is null.
func (b *body) raw(name string, value []byte) {
	b.name(name)
	if len(value) == 0 {
		value = []byte("null")
	}
	b.Write(value)
}

// text adds a string. Bytes that are not UTF-8 become U+FFFD.
func (b *body) text(name, value string) {
	b.name(name)
	b.encode(value)
}

func (b *body) lists(name string, value map[string][]string) {
	b.name(name)
	if value == nil {
		value = map[string][]string{}
	}
	b.encode(value)
}

func (b *body) encode(value any) {
	encoder := json.NewEncoder(&b.Buffer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // strings always have a JSON form
	b.Truncate(b.Len() - 1)   // the encoder's newline
}

func (b *body) end() []byte {
	b.WriteByte('}')
	return b.Bytes()
}

// validText reports whether text can stand in a key.
func validText(text string) bool { return utf8.ValidString(text) }
