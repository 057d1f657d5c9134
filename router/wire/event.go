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
