package plugins

import (
	"encoding/binary"
	"time"
	"unicode/utf8"

	"sluice/router"
	"sluice/router/wire"
)

// Maxima of outputs, in bytes.
const (
	maxContent = 64 << 10 // a rewritten message
	maxName    = wire.MaxName
	maxReason  = 512
	maxClaims  = 16 << 10
	maxGrants  = 16 << 10
	maxInfo    = 4 << 10 // what others see of a user
)

// Close codes that a filter may choose. Others become wire.ClosePolicy.
const (
	minCloseCode = 4000
	maxCloseCode = 4999
)

// verdictsOf are the verdicts that a hook has, as a set of bits.
var verdictsOf = [...]uint8{
	router.HookConnect:    1<<router.Continue | 1<<router.Allow | 1<<router.Deny,
	router.HookJoin:       1<<router.Continue | 1<<router.Allow | 1<<router.Deny | 1<<router.Disconnect,
	router.HookMessage:    1<<router.Continue | 1<<router.Allow | 1<<router.Deny | 1<<router.Drop | 1<<router.Disconnect,
	router.HookLeave:      1<<router.Continue | 1<<router.Allow,
	router.HookDisconnect: 1<<router.Continue | 1<<router.Allow,
}

// answer is a checked reading of the outputs. Its slices are views of the
// guest's memory, good until the guest runs again.
type answer struct {
	action router.Action

	code   uint32
	retry  time.Duration
	reason []byte

	payload, room, state, user, claims, grants output
	expires                                    int64
	parsed                                     *router.Grants // of grants
}

// output is one string among the outputs. Set and empty means cleared.
type output struct {
	set   bool
	bytes []byte
}

// changesNothing reports whether the outputs are all unset, which is the
// common case.
func changesNothing(out []byte) bool {
	_ = out[outputsSize-1]
	le := binary.LittleEndian
	return le.Uint64(out[outCode:])|le.Uint64(out[outReason:])|le.Uint64(out[outPayload:])|
		le.Uint64(out[outRoom:])|le.Uint64(out[outState:])|le.Uint64(out[outUser:])|
		le.Uint64(out[outClaims:])|le.Uint64(out[outGrants:])|le.Uint64(out[outExpires:]) == 0
}

// reader reads outputs and remembers the first thing that is wrong.
type reader struct {
	in    *instance
	out   []byte
	cause Cause
}

func (r *reader) fail(c Cause) {
	if r.cause == CauseNone {
		r.cause = c
	}
}

// bytes reads the span at field, which may have at most max bytes.
func (r *reader) bytes(field, max int) output {
	span := binary.LittleEndian.Uint64(r.out[field:])
	ptr, n := uint32(span), uint32(span>>32)
	if ptr == 0 {
		return output{}
	}
	b, ok := r.in.mem.Read(ptr, n)
	if !ok {
		r.fail(CausePointer)
		return output{}
	}
	if len(b) > max {
		r.fail(CauseTooBig)
		return output{}
	}
	return output{true, b}
}

func (r *reader) text(field, max int) output {
	o := r.bytes(field, max)
	if !utf8.Valid(o.bytes) {
		r.fail(CauseUTF8)
		return output{}
	}
	return o
}

// name reads a room or user. Unless it may be cleared, it must not be empty.
func (r *reader) name(field int, clearable bool) output {
	o := r.text(field, maxName)
	if o.set && !(clearable && len(o.bytes) == 0) && wire.CheckName(o.bytes) != "" {
		r.fail(CauseValue)
	}
	return o
}

// json reads one JSON value. Unless it may be cleared, it must not be empty.
func (r *reader) json(field, max int, clearable bool) output {
	o := r.bytes(field, max)
	if o.set && !(clearable && len(o.bytes) == 0) && wire.CheckJSON(o.bytes) != "" {
		r.fail(CauseJSON)
	}
	return o
}

// unset refuses an output that the hook does not have.
func (r *reader) unset(fields ...int) {
	for _, f := range fields {
		if binary.LittleEndian.Uint64(r.out[f:]) != 0 {
			r.fail(CauseNotAllowed)
		}
	}
}

// read checks the verdict and the outputs that it uses. Nothing has been
// changed when it returns, so that a failure has no effect.
func (f *filter) read(in *instance, q *question, out []byte, verdict int32) (answer, Cause) {
	hook := q.event.Hook
	if verdict < 0 {
		return answer{}, CauseGuest
	}
	if verdict > int32(router.Disconnect) || verdictsOf[hook]&(1<<verdict) == 0 {
		return answer{}, CauseVerdict
	}
	a := answer{action: router.Action(verdict)}
	r := reader{in: in, out: out}
	a.state = r.bytes(outState, f.StateBytes)
	switch a.action {
	case router.Continue, router.Allow:
		f.readChanges(&r, &a, q)
	case router.Deny, router.Disconnect:
		a.code = binary.LittleEndian.Uint32(out[outCode:])
		a.retry = time.Duration(binary.LittleEndian.Uint32(out[outRetry:])) * time.Millisecond
		a.reason = r.text(outReason, maxReason).bytes
		if !a.fixCode() {
			r.fail(CauseValue)
		}
	}
	return a, r.cause
}

// fixCode fills in a refusal's default code and refuses one that does not exist.
func (a *answer) fixCode() bool {
	if a.action == router.Disconnect {
		if a.code < minCloseCode || a.code > maxCloseCode {
			a.code = wire.ClosePolicy
		}
		return true
	}
	switch a.code {
	case 0:
		a.code = 403
	case 400, 401, 403, 404, 409, 413, 422, 429, 503:
	default:
		return a.code >= 1000 && a.code <= 3999
	}
	return true
}

// readChanges reads what continue and allow may change of the event.
func (f *filter) readChanges(r *reader, a *answer, q *question) {
	switch q.event.Hook {
	case router.HookMessage:
		r.unset(outUser, outClaims, outGrants, outExpires)
		a.payload = r.json(outPayload, maxContent, false)
		a.room = r.name(outRoom, false)
		if a.room.set && string(a.room.bytes) == q.room {
			a.room = output{}
		}
		if a.room.set && (q.event.Kind != router.KindRoom || !matchAny(f.reroute, string(a.room.bytes))) {
			r.fail(CauseNotAllowed)
		}
	case router.HookConnect:
		r.unset(outRoom)
		f.readIdentity(r, a, q)
	default:
		r.unset(outPayload, outRoom, outUser, outClaims, outGrants, outExpires)
	}
}

func (f *filter) readIdentity(r *reader, a *answer, q *question) {
	a.payload = r.json(outPayload, maxInfo, true)
	a.user = r.name(outUser, true)
	a.claims = r.json(outClaims, maxClaims, true)
	if len(a.claims.bytes) > 0 && !isObject(a.claims.bytes) {
		r.fail(CauseJSON)
	}
	a.expires = int64(binary.LittleEndian.Uint64(r.out[outExpires:]))
	if a.expires < 0 {
		r.fail(CauseValue)
	}
	a.grants = r.json(outGrants, maxGrants, true)
	if len(a.grants.bytes) > 0 && r.cause == CauseNone {
		user := q.user
		if a.user.set {
			user = string(a.user.bytes)
		}
		var err error
		if a.parsed, err = router.ParseGrants(a.grants.bytes, user); err != nil {
			r.fail(CauseValue)
		}
	}
}

// isObject reports whether valid JSON is an object.
func isObject(b []byte) bool {
	for _, c := range b {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '{'
		}
	}
	return false
}
