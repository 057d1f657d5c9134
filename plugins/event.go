package plugins

import (
	"encoding/binary"

	"sluice/plugins/lookup"
	"sluice/router"
)

// The event as the guest sees it: a little-endian C struct at the start of the
// buffer. sdk/ABI.md is the normative text; a string is {ptr u32, len u32}.
const (
	eventSize = 200

	inSize         = 0
	inHook         = 4
	inKind         = 8
	inFlags        = 12
	inTime         = 16
	inConn         = 24
	inSeq          = 32
	inPayload      = 40
	inRoom         = 48
	inUser         = 56
	inTarget       = 64
	inClaims       = 72
	inState        = 80
	inStateVersion = 88
	inCause        = 92
	inMeta         = 96
	inLookup       = 104
	inRemote       = 112
	inExpires      = 120

	outputs     = 128
	outCode     = 128 - outputs
	outRetry    = 132 - outputs
	outReason   = 136 - outputs
	outPayload  = 144 - outputs
	outRoom     = 152 - outputs
	outState    = 160 - outputs
	outUser     = 168 - outputs
	outClaims   = 176 - outputs
	outGrants   = 184 - outputs
	outExpires  = 192 - outputs
	outputsSize = eventSize - outputs

	flagFromServer = 1
	lookupShift    = 1 // of the two bits that say how a lookup ended

	// inputsAt is where the inputs begin. The eight bytes between the struct and
	// the payload are zero: what empty inputs point at.
	emptyAt  = eventSize
	inputsAt = eventSize + 8
)

// Kinds of meta entries, and their limits.
const (
	metaAttribute = 1
	metaHeader    = 2
	metaQuery     = 3
	metaCookie    = 4

	metaEntry      = 24
	maxMetaEntries = 256
	maxMetaBytes   = 64 << 10
)

type meta struct {
	kind        uint32
	name, value string
}

// question is what the next filter of a chain is asked: the event as the
// filters before it left it.
type question struct {
	event   *router.Event
	payload []byte
	room    string
	user    string
	claims  []byte
	expires int64

	// Of the filter that is asked.
	state        []byte
	stateVersion uint32
	meta         []meta
	lookup       []byte
	lookupStatus lookup.Status

	record *Record // of the event; nil: there is none

	answered bool // the lookup of the next filter has been made
	pinned   bool // see Chain.pin
}

// size is how many bytes of the guest's buffer the question takes.
func (q *question) size() int {
	n := inputsAt + len(q.payload) + len(q.room) + len(q.user) + len(q.event.Target) + len(q.claims) +
		len(q.state) + len(q.event.Remote) + len(q.lookup) + 8
	if len(q.meta) > 0 {
		n += 7 + metaEntry*len(q.meta)
		for i := range q.meta {
			n += len(q.meta[i].name) + len(q.meta[i].value) + 2
		}
	}
	return n
}

// write lays the question out in the guest's buffer, which begins at address
// base and holds at least q.size() bytes.
func (q *question) write(view []byte, base uint32) {
	le := binary.LittleEndian
	e := q.event
	head := view[:inputsAt:inputsAt]
	flags := uint32(q.lookupStatus) << lookupShift
	if e.FromServer {
		flags |= flagFromServer
	}
	le.PutUint32(head[inSize:], eventSize)
	le.PutUint32(head[inHook:], uint32(e.Hook))
	le.PutUint32(head[inKind:], e.Kind)
	le.PutUint32(head[inFlags:], flags)
	le.PutUint64(head[inTime:], uint64(e.Time))
	le.PutUint64(head[inConn:], e.Conn)
	le.PutUint64(head[inSeq:], e.Seq)
	le.PutUint32(head[inStateVersion:], q.stateVersion)
	le.PutUint32(head[inCause:], e.Cause)
	le.PutUint64(head[inExpires:], uint64(q.expires))
	clear(head[outputs:])

	at := inputsAt
	at = putBytes(view, base, at, inPayload, q.payload)
	at = putString(view, base, at, inRoom, q.room)
	at = putString(view, base, at, inUser, q.user)
	at = putString(view, base, at, inTarget, e.Target)
	at = putBytes(view, base, at, inClaims, q.claims)
	at = putBytes(view, base, at, inState, q.state)
	at = putString(view, base, at, inRemote, e.Remote)
	at = putBytes(view, base, at, inLookup, q.lookup)
	if len(q.meta) == 0 {
		putSpan(view, inMeta, base+emptyAt, 0)
		return
	}
	q.writeMeta(view, base, at)
}

func (q *question) writeMeta(view []byte, base uint32, at int) {
	at = (at + 7) &^ 7
	putSpan(view, inMeta, base+uint32(at), uint32(len(q.meta)))
	entry := at
	at += metaEntry * len(q.meta)
	for i := range q.meta {
		m := &q.meta[i]
		binary.LittleEndian.PutUint64(view[entry:], uint64(m.kind))
		at = putString(view, base, at, entry+8, m.name)
		at = putString(view, base, at, entry+16, m.value)
		entry += metaEntry
	}
}

// putString and putBytes copy an input to offset at, put its span at offset
// field, and return the offset after its NUL.
func putString(view []byte, base uint32, at, field int, s string) int {
	if len(s) == 0 {
		putSpan(view, field, base+emptyAt, 0)
		return at
	}
	putSpan(view, field, base+uint32(at), uint32(len(s)))
	at += copy(view[at:], s)
	view[at] = 0
	return at + 1
}

func putBytes(view []byte, base uint32, at, field int, b []byte) int {
	if len(b) == 0 {
		putSpan(view, field, base+emptyAt, 0)
		return at
	}
	putSpan(view, field, base+uint32(at), uint32(len(b)))
	at += copy(view[at:], b)
	view[at] = 0
	return at + 1
}

func putSpan(view []byte, field int, ptr, n uint32) {
	binary.LittleEndian.PutUint64(view[field:], uint64(ptr)|uint64(n)<<32)
}
