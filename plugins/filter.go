package plugins

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"sluice/router"
)

// filter is one entry of a chain: a pool, and the settings that the guest
// cannot observe.
type filter struct {
	settings
	pool   *pool
	looker *looker // nil: it has no lookup

	canary *canary    // nil: none is tried out
	shadow *shadowing // nil: none is tried out
	origin origin     // of its module
	source *Source    // nil: there is no recorder

	unproved []byte // its module, if that carries fixtures and was loaded anew; see Chain.TakeUnproved
}

// applies reports whether the filter judges the event as it stands now, with
// the room that it may have been rerouted to.
func (f *filter) applies(hook router.Hook, room string) bool {
	if !f.pool.module.hooks.has(hook) {
		return false
	}
	if len(f.rooms) == 0 || hook == router.HookConnect || hook == router.HookDisconnect {
		return true
	}
	return room != "" && matchAny(f.rooms, room)
}

// run asks the filter and takes its answer over. It reports whether the chain
// ends here. The caller holds the lane.
func (f *filter) run(lane int, q *question, id *identity) (stop bool) {
	p := f.pool
	s := &p.slots[lane]
	v := &q.event.Verdict
	in := p.instance(lane)
	if in == nil {
		return f.failed(s, nil, q, &failure{cause: CauseUnavailable, detail: "its last instance was discarded, and the next is not ready"})
	}
	q.state, q.stateVersion = stateOf(q.event.States, f.Name)
	q.meta = nil
	if q.event.Hook == router.HookConnect {
		var ok bool
		if q.meta, ok = selectMeta(q.event.Request, &f.settings); !ok {
			s.verdicts[router.Deny]++
			v.Action, v.Code, v.Filter = router.Deny, 413, f.Name
			v.Reason = "the request has more headers, query fields and cookies than filters can read"
			return true
		}
	}
	var beside *copied
	if f.shadow != nil {
		beside = f.shadow.copy(q, in)
	}
	s.calls++
	var begin int64
	timed := s.calls%sampleEvery == 1
	if timed {
		begin = nanotime()
	}
	if q.record != nil {
		f.beginRecord(in, q)
	}
	verdict, out, fail := in.ask(q, f.Time)
	if timed {
		p.observe(s, time.Duration(nanotime()-begin))
	}
	if fail != nil {
		if beside != nil {
			beside.offer(in, answer{}, fail)
		}
		in.trace(q.event.Hook, verdict, fail)
		in.recordEnd(nil, fail)
		return f.failed(s, in, q, fail)
	}
	if verdict == int32(router.Continue) && changesNothing(out) { // the common case
		if beside != nil {
			beside.offer(in, answer{}, nil)
		}
		in.trace(q.event.Hook, verdict, nil)
		in.recordEnd(nil, nil)
		s.verdicts[router.Continue]++
		s.settle()
		return false
	}
	a, cause := f.read(in, q, out, verdict)
	if cause != CauseNone {
		fail = &failure{cause: cause, detail: badAnswer(cause, verdict)}
	}
	if beside != nil {
		beside.offer(in, a, fail)
	}
	in.trace(q.event.Hook, verdict, fail)
	in.recordEnd(&a, fail)
	if fail != nil {
		return f.failed(s, in, q, fail)
	}
	stop = f.take(&a, in, q, id)
	s.verdicts[a.action]++
	s.settle()
	return stop
}

// take carries out a checked answer. Views of the guest's memory are copied.
func (f *filter) take(a *answer, in *instance, q *question, id *identity) (stop bool) {
	e := q.event
	v := &e.Verdict
	if a.state.set {
		keepState(e.States, f.Name, in.stateVersion, a.state.bytes)
	}
	if a.action == router.Allow && !f.May.Allow {
		a.action = router.Continue
	}
	switch a.action {
	case router.Continue, router.Allow:
		if e.Hook == router.HookConnect {
			if otherUser(e, a) {
				a.action = router.Deny
				v.Action, v.Code, v.Filter, v.Reason = router.Deny, 403, f.Name, "the token is another user's"
				return true
			}
			id.take(a, q)
			return f.allowed(a, v)
		}
		if a.payload.set {
			e.Scratch = append(e.Scratch[:0], a.payload.bytes...)
			q.payload, v.Payload = e.Scratch, e.Scratch
		}
		if a.room.set {
			v.Room = string(a.room.bytes)
			q.room = v.Room
		}
		return f.allowed(a, v)
	case router.Drop:
		v.Action, v.Filter = router.Drop, f.Name
		return true
	default:
		v.Action, v.Code, v.Filter, v.RetryAfter = a.action, a.code, f.Name, a.retry
		v.Reason = "refused by a filter"
		if len(a.reason) > 0 {
			v.Reason = string(a.reason)
		}
		return true
	}
}

func (f *filter) allowed(a *answer, v *router.Verdict) (stop bool) {
	if a.action == router.Allow {
		v.Action, v.Filter = router.Allow, f.Name
		return true
	}
	return false
}

// otherUser reports whether a refreshed token names another user than the
// connection's.
func otherUser(e *router.Event, a *answer) bool {
	return e.Kind == router.KindRefresh && a.user.set && string(a.user.bytes) != e.User
}

// failed counts a failure, discards an instance that cannot be trusted any more
// or has no memory left, and answers as the settings say.
func (f *filter) failed(s *slot, in *instance, q *question, fail *failure) (stop bool) {
	s.failures[fail.cause]++
	if in != nil {
		fail.tail = in.tail.take()
		switch {
		case fail.cause.discards():
			s.discard()
		default:
			s.renew(in)
		}
		if fail.cause == CauseTimeout {
			f.pool.holdSlow(nanotime())
		}
	}
	f.pool.host.reports.failure(f.pool, q.event.Hook, fail)
	return f.outcome(q.event, fail.cause)
}

// outcome is what becomes of an event on which the filter failed. What has
// already happened cannot be refused: there, the next filter is told of it.
func (f *filter) outcome(e *router.Event, cause Cause) (stop bool) {
	if f.failOpen || e.Hook == router.HookLeave || e.Hook == router.HookDisconnect {
		return false
	}
	v := &e.Verdict
	v.Action, v.Code, v.Filter = router.Deny, 503, f.Name
	v.Reason, v.Failure = "a filter failed", cause.String()
	return true
}

var answerDetails = [numCauses]string{
	CausePointer:    "an output lies outside the memory",
	CauseUTF8:       "an output that is text is not UTF-8",
	CauseJSON:       "an output is not the JSON that it must be",
	CauseValue:      "an output has a value that its field does not allow",
	CauseNotAllowed: "it set an output that this hook or its configuration does not allow",
	CauseTooBig:     "an output is longer than its maximum",
}

func badAnswer(cause Cause, verdict int32) string {
	switch cause {
	case CauseGuest:
		return "it returned " + itoa(verdict)
	case CauseVerdict:
		return "it returned " + itoa(verdict) + ", which is no verdict of this hook"
	}
	return answerDetails[cause]
}

// stateOf finds what a filter keeps about the connection.
func stateOf(states *[]router.State, filter string) ([]byte, uint32) {
	if states == nil {
		return nil, 0
	}
	for i := range *states {
		if s := &(*states)[i]; s.Filter == filter {
			return s.Data, s.Version
		}
	}
	return nil, 0
}

// keepState replaces it; empty data removes it.
func keepState(states *[]router.State, filter string, version uint32, data []byte) {
	if states == nil {
		return
	}
	for i := range *states {
		s := &(*states)[i]
		if s.Filter != filter {
			continue
		}
		if len(data) == 0 {
			*states = slices.Delete(*states, i, i+1)
			return
		}
		s.Version, s.Data = version, append(s.Data[:0], data...)
		return
	}
	if len(data) > 0 {
		*states = append(*states, router.State{Filter: filter, Version: version, Data: bytes.Clone(data)})
	}
}

func itoa(n int32) string { return strconv.FormatInt(int64(n), 10) }
