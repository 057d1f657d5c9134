package faults

import (
	"fmt"
	"time"
)

// Run is the record of what some clients did and saw. Times count from the
// start of the run.
type Run struct {
	Rooms   []Room
	Clients []*Client

	// Probe is how much later than the message behind it a client may be told of a
	// gap in a room without history.
	Probe time.Duration

	// Forgets says that the fault made Redis lose what it had acknowledged. Then it
	// has forgotten keys too: a message that was sent again, because its sender did
	// not know, may have been accepted twice.
	Forgets bool

	// Healed is when the fault was over: each member must have got a message that
	// each other one sent later. Zero: nothing is said of that.
	Healed time.Duration
}

// Room is one room; its members never change.
type Room struct {
	History bool
	Members []int // places in Run.Clients
}

// Client is one user. The number of a message is its place in Sent, from 1.
type Client struct {
	Room   int
	Sent   []Message
	Events []Event // in the order in which they came
}

// Outcome is what the sender of a message knows of it.
type Outcome uint8

const (
	Unknown Outcome = iota // no answer came: it was accepted or not
	Refused                // it may have been accepted all the same, if the broker was interrupted
	Acknowledged
)

// Message is one message as its sender knows it.
type Message struct {
	First, Done time.Duration // when it was sent for the first time, and when the outcome was known
	Outcome     Outcome
	Sends       int // more than 1: with a key each time

	// Of the acknowledgement.
	ID     string
	Epoch  string
	Offset uint64
}

// EventKind is what came.
type EventKind uint8

const (
	Down      EventKind = iota + 1 // the connection ended
	Joined                         // a join, without recovery or without success
	Recovered                      // a join that continues where the client was; what it missed follows as Chat
	Chat                           // a delivery
	Gap                            // the event gap
)

// Event is one thing that came to a client.
type Event struct {
	At   time.Duration
	Kind EventKind

	Sender, Number int    // of a Chat
	ID             string // of a Chat
	Again          bool   // of a Chat: it came with a recovery

	// Of a Chat with an offset, its own place (the epoch is that of the event
	// before). Of the others, that behind which deliveries go on.
	Epoch  string
	Offset uint64

	Reason string // of a Gap
}

func (e Event) String() string {
	switch e.Kind {
	case Down:
		return "has no connection any more"
	case Joined:
		return fmt.Sprintf("joined, behind %s %d", e.Epoch, e.Offset)
	case Recovered:
		return fmt.Sprintf("recovered, behind %s %d", e.Epoch, e.Offset)
	case Gap:
		return fmt.Sprintf("gap (%s), on behind %s %d", e.Reason, e.Epoch, e.Offset)
	}
	again := ""
	if e.Again {
		again = ", by recovery"
	}
	return fmt.Sprintf("message %d of client %d, offset %d%s (%s)", e.Number, e.Sender, e.Offset, again, e.ID)
}
