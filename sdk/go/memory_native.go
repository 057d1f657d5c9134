//go:build !wasm

package sluice

import (
	"bytes"
	"unsafe"
)

// memory is where the spans of an event point. Natively an address does not
// fit a span, so its pointer counts runs of bytes instead, from 1.
type memory struct{ runs [][]byte }

func (e *Event) view(s span) []byte {
	if s.ptr == 0 {
		return nil
	}
	return e.memory.runs[s.ptr-1][:s.len:s.len]
}

// put copies, so that tests notice neither more nor less than a host does: it
// reads right after the hook has returned.
func (e *Event) put(_ int, b []byte) span {
	e.memory.runs = append(e.memory.runs, bytes.Clone(b))
	return span{ptr: uint32(len(e.memory.runs)), len: uint32(len(b))}
}

// Input is an event for a unit test, natively only. Zero fields are absent.
type Input struct {
	Hook          Hook // 0: HookMessage
	Kind          uint32
	FromServer    bool
	TimeNanos     int64
	Conn, Seq     uint64
	Payload       string
	Room          string
	User          string
	Target        string
	Claims        string
	State         []byte
	StateVersion  uint32
	Cause         uint32
	Meta          []Meta
	Lookup        string
	LookupStatus  LookupStatus
	Remote        string
	ExpiresMillis int64
}

// NewEvent makes an event for a unit test, natively only.
func NewEvent(in Input) *Event {
	e := &Event{
		size: 200, hook: uint32(in.Hook), kind: in.Kind, time: in.TimeNanos, conn: in.Conn, seq: in.Seq,
		stateVersion: in.StateVersion, cause: in.Cause, expires: in.ExpiresMillis,
	}
	if in.Hook == 0 {
		e.hook = uint32(HookMessage)
	}
	if in.FromServer {
		e.flags = flagServer
	}
	e.flags |= uint32(in.LookupStatus) << lookupShift
	give := func(s string) span { return e.put(0, []byte(s)) }
	e.payload, e.room, e.user, e.target = give(in.Payload), give(in.Room), give(in.User), give(in.Target)
	if in.LookupStatus != LookupFound {
		in.Lookup = "" // as a host has it
	}
	e.claims, e.state, e.lookup, e.remote = give(in.Claims), e.put(0, in.State), give(in.Lookup), give(in.Remote)
	entries := make([]metaEntry, len(in.Meta))
	for i, m := range in.Meta {
		entries[i] = metaEntry{kind: uint32(m.Kind), name: give(m.Name), value: give(m.Value)}
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(entries))), len(entries)*int(unsafe.Sizeof(metaEntry{})))
	e.memory.runs = append(e.memory.runs, raw)
	e.meta = span{ptr: uint32(len(e.memory.runs)), len: uint32(len(entries))}
	return e
}

// Answer is what a hook answered beside its verdict. A nil slice is unset, an
// empty one clears.
type Answer struct {
	Code          uint32
	RetryMillis   uint32
	Reason        string
	Payload       []byte
	Room          string
	State         []byte
	User          []byte
	Claims        []byte
	Grants        []byte
	ExpiresMillis int64
}

// Answer reads what a hook answered, natively only.
func (e *Event) Answer() Answer {
	read := func(s span) []byte {
		if s.ptr == 0 {
			return nil
		}
		return append([]byte{}, e.view(s)...)
	}
	return Answer{
		Code: e.outCode, RetryMillis: e.outRetry, Reason: string(e.view(e.outReason)),
		Payload: read(e.outPayload), Room: string(e.view(e.outRoom)), State: read(e.outState),
		User: read(e.outUser), Claims: read(e.outClaims), Grants: read(e.outGrants), ExpiresMillis: e.outExpires,
	}
}
