package faults

import (
	"fmt"
	"strings"
	"time"
)

// Breach is something that must not happen.
type Breach string

const (
	Silent    Breach = "lost in silence"         // acknowledged, not delivered, and the receiver was not told
	Duplicate Breach = "delivered twice"         // by message id, or by sender and number
	Reordered Breach = "out of order"            // of one sender
	Hole      Breach = "a hole in the offsets"   // of a room with history, and the receiver was not told
	Reused    Breach = "one place for two"       // messages, in a room's history
	Odd       Breach = "not what was sent"       // nobody sent it, not to this room, or its acknowledgement names another message
	Dead      Breach = "the room did not return" // after the fault
)

// Report is the judgement of a run.
type Report struct {
	Sent         int `json:"sent"`
	Acknowledged int `json:"acknowledged"`
	Refused      int `json:"refused"`
	Unknown      int `json:"unknown"`
	Resent       int `json:"resent"` // messages that were sent more than once

	Delivered    int `json:"delivered"`     // to all receivers together
	Recovered    int `json:"recovered"`     // of these, by a recovery
	Rejoined     int `json:"rejoined"`      // joins that continued where the client was
	NotRecovered int `json:"not_recovered"` // joins that did not, in rooms with history
	Missing      int `json:"missing"`       // acknowledged and not delivered, and the receiver was told
	MissingKept  int `json:"missing_kept"`  // of these, in rooms with history
	Uncertain    int `json:"uncertain"`     // delivered, though refused or never answered
	Forgotten    int `json:"forgotten"`     // delivered twice, because Redis had lost the key

	Gaps map[string]int `json:"gaps"` // told, by reason

	Outage time.Duration `json:"longest_outage_ns"` // longest time in which a client could not send
	Delay  time.Duration `json:"longest_delay_ns"`  // longest from an acknowledgement to a delivery
	Return time.Duration `json:"return_ns"`         // from the end of the fault until every room had been heard from every member again

	Breaches map[Breach]int `json:"breaches"`
	First    []string       `json:"first_breaches,omitempty"`

	suspect int // the first client that has met a breach; -1: none
}

// maxFirst bounds the breaches of a report that are described.
const maxFirst = 20

// OK reports that nothing happened that must not.
func (r *Report) OK() bool { return len(r.Breaches) == 0 }

func (r *Report) breach(b Breach, format string, args ...any) {
	r.Breaches[b]++
	if len(r.First) < maxFirst {
		r.First = append(r.First, string(b)+": "+fmt.Sprintf(format, args...))
	}
}

// Check judges a run.
func Check(run *Run) *Report {
	r := &Report{Gaps: make(map[string]int), Breaches: make(map[Breach]int), suspect: -1}
	for i, c := range run.Clients {
		r.sender(i, c)
	}
	for n := range run.Rooms {
		r.places(run, n)
	}
	for i := range run.Clients {
		newReceiver(run, r, i).judge()
		if r.suspect < 0 && !r.OK() {
			r.suspect = i
		}
	}
	return r
}

// sender counts what became of a client's messages.
func (r *Report) sender(index int, c *Client) {
	failing := time.Duration(-1) // since when every message fails
	for i := range c.Sent {
		m := &c.Sent[i]
		r.Sent++
		if m.Sends > 1 {
			r.Resent++
		}
		switch m.Outcome {
		case Acknowledged:
			r.Acknowledged++
			if m.ID == "" {
				r.breach(Odd, "message %d of client %d is acknowledged without an id", i+1, index)
			}
		case Refused:
			r.Refused++
		case Unknown:
			r.Unknown++
		}
		if failing < 0 {
			failing = m.First
		}
		if m.Outcome == Acknowledged {
			r.Outage = max(r.Outage, m.Done-failing)
			failing = -1
		}
	}
}

// place is one in a room's history.
type place struct {
	epoch  string
	offset uint64
}

// places checks that acknowledgements and deliveries of a room agree which
// message has which place.
func (r *Report) places(run *Run, room int) {
	if !run.Rooms[room].History {
		return
	}
	taken := make(map[place]string)
	take := func(at place, id, who string) {
		if at.epoch == "" || at.offset == 0 {
			r.breach(Odd, "%s of room %d: no place in the history", who, room)
			return
		}
		if other := taken[at]; other != "" && other != id {
			r.breach(Reused, "room %d, epoch %s, offset %d: %s and, by %s, %s", room, at.epoch, at.offset, other, who, id)
			return
		}
		taken[at] = id
	}
	for _, i := range run.Rooms[room].Members {
		for n, m := range run.Clients[i].Sent {
			if m.Outcome == Acknowledged {
				take(place{m.Epoch, m.Offset}, m.ID, fmt.Sprintf("the acknowledgement of message %d of client %d", n+1, i))
			}
		}
		epoch := ""
		for _, e := range run.Clients[i].Events {
			if e.Kind != Chat {
				epoch = e.Epoch
				continue
			}
			take(place{epoch, e.Offset}, e.ID, fmt.Sprintf("a delivery to client %d", i))
		}
		if r.suspect < 0 && !r.OK() {
			r.suspect = i
		}
	}
}

// Suspect is what the first client that met a breach has seen, for people: what it
// was told of its place, with the deliveries next to it.
func (r *Report) Suspect(run *Run) string {
	if r.suspect < 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "client %d of room %d:", r.suspect, run.Clients[r.suspect].Room)
	events := run.Clients[r.suspect].Events
	for i, e := range events {
		near := i+1 < len(events) && events[i+1].Kind != Chat || i > 0 && events[i-1].Kind != Chat
		if e.Kind != Chat || near || i == len(events)-1 {
			fmt.Fprintf(&b, "\n  %10s %s", e.At.Round(time.Millisecond), e)
		}
	}
	return b.String()
}

// String is the report as a table, and what was wrong.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sent %d: acknowledged %d, refused %d, unknown %d; sent again %d\n", r.Sent, r.Acknowledged, r.Refused, r.Unknown, r.Resent)
	fmt.Fprintf(&b, "delivered %d, of these recovered %d; joins recovered %d, not recovered %d\n", r.Delivered, r.Recovered, r.Rejoined, r.NotRecovered)
	fmt.Fprintf(&b, "gaps told %v; missing and told %d (%d with history); delivered though not acknowledged %d; twice for a forgotten key %d\n",
		r.Gaps, r.Missing, r.MissingKept, r.Uncertain, r.Forgotten)
	fmt.Fprintf(&b, "longest outage %s, longest delay %s, all rooms back after %s; duplicates %d, silent %d",
		r.Outage.Round(time.Millisecond), r.Delay.Round(time.Millisecond), r.Return.Round(time.Millisecond), r.Breaches[Duplicate], r.Breaches[Silent])
	if !r.OK() {
		fmt.Fprintf(&b, "\nBREACHES %v", r.Breaches)
		for _, line := range r.First {
			b.WriteString("\n  " + line)
		}
	}
	return b.String()
}
