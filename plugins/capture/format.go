package capture

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"sluice/plugins"
	"sluice/plugins/lookup"
	"sluice/router"
)

// Version is that of the form. A reader knows all lines of its version, and
// passes by lines and keys that it does not know.
const Version = 1

// line is one line of a capture: exactly one of its fields is set.
type line struct {
	Header *Header `json:"sluice_capture,omitempty"`
	Filter *Source `json:"filter,omitempty"`
	Event  *Event  `json:"event,omitempty"`
	End    *End    `json:"end,omitempty"`
}

// Header is the first line.
type Header struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	Node    string    `json:"node,omitempty"` // the version of the node
	Sample  float64   `json:"sample"`         // the part of the connections that is recorded
	Headers bool      `json:"headers"`        // values of headers were kept
	Redact  []string  `json:"redact,omitempty"`
}

// Source is a filter, as the events after it name it by its number.
type Source struct {
	ID         int      `json:"id"`
	Name       string   `json:"name"`
	SHA256     string   `json:"sha256"` // of the module, in hexadecimal
	Config     Text     `json:"config,omitzero"`
	Private    bool     `json:"private,omitempty"` // the configuration was left out
	Headers    []string `json:"headers,omitempty"`
	Query      []string `json:"query,omitempty"`
	Cookies    []string `json:"cookies,omitempty"`
	Reroute    []string `json:"reroute,omitempty"`
	StateBytes int      `json:"state_bytes,omitempty"`
}

// Event is one event and what the filters of the chain said of it.
type Event struct {
	Time       int64    `json:"time"` // Unix nanoseconds
	Hook       string   `json:"hook"` // connect, join, message, leave, disconnect
	Kind       uint32   `json:"kind,omitempty"`
	FromServer bool     `json:"from_server,omitempty"`
	Conn       uint64   `json:"conn,omitempty"`
	Seq        uint64   `json:"seq,omitempty"`
	Payload    Text     `json:"payload,omitzero"`
	Room       string   `json:"room,omitempty"`
	User       string   `json:"user,omitempty"`
	Target     Text     `json:"target,omitzero"`
	Claims     Text     `json:"claims,omitzero"`
	Cause      uint32   `json:"cause,omitempty"`
	Expires    int64    `json:"expires_ms,omitempty"`
	Remote     string   `json:"remote,omitempty"`
	Verdict    Verdict  `json:"verdict,omitzero"` // the chain's
	Asked      []Asked  `json:"asked,omitempty"`
	Removed    []string `json:"removed,omitempty"` // what was taken out
	Dropped    uint64   `json:"dropped,omitempty"` // events before this one that were not recorded for want of room
}

// Verdict is the outcome of a chain.
type Verdict struct {
	Action  string `json:"action,omitempty"` // "": continue
	Code    uint32 `json:"code,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Filter  string `json:"filter,omitempty"`
	Failure string `json:"failure,omitempty"`
}

// Asked is what one filter was asked, what the host told it, and what it
// answered. Of the question there is what differs from the event.
type Asked struct {
	Filter  int    `json:"filter"` // the ID of a Source
	Payload Text   `json:"payload,omitzero"`
	Room    Text   `json:"room,omitzero"`
	User    Text   `json:"user,omitzero"`
	Claims  Text   `json:"claims,omitzero"`
	Expires *int64 `json:"expires_ms,omitempty"`

	State        Text     `json:"state,omitzero"`
	StateVersion uint32   `json:"state_version,omitempty"`
	Lookup       Text     `json:"lookup,omitzero"`
	LookupStatus uint8    `json:"lookup_status,omitempty"` // 1 found, 2 missed, 3 failed
	Meta         []Meta   `json:"meta,omitempty"`
	Host         []Answer `json:"host,omitempty"`
	Cut          bool     `json:"cut,omitempty"` // the host said more than is recorded

	Answer  Output `json:"answer,omitzero"`
	Failure string `json:"failure,omitempty"`
	Nanos   int64  `json:"ns,omitempty"` // that the call took
}

// Meta is a part of an upgrade request: kind 1 attribute, 2 header, 3 query field, 4
// cookie.
type Meta struct {
	Kind  uint32 `json:"kind"`
	Name  string `json:"name"`
	Value Text   `json:"value,omitzero"`
}

// Answer is what the host told the guest in one call.
type Answer struct {
	Op    string `json:"op"`
	Asked uint32 `json:"asked"` // a digest of the arguments
	Value int64  `json:"value,omitempty"`
	Data  Text   `json:"data,omitzero"`
}

// Output is a filter's answer. Nil is unset; empty is set and cleared.
type Output struct {
	Action  string `json:"action,omitempty"` // "": continue
	Code    uint32 `json:"code,omitempty"`
	RetryMS int64  `json:"retry_ms,omitempty"`
	Reason  Text   `json:"reason,omitzero"`
	Payload Text   `json:"payload,omitzero"`
	Room    Text   `json:"room,omitzero"`
	State   Text   `json:"state,omitzero"`
	User    Text   `json:"user,omitzero"`
	Claims  Text   `json:"claims,omitzero"`
	Grants  Text   `json:"grants,omitzero"`
	Expires int64  `json:"expires_ms,omitempty"`
}

// End is the last line of a capture that ended in order.
type End struct {
	Why     string    `json:"why"` // time, size, stopped
	Time    time.Time `json:"time"`
	Events  uint64    `json:"events"`
	Dropped uint64    `json:"dropped,omitempty"` // in all
}

// Text is bytes that are text most of the time: a JSON string if they are UTF-8,
// else {"base64": "…"}.
type Text []byte

// MarshalJSON encodes the bytes exactly.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("null"), nil
	}
	if utf8.Valid(t) {
		return json.Marshal(string(t))
	}
	return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(t)})
}

// UnmarshalJSON is the reverse.
func (t *Text) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		*t = nil
		return nil
	case len(b) > 0 && b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = append(Text{}, s...)
		return nil
	}
	var o struct {
		Base64 *string `json:"base64"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if o.Base64 == nil {
		return errors.New(`bytes are a string or {"base64": "…"}`)
	}
	raw, err := base64.StdEncoding.DecodeString(*o.Base64)
	if err != nil {
		return err
	}
	*t = append(Text{}, raw...)
	return nil
}

var hookWords = map[router.Hook]string{
	router.HookConnect: "connect", router.HookJoin: "join", router.HookMessage: "message",
	router.HookLeave: "leave", router.HookDisconnect: "disconnect",
}

func hookOf(word string) (router.Hook, error) {
	for hook, w := range hookWords {
		if w == word {
			return hook, nil
		}
	}
	return 0, fmt.Errorf("there is no hook %.40q", word)
}

var actionWords = map[router.Action]string{
	router.Continue: "", router.Allow: "allow", router.Deny: "deny", router.Drop: "drop", router.Disconnect: "disconnect",
}

// differs is the text as a line of a question has it: nil if the event's is the
// same.
func differs(text, event []byte) Text {
	if string(text) == string(event) {
		return nil
	}
	return append(Text{}, text...)
}

// textOf is nil for no text.
func textOf(s string) Text {
	if s == "" {
		return nil
	}
	return Text(s)
}

// eventOf puts a record into the form of a line. It shares the record's bytes.
func eventOf(r *plugins.Record, number func(*plugins.Source) int) *Event {
	e := &r.Event
	out := &Event{
		Time: e.Time, Hook: hookWords[e.Hook], Kind: e.Kind, FromServer: e.FromServer, Conn: e.Conn, Seq: e.Seq,
		Payload: e.Payload, Room: e.Room, User: e.User, Target: textOf(e.Target), Claims: e.Claims, Cause: e.Cause,
		Expires: e.Expires, Remote: e.Remote,
		Verdict: Verdict{
			Action: actionWords[e.Verdict.Action], Code: e.Verdict.Code, Reason: e.Verdict.Reason,
			Filter: e.Verdict.Filter, Failure: e.Verdict.Failure,
		},
	}
	for i := range r.Asked {
		a := &r.Asked[i]
		asked := Asked{
			Filter:  number(a.By),
			Payload: differs(a.Payload, e.Payload), Room: differs([]byte(a.Room), []byte(e.Room)),
			User: differs([]byte(a.User), []byte(e.User)), Claims: differs(a.Claims, e.Claims),
			State: a.State, StateVersion: a.StateVersion, Lookup: a.Lookup, LookupStatus: uint8(a.LookupStatus),
			Cut: a.Cut, Answer: outputOf(&a.Answer), Failure: a.Failure.String(), Nanos: int64(a.Time),
		}
		if a.Expires != e.Expires {
			asked.Expires = &a.Expires
		}
		for _, m := range a.Meta {
			asked.Meta = append(asked.Meta, Meta{uint32(m.Kind), m.Name, Text(m.Value)})
		}
		for _, h := range a.Host {
			asked.Host = append(asked.Host, Answer{string(h.Op), h.Asked, h.Value, h.Data})
		}
		out.Asked = append(out.Asked, asked)
	}
	return out
}

func outputOf(o *plugins.Output) Output {
	return Output{
		Action: actionWords[o.Action], Code: o.Code, RetryMS: o.Retry.Milliseconds(), Reason: o.Reason, Payload: o.Payload,
		Room: o.Room, State: o.State, User: o.User, Claims: o.Claims, Grants: o.Grants, Expires: o.Expires,
	}
}

func sourceOf(id int, s *plugins.Source) *Source {
	out := &Source{
		ID: id, Name: s.Filter, SHA256: hex.EncodeToString(s.Digest[:]), Config: Text(s.Config), Private: s.Private,
		Headers: s.Headers, Query: s.Query, Cookies: s.Cookies, Reroute: s.Reroute, StateBytes: s.StateBytes,
	}
	if !out.Private && looksSecret(out.Config) {
		out.Config, out.Private = nil, true
	}
	return out
}

// question is what the filter was asked, whole.
func (a *Asked) question(e *Event) (router.Event, error) {
	hook, err := hookOf(e.Hook)
	if err != nil {
		return router.Event{}, err
	}
	if a.LookupStatus > uint8(lookup.Failed) {
		return router.Event{}, fmt.Errorf("there is no lookup_status %d", a.LookupStatus)
	}
	q := router.Event{
		Hook: hook, Kind: e.Kind, FromServer: e.FromServer, Time: e.Time, Conn: e.Conn, Seq: e.Seq,
		Payload: e.Payload, Room: e.Room, User: e.User, Target: string(e.Target), Claims: e.Claims, Cause: e.Cause,
		Expires: e.Expires, Remote: e.Remote,
	}
	if a.Payload != nil {
		q.Payload = a.Payload
	}
	if a.Room != nil {
		q.Room = string(a.Room)
	}
	if a.User != nil {
		q.User = string(a.User)
	}
	if a.Claims != nil {
		q.Claims = a.Claims
	}
	if a.Expires != nil {
		q.Expires = *a.Expires
	}
	return q, nil
}
