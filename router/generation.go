package router

import "time"

// Generation is everything that may change while the node runs, as one
// immutable value behind one pointer: an event loads it once and is judged by
// it alone. The command prepares all of it and swaps it in with Router.Swap.
type Generation struct {
	Number        uint64 // counts up from 1, for logs and metrics
	Rooms         []RoomRule
	Limits        Limits
	Compression   Compression
	DefaultGrants *Grants // for identities without grants; nil: DefaultGrants()
	Filters       Filters // nil: none
}

// Limits are a node's limits towards its clients. Zero means "no limit" only
// where the comment says off, else the default; DefaultLimits has the documented
// defaults. A change of Frame, Queue, the time-outs and the heartbeat holds for
// connections made from then on, that of any other for all.
type Limits struct {
	Frame              int           // bytes of a client's frame; 64 KiB
	RoomsPerConnection int           // 128
	Queue              int           // bytes queued for one connection; 1 MiB
	Connections        int           // per node; 0: off
	ConnectionsPerUser int           // per user on this node; 0: off
	HandshakesPerAddr  float64       // per second and client address; 0: off
	HandshakeTimeout   time.Duration // from accept to upgrade; 10 s
	WriteTimeout       time.Duration // for one write to a socket; 10 s
	CommandsPerSecond  float64       // per connection, slowed beyond it; 0: off
	MalformedFrames    int           // malformed frames until a close 4008; 10
	PingInterval       time.Duration // WebSocket ping; 25 s
	PongTimeout        time.Duration // silence after a ping until the close; 8 s
}

// DefaultLimits are the limits of a configuration that names none.
func DefaultLimits() Limits {
	return Limits{
		Frame:              64 << 10,
		RoomsPerConnection: 128,
		Queue:              1 << 20,
		HandshakesPerAddr:  0,
		HandshakeTimeout:   10 * time.Second,
		WriteTimeout:       10 * time.Second,
		MalformedFrames:    10,
		PingInterval:       25 * time.Second,
		PongTimeout:        8 * time.Second,
	}
}

// Compression is permessage-deflate (RFC 7692), in both directions and without context takeover,
// for clients that ask for it. A change holds for connections made from then on.
type Compression struct {
	Level   int // 1, the fastest, to 9; 0: off
	MinSize int // bytes of a message below which it is sent as it is; 512
}

// SlowPolicy says what happens to a connection whose queue is full.
type SlowPolicy uint8

// The policies towards slow consumers, by room.
const (
	SlowDisconnect SlowPolicy = iota // close it with 4100
	SlowDropOldest                   // drop the room's oldest queued messages
	SlowKeepLatest                   // keep only the room's newest message
)

// Announce says whether arrivals and departures are announced to a room.
type Announce uint8

// The settings of announcements.
const (
	AnnounceAuto Announce = iota // in rooms of up to AnnounceMax members
	AnnounceOn
	AnnounceOff
)

// AnnounceMax is the size up to which AnnounceAuto announces.
const AnnounceMax = 100

// AnnouncePer says whose arrivals and departures are announced.
type AnnouncePer uint8

// The settings of whose.
const (
	// AnnouncePerUser announces a user's first connection in the room and the end of
	// his last one: of all nodes where presence is kept, else of this node.
	AnnouncePerUser AnnouncePer = iota
	AnnouncePerConnection
)

// RoomRule is what holds in the rooms that a pattern matches. The first rule
// that matches a room is its rule; without one, the zero rule.
type RoomRule struct {
	Match       Pattern
	Presence    bool // a change holds for joins from then on
	Announce    Announce
	AnnouncePer AnnouncePer
	Slow        SlowPolicy

	// History is what is kept of the room's messages. A room that is subscribed
	// when it begins to have one has a position from the next message on.
	History Keep

	// Recover is how many messages a member who comes back is given at most; who
	// missed more is told so. Default and at most MaxRecover.
	Recover int
}

// MaxRecover is the most messages of one recovery: the protocol's bound.
const MaxRecover = 300

// keepsHistory reports whether the room's messages are kept.
func (r *RoomRule) keepsHistory() bool { return r.History.Size > 0 }
