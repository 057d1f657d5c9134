package router

import (
	"context"
	"errors"
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
	Offset  uint64 // its place in the room's history, set by a broker that keeps one
	Epoch   string
}

// Receipt is what the broker says of an accepted message.
type Receipt struct {
	Offset uint64 // 0: the room has no history
	Epoch  string
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
	Subscribe(ctx context.Context, t Topic) error
	Unsubscribe(t Topic)

	// Publish delivers the message to each subscribed node exactly once, in one
	// order per room, per target user and for broadcasts. It may return before the
	// deliveries are made. It may wait where the node's own deliveries are
	// behind; it never waits for a client.
	Publish(ctx context.Context, m *Message) (Receipt, error)

	// Enter and Leave keep presence; Present reads it, at most limit users
	// after cursor.
	Enter(ctx context.Context, room string, o Occupant) error
	Leave(ctx context.Context, room string, o Occupant) error
	Present(ctx context.Context, room string, limit int, cursor string) (PresencePage, error)

	// Health is nil while messages flow, else says what is wrong.
	Health(ctx context.Context) error

	Close() error
}

// Sink is the node's side of a broker. A broker calls it with no lock held,
// and never concurrently for the same room, target user or for broadcasts. Deliver does
// not block, does not keep the broker's goroutine for long, and does not call
// back into the broker.
type Sink interface {
	Deliver(m *Message)
}
