package wire

// Type is the kind of a command.
type Type uint8

// The commands of the protocol, in the order of docs/protocol.md.
const (
	TypeNone Type = iota
	JoinRoom
	LeaveRoom
	RoomMessage
	Chat
	DirectMessage
	Presence
	History
	Refresh
	Ping
	Pong
)

// Position is a place in a room's history.
type Position struct {
	Epoch  []byte
	Offset uint64
}

// Command is one decoded client frame. Its slices point into the frame or into
// the decoder's scratch and are valid until the decoder's next use.
type Command struct {
	Type Type

	// ID is the raw JSON token of id (a string with its quotes, or a number),
	// echoed verbatim; nil if none was sent.
	ID []byte

	Room       []byte // unescaped; nil if absent
	TargetUser []byte // unescaped; nil if absent
	Key        []byte // unescaped; nil if absent
	Token      []byte // unescaped; nil if absent
	Cursor     []byte // unescaped; nil if absent
	Content    []byte // raw JSON, byte for byte; nil if absent

	Limit int // 0 if absent

	Recover    Position
	HasRecover bool
	Since      Position
	HasSince   bool
}

// Error is a malformed frame: which field, and what was expected of it. ID is
// the frame's id if it could still be read.
type Error struct {
	Code   Code
	Field  string // "" if the frame as a whole is meant
	Reason string
	ID     []byte
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}
