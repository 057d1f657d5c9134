package sluice

import "unsafe"

// Verdict is what a hook returns. Below zero the filter reports its own
// failure.
type Verdict int32

// The verdicts. Deny and Disconnect carry a code and a reason: methods of
// Event.
const (
	Continue   Verdict = 0  // go on with the next filter
	Allow      Verdict = 1  // skip the rest of the chain, where the configuration lets the filter
	Drop       Verdict = 3  // refuse a message while its sender believes that it was accepted
	Fail       Verdict = -1 // this filter cannot tell; what follows is the configuration's on_failure
	deny       Verdict = 2
	disconnect Verdict = 4
)

// Code tells a client what kind of refusal it met. 1000 to 3999 are a filter's
// own.
type Code uint32

// The codes that all clients know.
const (
	BadRequest   Code = 400
	Unauthorized Code = 401
	Forbidden    Code = 403
	NotFound     Code = 404
	Conflict     Code = 409
	TooLarge     Code = 413
	Invalid      Code = 422
	RateLimited  Code = 429
	Unavailable  Code = 503
)

// Maxima of outputs, in bytes. Beyond them the event fails.
const (
	MaxContent = 64 << 10 // a rewritten message
	MaxName    = 255      // user, room
	MaxReason  = 512
	MaxInfo    = 4 << 10
	MaxClaims  = 16 << 10 // also grants
	MaxState   = 1 << 10  // unless the configuration allows more
)

// The outputs that are runs of bytes.
const (
	slotReason = iota
	slotPayload
	slotRoom
	slotState
	slotUser
	slotClaims
	slotGrants
	slots
)

// Deny refuses the event and tells the sender why.
func (e *Event) Deny(code Code, reason string) Verdict {
	e.outCode = uint32(code)
	e.outReason = e.putText(slotReason, reason)
	return deny
}

// DenyFor is Deny, and tells the sender in how many milliseconds it may try
// again.
func (e *Event) DenyFor(code Code, retryMillis uint32, reason string) Verdict {
	e.outRetry = retryMillis
	return e.Deny(code, reason)
}

// Disconnect closes the connection with a code of 4000 to 4999; 0 stands for
// 4008.
func (e *Event) Disconnect(closeCode uint32, reason string) Verdict {
	e.outCode = closeCode
	e.outReason = e.putText(slotReason, reason)
	return disconnect
}

// Rewrite replaces the content of a message by another JSON value, and
// continues.
func (e *Event) Rewrite(json []byte) Verdict {
	e.outPayload = e.put(slotPayload, json)
	return Continue
}

// Reroute sends a room message to another room, and continues. It needs
// may: {reroute: [...]} in the configuration.
func (e *Event) Reroute(room string) Verdict {
	e.outRoom = e.putText(slotRoom, room)
	return Continue
}

// SetState replaces what State is at the next event of this connection,
// whatever the verdict. An empty state is forgotten.
func (e *Event) SetState(state []byte) { e.outState = e.put(slotState, state) }

// SetUser says who a connecting client is; "" takes back what an earlier filter
// said.
func (e *Event) SetUser(user string) { e.outUser = e.putText(slotUser, user) }

// SetInfo sets what others see beside the user, a JSON value.
func (e *Event) SetInfo(json []byte) { e.outPayload = e.put(slotPayload, json) }

// SetClaims sets what later filters see of the user, a JSON object.
func (e *Event) SetClaims(json []byte) { e.outClaims = e.put(slotClaims, json) }

// SetGrants sets what the user may do, a JSON array such as
// [{"rooms":"chat:*","allow":["join","send"]},{"allow":["direct"]}].
func (e *Event) SetGrants(json []byte) { e.outGrants = e.put(slotGrants, json) }

// SetExpiresMillis says when the identity expires, in Unix milliseconds.
func (e *Event) SetExpiresMillis(t int64) { e.outExpires = t }

func (e *Event) putText(slot int, s string) span {
	return e.put(slot, unsafe.Slice(unsafe.StringData(s), len(s)))
}
