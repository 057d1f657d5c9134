package sluice

import "structs"

// Hook is the place where a filter is asked.
type Hook uint32

// The hooks.
const (
	HookConfigure Hook = iota + 1
	HookConnect
	HookJoin
	HookMessage
	HookLeave
	HookDisconnect
)

// Kinds of a message event, and of a connect event.
const (
	KindRoom      uint32 = 1 // to the members of Room
	KindBroadcast uint32 = 2 // to everyone
	KindDirect    uint32 = 3 // to the user Target

	KindNew     uint32 = 1 // a new connection
	KindRefresh uint32 = 2 // Payload is a token that renews the identity
)

// Causes of a leave event. The cause of a disconnect event is its close code.
const (
	CauseLeft         uint32 = 0 // the client left
	CauseDisconnected uint32 = 1 // the connection ended
	CauseRemoved      uint32 = 2 // the node or its operator removed it
)

// LookupStatus says how the lookup ended that the filter's entry asks for.
type LookupStatus uint32

// The ends of a lookup.
const (
	NoLookup     LookupStatus = iota // none was made: the entry has none, or none for this hook
	LookupFound                      // there is a value
	LookupMissed                     // the source has none
	LookupFailed                     // the source is down, slow, or answered what it must not
)

const (
	flagServer  = 1
	lookupShift = 1 // bits 1 and 2 of flags
	lookupMask  = 3
)

// span is a run of bytes in the filter's memory.
type span struct {
	_   structs.HostLayout
	ptr uint32
	len uint32
}

// Event is one thing to judge: the question and, beside it, the answer.
type Event struct {
	_      structs.HostLayout
	memory memory // where spans point; nothing at all in a filter

	size  uint32
	hook  uint32
	kind  uint32
	flags uint32
	time  int64
	conn  uint64
	seq   uint64

	payload      span
	room         span
	user         span
	target       span
	claims       span
	state        span
	stateVersion uint32
	cause        uint32
	meta         span
	lookup       span
	remote       span
	expires      int64

	outCode    uint32
	outRetry   uint32
	outReason  span
	outPayload span
	outRoom    span
	outState   span
	outUser    span
	outClaims  span
	outGrants  span
	outExpires int64
}

// Hook says which hook was called.
func (e *Event) Hook() Hook { return Hook(e.hook) }

// Kind is what kind of message or connect it is, one of the Kind constants.
func (e *Event) Kind() uint32 { return e.kind }

// FromServer reports whether the event comes from the server API rather than
// from a client.
func (e *Event) FromServer() bool { return e.flags&flagServer != 0 }

// TimeNanos is when the event happened, in Unix nanoseconds. It stands still
// while the event is judged.
func (e *Event) TimeNanos() int64 { return e.time }

// Conn identifies the connection; 0: there is none.
func (e *Event) Conn() uint64 { return e.conn }

// Seq counts the events of one connection, from 1.
func (e *Event) Seq() uint64 { return e.seq }

// Payload is, by hook, the configuration as JSON, the content of a message as
// JSON, or the token of a refresh.
func (e *Event) Payload() []byte { return e.view(e.payload) }

// Room is the room that is joined, left or sent to; "" where there is none.
func (e *Event) Room() string { return e.text(e.room) }

// User is who the connection belongs to.
func (e *Event) User() string { return e.text(e.user) }

// Target is the receiver of a direct message.
func (e *Event) Target() string { return e.text(e.target) }

// Claims is what connect filters know of the user, a JSON object, or empty.
func (e *Event) Claims() []byte { return e.view(e.claims) }

// State is what this filter keeps about this connection.
func (e *Event) State() []byte { return e.view(e.state) }

// StateVersion is the state version of the filter that wrote State.
func (e *Event) StateVersion() uint32 { return e.stateVersion }

// Cause is why a room was left, one of the Cause constants, or the close code
// with which a connection ended.
func (e *Event) Cause() uint32 { return e.cause }

// Remote is the client's address, without port.
func (e *Event) Remote() string { return e.text(e.remote) }

// ExpiresMillis is when the identity expires, in Unix milliseconds; 0: never.
func (e *Event) ExpiresMillis() int64 { return e.expires }

// Lookup is what the host has fetched for this event, as the filter's entry asks
// for under lookup. Without a LookupFound there is no value.
func (e *Event) Lookup() (value []byte, status LookupStatus) {
	return e.view(e.lookup), LookupStatus(e.flags >> lookupShift & lookupMask)
}

func (e *Event) text(s span) string { return text(e.view(s)) }
