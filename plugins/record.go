package plugins

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"sluice/plugins/lookup"
	"sluice/router"
)

// Recorder is told what filters were asked, what the host told them meanwhile,
// and what they answered. Its methods are called on the path of events, by
// several goroutines at one time: they must be quick, must not wait and must not
// call the host.
type Recorder interface {
	// Wants reports whether the event is to be recorded.
	Wants(e *router.Event) bool

	// Judged hands over the record of an event, which is the recorder's from then
	// on; what its fields point at is not written to any more.
	Judged(r *Record)
}

// Oracle is a Recorder that answers guests in the host's place, for replay.
type Oracle interface {
	Recorder

	// Answer is what the guest of a recorded event is told; ok is false if the
	// host is to answer for itself. room is how many bytes the guest can take.
	// It is called under the lane's lock.
	Answer(op Op, asked uint32, room int) (a Answer, ok bool)
}

// Record is one event and what the filters of a chain said of it.
type Record struct {
	// Event is the question as the router asked it. Its Verdict is the chain's;
	// Request, States and Scratch are nil.
	Event router.Event

	// Asked are the filters that were asked, in order. Those that failed before
	// they could be, for want of an instance, a lane or a lookup, are not there.
	Asked []Asked

	// Bytes is about how much memory the record holds.
	Bytes int
}

// Asked is one question to one filter.
type Asked struct {
	By *Source

	// The event as the filters before left it, and what is this filter's own.
	Payload      []byte
	Room, User   string
	Claims       []byte
	Expires      int64 // Unix milliseconds
	State        []byte
	StateVersion uint32
	Lookup       []byte
	LookupStatus lookup.Status
	Meta         []Meta // of a connect event

	// Host is what the host told the guest during the call, in order. Cut says
	// that there was more than a record holds.
	Host []Answer
	Cut  bool

	Answer  Output
	Failure Cause
	Time    time.Duration // of the call
}

// Meta is one thing that a filter sees of an upgrade request.
type Meta struct {
	Kind        MetaKind
	Name, Value string
}

// MetaKind says what a Meta is. The numbers are those of the plugin ABI.
type MetaKind uint32

// The kinds of a Meta.
const (
	MetaAttribute MetaKind = metaAttribute // path, host, origin
	MetaHeader    MetaKind = metaHeader
	MetaQuery     MetaKind = metaQuery
	MetaCookie    MetaKind = metaCookie
)

// Output is a filter's answer. A nil slice or string is unset, an empty one set
// and cleared.
type Output struct {
	Action       router.Action
	Code         uint32
	Retry        time.Duration
	Reason       []byte
	Payload      []byte
	Room         []byte
	State        []byte
	StateVersion uint32 // of State
	User         []byte
	Claims       []byte
	Grants       []byte
	Expires      int64
}

// Source is a filter as it was asked: everything by which its answer is read.
// Sources are never written to.
type Source struct {
	Filter                  string
	Digest                  [32]byte        // SHA-256 of the module
	Config                  json.RawMessage // nil if it is private; see Spec.PrivateConfig
	Private                 bool
	Headers, Query, Cookies []string
	Reroute                 []string // patterns
	StateBytes              int
}

// Limits of what the host's answers during one call may add to a record.
const (
	maxAnswers     = 4096
	maxAnswerBytes = 1 << 20
)

// sourceOf describes a filter and the pool that is asked for it.
func (s *settings) sourceOf(p *pool) *Source {
	out := &Source{
		Filter: s.Name, Digest: p.key.module.digest, Private: s.PrivateConfig,
		Headers: s.Headers, Query: s.Query, Cookies: s.Cookies, Reroute: s.May.Reroute, StateBytes: s.StateBytes,
	}
	if !s.PrivateConfig {
		out.Config = json.RawMessage(p.key.config)
	}
	return out
}

// record begins the record of an event, if there is to be one.
func (h *Host) record(e *router.Event) *Record {
	if h.recorder == nil || !h.recorder.Wants(e) {
		return nil
	}
	r := &Record{Event: *e}
	r.Event.Request, r.Event.States, r.Event.Scratch, r.Event.Verdict = nil, nil, nil, router.Verdict{}
	r.Event.Payload, r.Event.Claims = bytes.Clone(e.Payload), bytes.Clone(e.Claims)
	r.Bytes = 512 + len(e.Payload) + len(e.Claims)
	return r
}

// judged hands the record over when the chain has ended.
func (h *Host) judged(r *Record, e *router.Event) {
	v := e.Verdict
	v.Payload = bytes.Clone(v.Payload)
	r.Event.Verdict = v
	h.recorder.Judged(r)
}

// beginRecord notes what the filter is asked, and lets the instance note what the
// host tells it.
func (f *filter) beginRecord(in *instance, q *question) {
	r := q.record
	source := f.source
	if source == nil || in.pool != f.pool {
		source = f.sourceOf(in.pool)
	}
	r.Asked = append(r.Asked, Asked{
		By: source, Payload: r.Event.Payload, Room: q.room, User: q.user, Claims: bytes.Clone(q.claims), Expires: q.expires,
		State: bytes.Clone(q.state), StateVersion: q.stateVersion, Lookup: q.lookup, LookupStatus: q.lookupStatus,
	})
	a := &r.Asked[len(r.Asked)-1]
	if !bytes.Equal(a.Payload, q.payload) {
		a.Payload = bytes.Clone(q.payload)
	}
	for _, m := range q.meta {
		a.Meta = append(a.Meta, Meta{MetaKind(m.kind), m.name, m.value})
		r.Bytes += 64 + len(m.name) + len(m.value)
	}
	r.Bytes += 512 + len(a.Payload) + len(a.Claims) + len(a.State) + len(a.Lookup)
	a.Time = time.Duration(nanotime())
	in.tape = &tape{record: r, asked: a, oracle: f.pool.host.oracle}
}

// recordEnd is endRecord, if the call is recorded.
func (in *instance) recordEnd(a *answer, fail *failure) {
	if in.tape != nil {
		in.endRecord(a, fail)
	}
}

// endRecord notes how the call that beginRecord began has ended. Everything is
// copied: the answer's slices are views of the guest's memory.
func (in *instance) endRecord(a *answer, fail *failure) {
	r, asked := in.tape.record, in.tape.asked
	in.tape = nil
	asked.Time = time.Duration(nanotime()) - asked.Time
	if fail != nil {
		asked.Failure = fail.cause
		return
	}
	if a == nil {
		return
	}
	asked.Answer = Output{
		Action: a.action, Code: a.code, Retry: a.retry, Reason: bytes.Clone(a.reason),
		Payload: a.payload.copied(), Room: a.room.copied(), State: a.state.copied(), User: a.user.copied(),
		Claims: a.claims.copied(), Grants: a.grants.copied(), Expires: a.expires,
	}
	o := &asked.Answer
	if a.state.set {
		o.StateVersion = in.stateVersion
	}
	r.Bytes += len(o.Reason) + len(o.Payload) + len(o.State) + len(o.Claims) + len(o.Grants)
}

// copied is nil for an output that is unset.
func (o output) copied() []byte {
	if !o.set {
		return nil
	}
	return append([]byte{}, o.bytes...)
}

// tape takes down what the host tells a guest during one call, or plays it.
type tape struct {
	record *Record
	asked  *Asked
	oracle Oracle // nil: the host answers
	bytes  int
}

// note adds an answer. The data is copied.
func (t *tape) note(a Answer) {
	if t.asked.Cut || len(t.asked.Host) >= maxAnswers || t.bytes+len(a.Data) > maxAnswerBytes {
		t.asked.Cut = true
		return
	}
	a.Data = bytes.Clone(a.Data)
	if len(a.Data) == 0 {
		a.Data = nil
	}
	t.asked.Host = append(t.asked.Host, a)
	t.bytes += len(a.Data)
	t.record.Bytes += 64 + len(a.Data)
}

// Capabilities are the words of all capabilities, for tools that grant every one.
func Capabilities() []string {
	var words []string
	for _, c := range capabilityWords {
		words = append(words, c.word)
	}
	return slices.Clip(words)
}
