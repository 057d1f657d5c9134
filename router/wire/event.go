package wire

// Welcome is the first event of a connection.
type Welcome struct {
	UserID         string
	ConnectionID   string
	PingIntervalMS int64
	ExpiresAt      int64 // Unix seconds; 0: absent
	Version        string
}

// Refreshed answers refresh.
type Refreshed struct {
	ID        []byte // raw JSON token; nil: absent
	ExpiresAt int64  // Unix seconds; 0: absent
}

// Delivery is one chat event.
type Delivery struct {
	From      string
	Info      []byte // raw JSON; nil: absent
	Content   []byte // raw JSON
	Room      string // "": absent
	MessageID string
	Offset    uint64 // 0: absent
	Direct    bool
}

// Acknowledgement answers a publish that carried an id.
type Acknowledgement struct {
	ID        []byte // raw JSON token
	MessageID string
	Offset    uint64 // 0: absent
	Epoch     string // "": absent
}

// RoomJoined answers join_room.
type RoomJoined struct {
	ID        []byte // raw JSON token; nil: absent
	Room      string
	Epoch     string // "": absent
	Offset    uint64 // absent without an epoch
	Announced bool   // whether user_joined and user_left are sent in this room

	// Asked says that the command had recover: Recovered is its answer, and then
	// Messages are what was missed, as AppendHistoryMessage writes them; nil: nothing.
	Asked     bool
	Recovered bool
	Messages  []byte
}

// HistoryMessage is a message of a room's history, as joined and history show it.
type HistoryMessage struct {
	From      string
	Info      []byte // raw JSON; nil: absent
	Content   []byte // raw JSON
	MessageID string
	Offset    uint64
	Time      int64 // Unix milliseconds when it was accepted
}

// HistoryPage answers history.
type HistoryPage struct {
	ID       []byte // raw JSON token; nil: absent
	Room     string
	Epoch    string // "": absent, and so is the offset
	Offset   uint64 // of the room's newest message
	Messages []byte // as AppendHistoryMessage writes them; nil: none
	More     bool
	Cursor   string // for the page before; "": absent

	Since   bool // the command had since: Gapless is part of the answer
	Gapless bool
}

// Reasons of a gap.
const (
	GapSlow     = "slow"         // this connection's queue was full
	GapLost     = "lost"         // the broker cannot get messages of the room's history any more
	GapPossible = "possible_gap" // the broker was interrupted, and cannot know
)

// Gap says that messages may be missing.
type Gap struct {
	Room   string // "": absent; direct messages or those to everyone are meant
	Reason string
	Epoch  string // "": absent, and so is the offset
	Offset uint64 // deliveries go on behind it
}

// Occupant is one user of a room in a presence answer.
type Occupant struct {
	UserID      string
	Info        []byte // raw JSON; nil: absent
	Connections int
}

// PresencePage answers presence.
type PresencePage struct {
	ID     []byte // raw JSON token; nil: absent
	Room   string
	Total  int // users in the room, over all pages
	Users  []Occupant
	Cursor string // for the next page; "": this was the last
}

// Refusal is an error event.
type Refusal struct {
	ID           []byte // raw JSON token; nil: absent
	Code         Code
	Reason       string
	Filter       string // "": the node itself refused
	RetryAfterMS int64  // 0: absent
}
