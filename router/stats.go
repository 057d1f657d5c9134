package router

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"sluice/router/wire"
)

// Stats is a snapshot of what a node has done since it started. The keys of
// its maps are fixed, but for those of Reasons: every one is present from the
// start, most often with 0.
type Stats struct {
	Generation  uint64 // number of the generation in force
	Connections int    // open now
	Users       int    // with a connection to this node, now
	Rooms       int    // with a member on this node, now

	Accepted uint64            // connections admitted
	Refused  map[string]uint64 // connects refused, by cause: see the Refused constants
	Closed   map[string]uint64 // connections ended, by close code; other codes as "other"
	Lost     map[string]uint64 // sockets given up, by cause: see the Lost constants

	Refreshes map[string]uint64 // answers to refresh: RefreshRenewed, else why not
	Removed   uint64            // memberships that ended because a refreshed identity has no grant for the room, or by an order
	Revoked   map[string]uint64 // connections closed by Router.Revoke, by what it named: user, token or tag

	Commands map[string]uint64 // well-formed commands, by type
	// Reasons are the connects that filters refused, by filter and reason, as
	// "filter/reason"; after maxReasons different ones the reason is "other".
	Reasons map[string]uint64

	Malformed map[string]uint64 // frames refused, by cause: see the Malformed constants
	Errors    map[string]uint64 // commands answered by an error, by code; a filter's own codes as "filter"
	Slowed    uint64            // commands that had to wait for CommandsPerSecond

	Published map[string]uint64 // messages that the broker accepted, by kind
	Received  map[string]uint64 // messages that the broker delivered to this node, by kind
	Delivered uint64            // events queued for connections
	Dropped   map[string]uint64 // events and messages that were not, by reason: see the Dropped constants
	Slow      map[string]uint64 // connections or rooms' queues that were full, by the policy applied
	Blocked   uint64            // times that a socket was full and its queue had to wait
	Floods    uint64            // pauses of connections that sent too many pings, pongs and tiny fragments

	// A message is compressed once for all receivers of the node; see Generation.Compression.
	Compressed       map[string]uint64 // frames that were compressed, by result: CompressedSmaller or CompressedPlain
	CompressionBytes map[string]uint64 // "in": of text in those frames; "out": what each receiver is sent for them

	Orders map[string]uint64 // orders of Router.Control that reached this node, by what was done, and why not: see the Order constants

	Verdicts map[string]uint64 // filters' refusals, as hook/action: "message/deny"
	Retired  uint64            // events judged anew because the filters had been replaced
	Panics   uint64            // connections ended by a fault of this program
	Broker   uint64            // calls of the broker that failed

	Recoveries map[string]uint64 // joins with recover, by result: see the Recovery constants
	Gaps       map[string]uint64 // gaps that connections were told of, by reason: see the Gap constants of package wire
	Repeated   uint64            // messages that were not published again, for their key was known

	// BrokerEvents are the broker's own counters, if it has any.
	BrokerEvents map[string]uint64
}

// Causes in Stats.Refused.
const (
	RefusedDraining     = "draining"      // the node is shutting down
	RefusedNotUpgrade   = "not_upgrade"   // not a WebSocket upgrade by GET
	RefusedRate         = "rate"          // Limits.HandshakesPerAddr
	RefusedCapacity     = "capacity"      // Limits.Connections
	RefusedUserCapacity = "user_capacity" // Limits.ConnectionsPerUser
	RefusedOrigin       = "origin"        // a foreign origin
	RefusedQuery        = "query"         // the query cannot be parsed
	RefusedClientID     = "client_id"     // client_id is not a user name
	RefusedFilter       = "filter"        // a filter refused
	RefusedNoIdentity   = "no_identity"   // no filter said who it is
	RefusedReserved     = "reserved_user" // a filter gave a name with AnonymousPrefix
	RefusedExpired      = "expired"       // the identity had expired already
	RefusedRevoked      = "revoked"       // the user, the token or a tag is revoked
	RefusedUnavailable  = "unavailable"   // the broker failed
	RefusedHandshake    = "handshake"     // the upgrade itself failed
	RefusedPanic        = "panic"         // a fault of this program
)

// Causes in Stats.Lost.
const (
	LostSilent       = "silent"        // nothing came after a ping
	LostWriteTimeout = "write_timeout" // the client took nothing for Limits.WriteTimeout
	LostStalled      = "stalled"       // a message was begun and not ended in time
)

// Keys of Stats.Refreshes that are not causes of a refused connect.
const (
	RefreshRenewed     = "renewed"     // the connection has its new identity
	RefreshUnsupported = "unsupported" // no filter asks clients who they are
	RefreshOtherUser   = "other_user"  // the token is another user's, or the connection anonymous
)

// Results in Stats.Compressed.
const (
	CompressedSmaller = "smaller" // they are sent compressed
	CompressedPlain   = "plain"   // they became no smaller, and are sent as they are
)

// Causes in Stats.Malformed that are not fields of a command.
const (
	MalformedFrame   = "frame"   // the frame as a whole: not JSON, not an object, too deep
	MalformedUTF8    = "utf8"    // not UTF-8
	MalformedBinary  = "binary"  // a binary frame
	MalformedTooBig  = "too_big" // over Limits.Frame
	MalformedCorrupt = "corrupt" // compressed, and cannot be decompressed
	MalformedOther   = "other"   // a field without a counter of its own
)

// Reasons in Stats.Dropped.
const (
	DroppedOverflow   = "overflow"    // the queue was full; the connection is closed
	DroppedOldest     = "drop_oldest" // pushed out by newer messages of the room
	DroppedKeepLatest = "keep_latest" // replaced by the room's newest message
	DroppedClosing    = "closing"     // the connection was being closed
	DroppedDiscarded  = "discarded"   // it was queued, and the connection ended before it was written; counted as delivered too
	DroppedFilter     = "filter"      // a filter's verdict was drop
	DroppedUnknown    = "unknown"     // a message of a kind that this version does not know
	DroppedStale      = "stale"       // of a place in the history that the room's members here have been given
)

// Results in Stats.Recoveries.
const (
	RecoveryDone        = "recovered"   // the client has all that it missed
	RecoveryRefused     = "refused"     // it has not: it is told recovered: false
	RecoveryUnavailable = "unavailable" // the broker failed; the room was not joined
)

var (
	refusedNames = []string{RefusedDraining, RefusedNotUpgrade, RefusedRate, RefusedCapacity, RefusedUserCapacity, RefusedOrigin, RefusedQuery, RefusedClientID,
		RefusedFilter, RefusedNoIdentity, RefusedReserved, RefusedExpired, RefusedRevoked, RefusedUnavailable, RefusedHandshake, RefusedPanic}
	refreshNames = []string{RefreshRenewed, RefreshUnsupported, RefreshOtherUser, RefusedRate, RefusedFilter, RefusedNoIdentity, RefusedReserved,
		RefusedExpired, RefusedRevoked}
	revokedNames = []string{revokedUser, revokedToken, revokedTag}
	closedNames  = []string{"1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1011",
		"4001", "4003", "4008", "4100", "4101", "4102", "4200", "4201", otherName}
	commandNames   = []string{"join_room", "leave_room", "room_message", "chat", "direct_message", "presence", "history", "refresh", "ping", "pong"}
	malformedNames = []string{MalformedFrame, MalformedUTF8, MalformedBinary, MalformedTooBig, MalformedCorrupt, "type", "id", "room", "content", "key",
		"target_user", "token", "cursor", "limit", "recover", "since", MalformedOther}
	errorNames = []string{string(wire.BadRequest), string(wire.Unauthorized), string(wire.Forbidden), string(wire.NotFound), string(wire.Conflict),
		string(wire.TooLarge), string(wire.Invalid), string(wire.RateLimited), string(wire.Unavailable), string(wire.Unsupported), "filter"}
	messageNames  = []string{"room", "broadcast", "direct", "user_joined", "user_left", "user_connected", "user_disconnected", "control", "gap"}
	gapNames      = []string{wire.GapSlow, wire.GapLost, wire.GapPossible}
	recoveryNames = []string{RecoveryDone, RecoveryRefused, RecoveryUnavailable}
	droppedNames  = []string{DroppedOverflow, DroppedOldest, DroppedKeepLatest, DroppedClosing, DroppedDiscarded, DroppedFilter, DroppedUnknown, DroppedStale}
	slowNames     = []string{"disconnect", "drop_oldest", "keep_latest"}
	verdictNames  = []string{"connect/deny", "connect/drop", "connect/disconnect", "join/deny", "join/drop", "join/disconnect",
		"message/deny", "message/drop", "message/disconnect"}
)

const otherName = "other"

// counters are a node's counters. They are added to once per command, per
// publish and per fan-out, never once per receiver.
type counters struct {
	accepted, removed, slowed, delivered, retired, panics, broker, repeated atomic.Uint64

	reasons reasonTally

	refused, closed, refreshes, revoked, commands, malformed, errors, published, received, dropped, slow, verdicts, recoveries, gaps *tally
}

func newCounters() *counters {
	return &counters{
		refused:   newTally(refusedNames),
		closed:    newTally(closedNames),
		refreshes: newTally(refreshNames),
		revoked:   newTally(revokedNames),
		commands:  newTally(commandNames),
		malformed: newTally(malformedNames),
		errors:    newTally(errorNames),
		published: newTally(messageNames),
		received:  newTally(messageNames),
		dropped:   newTally(droppedNames),
		slow:      newTally(slowNames),
		verdicts:  newTally(verdictNames),

		recoveries: newTally(recoveryNames),
		gaps:       newTally(gapNames),
	}
}

// tally is a counter for each of a fixed set of names.
type tally struct {
	names  []string
	index  map[string]int
	counts []atomic.Uint64
}

func newTally(names []string) *tally {
	t := &tally{names: names, index: make(map[string]int, len(names)), counts: make([]atomic.Uint64, len(names))}
	for i, n := range names {
		t.index[n] = i
	}
	return t
}

// add counts n under the i-th name.
func (t *tally) add(i int, n uint64) { t.counts[i].Add(n) }

// count counts one under the name, or under the last one if it is unknown.
func (t *tally) count(name string) { t.countN(name, 1) }

func (t *tally) countN(name string, n uint64) {
	i, ok := t.index[name]
	if !ok {
		i = len(t.counts) - 1
	}
	t.counts[i].Add(n)
}

func (t *tally) snapshot() map[string]uint64 {
	m := make(map[string]uint64, len(t.names))
	for i, n := range t.names {
		m[n] = t.counts[i].Load()
	}
	return m
}

// maxReasons and maxReason bound what filters can make reasonTally grow to:
// different reasons, and bytes of one.
const (
	maxReasons = 64
	maxReason  = 80
)

// reasonTally counts refusals by the filter's own words. The zero value is
// ready.
type reasonTally struct {
	mu     sync.Mutex
	counts map[string]uint64 // guarded by mu
}

func (t *reasonTally) count(filter, reason string) {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	key := filter + "/" + reason
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.counts[key]; !known && len(t.counts) >= maxReasons {
		key = filter + "/" + otherName
	}
	if t.counts == nil {
		t.counts = make(map[string]uint64)
	}
	t.counts[key]++
}

func (t *reasonTally) snapshot() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

// Stats reads the counters. They are read one after the other while the node
// runs, so sums over several may be off by what happened meanwhile.
func (r *Router) Stats() Stats {
	c := r.count
	sockets := r.engine.Stats()
	dropped := c.dropped.snapshot()
	dropped[DroppedDiscarded] = sockets.Discarded
	return Stats{
		Generation:  r.cur.Load().Number,
		Connections: r.everyone.size(),
		Users:       r.users.len(),
		Rooms:       r.rooms.len(),
		Accepted:    c.accepted.Load(),
		Refused:     c.refused.snapshot(),
		Reasons:     c.reasons.snapshot(),
		Closed:      c.closed.snapshot(),
		Lost: map[string]uint64{
			LostSilent:       sockets.Silent,
			LostWriteTimeout: sockets.WriteTimeouts,
			LostStalled:      sockets.Stalled,
		},
		Refreshes: c.refreshes.snapshot(),
		Removed:   c.removed.Load(),
		Revoked:   c.revoked.snapshot(),
		Commands:  c.commands.snapshot(),
		Malformed: c.malformed.snapshot(),
		Errors:    c.errors.snapshot(),
		Slowed:    c.slowed.Load(),
		Published: c.published.snapshot(),
		Received:  c.received.snapshot(),
		Delivered: c.delivered.Load(),
		Dropped:   dropped,
		Slow:      c.slow.snapshot(),
		Blocked:   sockets.Handovers,
		Floods:    sockets.Floods,
		Compressed: map[string]uint64{
			CompressedSmaller: sockets.Deflate.Frames,
			CompressedPlain:   sockets.Deflate.Plain,
		},
		CompressionBytes: map[string]uint64{"in": sockets.Deflate.In, "out": sockets.Deflate.Out},
		Orders:           r.orders.count.snapshot(),
		Verdicts:         c.verdicts.snapshot(),
		Retired:          c.retired.Load(),
		Panics:           c.panics.Load(),
		Broker:           c.broker.Load(),

		Recoveries:   c.recoveries.snapshot(),
		Gaps:         c.gaps.snapshot(),
		Repeated:     c.repeated.Load(),
		BrokerEvents: r.brokerEvents(),
	}
}

// brokerEvents are the broker's counters; nil if it has none.
func (r *Router) brokerEvents() map[string]uint64 {
	if b, ok := r.broker.(interface{ Counters() map[string]uint64 }); ok {
		return b.Counters()
	}
	return nil
}
