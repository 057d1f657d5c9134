package plugintest

import (
	"bytes"
	"encoding/json"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// connection is what a node knows of one between its events.
type connection struct {
	seq     uint64
	user    string
	claims  []byte
	expires int64 // Unix milliseconds
	remote  string
	states  []router.State
}

// session is one test on its way.
type session struct {
	stage *stage
	chain router.Filters
	spec  plugins.Spec
	seed  uint64
	conns map[uint64]*connection
	count uint64 // events so far
}

// Outcome is what became of one event.
type Outcome struct {
	Line    int    // of the event in its file
	What    string // message, connect, …
	Verdict string // continue, allow, deny, drop, disconnect, failure
	Failure string // its cause: of the filter's failure, also where on_failure: continue let the event pass
	Code    uint32
	Reason  string
	RetryMS int64
	Payload []byte // nil: unchanged
	Room    string // "": not rerouted

	Identified bool   // the filter set something of the identity: of connect and refresh
	User       string // and so on
	Claims     []byte
	Grants     []byte // nil: the configured default
	Info       []byte
	ExpiresMS  int64

	State   []byte // what the filter now keeps about the connection
	Version uint32 // of State
	Log     []string
	Fuel    int64

	failures    []*Failure // of the expectations
	lines       []logLine
	called      bool
	asked       bool
	unexplained bool // the lookup was made, and the test does not say what it finds
}

func (s *session) conn(id uint64) *connection {
	if id == 0 { // no connection: a message of the server
		return &connection{remote: defaultRemote, user: defaultUser}
	}
	c := s.conns[id]
	if c == nil {
		c = &connection{remote: defaultRemote, user: defaultUser}
		s.conns[id] = c
	}
	return c
}

// prepare makes the event that a connection would make of the step.
func (s *session) prepare(st *step, now time.Time) (*router.Event, *connection) {
	c := s.conn(st.conn)
	e := &router.Event{
		Hook: st.hook, Kind: st.kind, FromServer: st.fromServer, Time: now.UnixNano(), Conn: st.conn,
		Payload: st.payload, Room: st.room, Target: st.target, Cause: st.cause, Request: st.request,
	}
	if st.hook == router.HookConnect && st.kind == router.KindNew {
		fresh := connection{remote: c.remote}
		if st.state != nil {
			fresh.states = c.states
		}
		*c = fresh
	}
	if st.remote != nil {
		if e.Remote = *st.remote; st.hook == router.HookConnect {
			c.remote = e.Remote
		}
	} else {
		e.Remote = c.remote
	}
	e.User, e.Claims, e.Expires = c.user, c.claims, c.expires
	if st.hook == router.HookConnect {
		e.Claims, e.Expires = nil, 0 // they come from this event
	}
	if st.user != nil {
		e.User = *st.user
	}
	if st.claims != nil {
		e.Claims = *st.claims
	}
	if st.expires != nil {
		e.Expires = *st.expires
	}
	if st.conn != 0 {
		c.seq++
		e.Seq, e.States = c.seq, &c.states
		if st.state != nil {
			s.presetState(c, st.state)
		}
	}
	return e, c
}

// presetState lets the filter find what an earlier version of it may have kept.
func (s *session) presetState(c *connection, v *stateValue) {
	c.states = c.states[:0]
	if len(v.data) == 0 {
		return
	}
	st := router.State{Filter: s.spec.Name, Data: bytes.Clone(v.data)}
	if v.version != nil {
		st.Version = *v.version
	}
	c.states = append(c.states, st)
}

// What the machine may be in the way of: an instance that was discarded is
// replaced within 20 ms, which a busy machine does not always do.
const (
	settleTries = 40
	settleWait  = 50 * time.Millisecond
)

// event judges one event.
func (s *session) event(st *step) (*Outcome, error) {
	s.count++
	now := s.stage.begin(s.seed, s.count, st.after, st.lookup)
	e, c := s.prepare(st, now)
	before := bytes.Clone(e.Payload)
	for try := 0; ; try++ {
		if err := s.chain.Judge(e); err != nil {
			return nil, err
		}
		passing := e.Verdict.Failure == plugins.CauseUnavailable.String() || e.Verdict.Failure == plugins.CauseOverloaded.String()
		if !passing || try == settleTries || st.expect != nil && st.expect.failure != nil && *st.expect.failure == e.Verdict.Failure {
			break
		}
		time.Sleep(settleWait)
		s.stage.begin(s.seed, s.count, 0, st.lookup)
	}
	o := s.outcome(st, e, before)
	s.follow(st, e, c)
	return o, nil
}

func (s *session) outcome(st *step, e *router.Event, before []byte) *Outcome {
	v := &e.Verdict
	calls, lines, asked := s.stage.end()
	o := &Outcome{
		Line: st.line, What: st.what, Verdict: verdictWords[v.Action], Failure: v.Failure, Code: v.Code, Reason: v.Reason,
		RetryMS: v.RetryAfter.Milliseconds(), Room: v.Room, lines: lines, called: len(calls) > 0, asked: asked,
		unexplained: asked && st.lookup == nil,
	}
	if v.Payload != nil && !bytes.Equal(v.Payload, before) {
		o.Payload = bytes.Clone(v.Payload)
	}
	for _, call := range calls {
		o.Fuel += call.Fuel
		if o.Failure == "" {
			o.Failure = call.Failure.String()
		}
	}
	if o.Failure != "" {
		o.Verdict = verdictFailure
	}
	for _, l := range lines {
		o.Log = append(o.Log, l.text)
	}
	if id := v.Identity; id != nil {
		o.Identified, o.User, o.Claims, o.Info = true, id.User, id.Claims, id.Info
		if id.Grants != nil {
			o.Grants, _ = json.Marshal(id.Grants) // of nothing but text
		}
		if !id.Expires.IsZero() {
			o.ExpiresMS = id.Expires.UnixMilli()
		}
	}
	if e.States != nil {
		for _, state := range *e.States {
			if state.Filter == s.spec.Name {
				o.State, o.Version = bytes.Clone(state.Data), state.Version
			}
		}
	}
	return o
}

// follow is what the event means for the connection.
func (s *session) follow(st *step, e *router.Event, c *connection) {
	v := &e.Verdict
	admitted := v.Action == router.Continue || v.Action == router.Allow
	switch {
	case st.hook == router.HookDisconnect || v.Action == router.Disconnect:
		delete(s.conns, st.conn)
	case st.hook == router.HookConnect && admitted && v.Identity != nil:
		c.user, c.claims, c.expires = v.Identity.User, v.Identity.Claims, 0
		if !v.Identity.Expires.IsZero() {
			c.expires = v.Identity.Expires.UnixMilli()
		}
	case st.hook == router.HookConnect && st.kind == router.KindNew && !admitted:
		delete(s.conns, st.conn)
	}
	if c.user == "" {
		c.user = defaultUser // an anonymous client has some name, too
	}
}
