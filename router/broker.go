package router

import (
	"context"
	"errors"
	"time"
)

// MessageKind says who receives a message and as which event.
type MessageKind uint8

// The kinds of messages.
const (
	RoomMessage      MessageKind = iota + 1 // chat, to the members of Room
	BroadcastMessage                        // chat, to everyone but the connection Conn
	DirectMessage                           // chat, to the connections of user Target
	UserJoined                              // user_joined, to the members of Room
	UserLeft                                // user_left, to the members of Room
	UserConnected                           // user_connected, to everyone but Conn
	UserDisconnected                        // user_disconnected, to everyone but Conn
	ControlMessage                          // an order to every node, in Content; clients never see it

	// RoomGap, made by a broker and never published: messages to Room, to Target, or
	// if both are empty broadcasts may be missing here. Deliveries continue behind
	// Position, if the room has a history.
	RoomGap
)

// Message is what nodes send each other. It is immutable once published:
// brokers and nodes share it.
type Message struct {
	Kind    MessageKind
	ID      string // message_id, unique over all nodes
	Room    string
	Target  string
	From    string // the user who sent it, or whom an announcement is about
	Conn    uint64 // the connection it came from; 0: none
	Info    []byte // raw JSON of the sender's public info, or nil
	Content []byte // raw JSON, or nil
	Key     string // idempotency key, or ""
	Time    int64  // Unix milliseconds when it was accepted, by the sender's node

	// Keep says how much of the room's history to keep with this message, a
	// RoomMessage; zero: it does not enter the history. Brokers read it when the
	// message is published, and do not transmit it.
	Keep Keep

	// Position is the message's place in the room's history, set by the broker;
	// zero: it has none. Of a RoomGap it is where deliveries continue: behind it.
	Position
}

// Position is a place in a room's history. Within an epoch each message has the
// offset after that of the one before; 0 is before the first message. The epoch
// changes when the broker has lost the history, or cannot know that it has all of it:
// then the offsets may begin anew at 1 or go on, and what is left of the history
// belongs to the new epoch. The end of a history by its TTL leaves the epoch, for
// at least a day: who has the newest message still misses nothing.
type Position struct {
	Epoch  string
	Offset uint64
}

// Keep bounds a room's history. The zero value keeps nothing.
type Keep struct {
	Size int           // messages; it takes effect with the next one
	TTL  time.Duration // since the last message, whose Keep counts; all messages end with it. 0: they do not end
}

// Receipt is what the broker says of an accepted message.
type Receipt struct {
	ID string // of the message: that of the first one if this is a repetition
	Position
	Repeated bool // a message with the same Key had been accepted before, and this one was not published
}

// HistoryQuery asks for a part of what was said in a room, oldest first.
type HistoryQuery struct {
	// After asks for what came behind a position; if it is of another epoch than
	// the history, for all of it from the oldest message on. Nil: the newest, or with
	// Before what came just before that offset.
	After  *Position
	Before uint64 // 0: none; used without After

	// Limit and MaxBytes leave out what is farthest from where the page was asked
	// for: the newest messages with After, else the oldest.
	Limit    int // messages; at least 1
	MaxBytes int // of Content, Info and From together; one message is always part of the page; 0: no bound
}

// HistoryPage is a part of a room's history.
type HistoryPage struct {
	Messages []*Message // oldest first, with their positions

	// Newest is the position of the room's newest message, as of this answer,
	// though that message may have ended; its epoch is "" if the room has no history.
	Newest Position

	// Gapless reports that nothing is missing between After and the last of
	// Messages, or Newest if there are none: After is of this epoch, not behind
	// Newest, and nothing behind it has been trimmed, has ended or was damaged. False
	// without After.
	Gapless bool

	// More reports that the history has further messages in the direction that
	// was asked for: behind the last one with After, else before the first one.
	More bool
}

// Topic is what a node subscribes to: a room or a user. Broadcasts reach every
// node without a subscription.
type Topic struct {
	User bool // a user's direct messages, rather than a room
	Name string
}

// Occupant is one connection in a room, as presence shows it.
type Occupant struct {
	Conn uint64
	User string
	Info []byte
}

// OccupiedBy is one user in a room, however many connections he has there.
type OccupiedBy struct {
	User        string
	Info        []byte
	Connections int
}

// PresencePage is a part of who is in a room, sorted by user.
type PresencePage struct {
	Total  int // users, over all pages
	Users  []OccupiedBy
	Cursor string // pass it to get the next page; "": this is the last
}

// NodeInfo is what a node tells the others of itself.
type NodeInfo struct {
	ID          string    `json:"id"`
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Connections int       `json:"connections"`
	Users       int       `json:"users"`
	Rooms       int       `json:"rooms"`
	Generation  uint64    `json:"generation"` // number of the generation in force
	Filters     string    `json:"filters"`    // digest of the chain in force: nodes with the same filters show the same
	Draining    bool      `json:"draining,omitempty"`
}

// RoomsPage is a part of the rooms that have members on some node.
type RoomsPage struct {
	Rooms  []string // sorted
	Cursor string   // pass it to get the next page; "": this is the last
}

// ErrUnavailable wraps failures that pass: the message was not accepted, and
// the sender may try again.
var ErrUnavailable = errors.New("temporarily unavailable")

// ErrBrokerClosed is returned by every method after Close.
var ErrBrokerClosed = errors.New("the broker is closed")

// Broker carries messages between nodes, this one included: whatever a node
// publishes reaches its own clients through the broker too, so that a room has
// one path and one order. brokertest.Run is the contract in executable form.
//
// Methods are safe for concurrent use and honour ctx. Close returns after the
// last call to the sink has returned.
type Broker interface {
	// Start begins deliveries to the node's sink. It is called once, before
	// any other method.
	Start(sink Sink) error

	// Subscribe adds a reference to the topic, and returns when messages
	// published from now on will be delivered; Unsubscribe takes one away.
	// Messages are delivered while there is a reference. A delivery under way
	// may still arrive just after the last Unsubscribe.
	//
	// The position is that of the room's newest message if the broker knows of a
	// history of the room, or if keep, which may be zero, says that it has one
	// (an offset of 0 then: nothing has been said in this epoch); deliveries with
	// an offset start behind it, unless the node had a reference already: then what
	// was published before may still be on its way.
	Subscribe(ctx context.Context, t Topic, keep Keep) (Position, error)
	Unsubscribe(t Topic)

	// Publish delivers the message to each subscribed node exactly once, in one
	// order per room, per target user and for broadcasts and orders. It may return
	// before the deliveries are made. It may wait where the node's own deliveries
	// are behind; it never waits for a client. An error that wraps ErrUnavailable
	// is temporary. Where the broker was interrupted it cannot know whether the
	// message was accepted: that is an error too, and the message may still arrive.
	//
	// A room whose messages have offsets is delivered by them: each node gets every
	// offset behind the one where it began exactly once and in order, or a RoomGap
	// in place of what it cannot get any more. Of messages without an offset that
	// may be lost the node is told by a RoomGap; but not where such a room is caught up
	// after an interruption: its announcements, which have no offset, may be missing then.
	//
	// A message with a Key is accepted once per sender (From), kind, room or target,
	// and Key within KeyTTL: a repetition succeeds with the receipt of the first, and is
	// not delivered. Brokers bound how many keys they remember, and may forget the oldest.
	Publish(ctx context.Context, m *Message) (Receipt, error)

	// History reads a part of a room's history. A room without one has an empty
	// page.
	History(ctx context.Context, room string, q HistoryQuery) (HistoryPage, error)

	// Enter and Leave keep presence. first reports that the user was not in the room
	// before, by any connection on any node, and last that he no longer is. Present
	// reads presence, at most limit users after cursor.
	Enter(ctx context.Context, room string, o Occupant) (first bool, err error)
	Leave(ctx context.Context, room string, o Occupant) (last bool, err error)
	Present(ctx context.Context, room string, limit int, cursor string) (PresencePage, error)

	// Nodes are the nodes that live, this one included, sorted by ID; Rooms are
	// the rooms that some node is subscribed to, at most limit after cursor.
	Nodes(ctx context.Context) ([]NodeInfo, error)
	Rooms(ctx context.Context, limit int, cursor string) (RoomsPage, error)

	// Health is nil while messages flow, else says what is wrong.
	Health(ctx context.Context) error

	Close() error
}

// KeyTTL is for how long a broker remembers the Key of a message.
const KeyTTL = 5 * time.Minute

// Sink is the node's side of a broker. A broker calls Deliver with no lock
// held, and never concurrently for the same room, target user or for broadcasts
// and orders. Deliver waits for no client, though it may for the node to keep up, does
// not keep the broker's goroutine for long, and does not call back into the broker. Describe may be called at any
// time.
type Sink interface {
	Deliver(m *Message)
	Describe() NodeInfo
}
