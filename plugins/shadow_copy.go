package plugins

import (
	"bytes"

	"sluice/router"
)

// shadowing is a candidate that runs beside the active version, as one chain has
// it. What it counts is its pool's.
type shadowing struct {
	filter      filter
	share       float64
	salt, below uint64
}

// draws reports whether the candidate is to be asked about the event.
func (s *shadowing) draws(e *router.Event) bool {
	n := e.Seq
	if e.Conn == 0 { // of the server: it is not counted
		n = uint64(e.Time)
	}
	return chance(n, s.salt^chance(e.Conn, s.salt)) < s.below
}

// copied is an event, as the active version was asked about it, with the answer.
type copied struct {
	version *filter // the candidate
	size    int64   // bytes that it is counted as in the queue
	event   router.Event
	q       question
	notes   notes
	was     told
}

// copiedSize is about what one takes beside what it copies.
const copiedSize = 1 << 10

// copy takes a question before the active version is asked, and has the host's
// answers to that version noted. It is nil if the candidate is not to be asked.
// It does not wait.
func (s *shadowing) copy(q *question, in *instance) *copied {
	if !s.draws(q.event) {
		return nil
	}
	sh := s.filter.pool.shadow
	sh.drawn.Add(1)
	size := copiedSize + len(q.payload) + len(q.claims) + len(q.state) + len(q.lookup)
	if len(sh.queue) == cap(sh.queue) || sh.waiting.Load()+int64(size) > shadowBytes {
		sh.full.Add(1)
		return nil
	}
	c := &copied{version: &s.filter}
	c.event = router.Event{
		Hook: q.event.Hook, Kind: q.event.Kind, FromServer: q.event.FromServer, Time: q.event.Time,
		Conn: q.event.Conn, Seq: q.event.Seq, Target: q.event.Target, Cause: q.event.Cause, Remote: q.event.Remote,
	}
	c.q = question{
		event: &c.event, payload: bytes.Clone(q.payload), room: q.room, user: q.user, claims: bytes.Clone(q.claims), expires: q.expires,
		state: bytes.Clone(q.state), stateVersion: q.stateVersion, lookup: bytes.Clone(q.lookup), lookupStatus: q.lookupStatus,
	}
	if q.event.Hook == router.HookConnect {
		var ok bool
		if c.q.meta, ok = selectMeta(q.event.Request, &s.filter.settings); !ok {
			sh.tooBig.Add(1)
			return nil
		}
		for i := range c.q.meta {
			size += metaEntry + len(c.q.meta[i].name) + len(c.q.meta[i].value)
		}
	}
	c.size = int64(size)
	in.noted = &c.notes
	return c
}

// offer hands the event over to the candidate, with the active version's answer,
// whose views of the guest's memory are still good. It does not wait.
func (c *copied) offer(in *instance, a answer, fail *failure) {
	in.noted = nil
	sh := c.version.pool.shadow
	c.was = told{answer: a.detached(), version: in.stateVersion}
	if fail != nil {
		c.was.cause = fail.cause
	}
	c.size += int64(c.notes.bytes + c.was.answer.size())
	if sh.waiting.Add(c.size) <= shadowBytes {
		select {
		case sh.queue <- c:
			return
		default:
		}
	}
	sh.waiting.Add(-c.size)
	sh.full.Add(1)
}

// detached is the answer without views of the guest's memory.
func (a *answer) detached() answer {
	out := *a
	out.parsed = nil
	out.reason = bytes.Clone(a.reason)
	for _, o := range out.outputs() {
		o.bytes = bytes.Clone(o.bytes)
	}
	return out
}

func (a *answer) size() (n int) {
	for _, o := range a.outputs() {
		n += len(o.bytes)
	}
	return n + len(a.reason)
}

// outputs are those that are strings, in the order of outputWords.
func (a *answer) outputs() [6]*output {
	return [...]*output{&a.payload, &a.room, &a.state, &a.user, &a.claims, &a.grants}
}

var outputWords = [...]string{"payload", "room", "state", "user", "claims", "grants"}
