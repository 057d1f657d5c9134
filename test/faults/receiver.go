package faults

import "time"

// receiver judges what one client got.
type receiver struct {
	run    *Run
	report *Report
	index  int
	client *Client
	room   *Room

	got       map[key][]int // places in client.Events, by message
	stretches []stretch     // for which it was told that something may be missing, in order
}

// key is a message: its sender and number.
type key struct{ sender, number int }

// stretch is what the receiver was told may be missing: between the last
// delivery before and where deliveries went on, both excluded.
type stretch struct {
	begin, end time.Duration // when the connection ended, and when it was told; the same for a gap
	before     place         // of a room with history
	after      place
}

func newReceiver(run *Run, report *Report, index int) *receiver {
	c := run.Clients[index]
	return &receiver{run: run, report: report, index: index, client: c, room: &run.Rooms[c.Room], got: make(map[key][]int)}
}

func (r *receiver) judge() {
	r.follow()
	r.twice()
	for _, sender := range r.room.Members {
		r.order(sender)
		r.missing(sender)
		r.alive(sender)
	}
}

// follow goes through what came, and keeps where it was and what it was told.
func (r *receiver) follow() {
	var (
		at     place
		down   time.Duration
		online bool
		once   bool // it has been in the room
	)
	for i := range r.client.Events {
		e := &r.client.Events[i]
		next := place{e.Epoch, e.Offset}
		switch e.Kind {
		case Down:
			down, online = e.At, false
			continue // it was where it was
		case Joined:
			if once {
				begin := down
				if online {
					begin = e.At
				}
				r.stretches = append(r.stretches, stretch{begin, e.At, at, next})
				if r.room.History {
					r.report.NotRecovered++
				}
			}
			online, once, at = true, true, next
		case Recovered:
			r.report.Rejoined++
			// The place is where the client was; what it missed follows.
			if r.room.History && next != at {
				r.report.breach(Hole, "client %d was at %v, and was recovered behind %v", r.index, at, next)
			}
			online, at = true, next
		case Gap:
			r.report.Gaps[e.Reason]++
			if r.room.History && e.Reason != "lost" {
				r.report.breach(Odd, "client %d is told of a gap for the reason %q in a room with history", r.index, e.Reason)
			}
			r.stretches = append(r.stretches, stretch{e.At, e.At, at, next})
			at = next
		case Chat:
			r.delivery(i, e, &at)
		}
	}
}

// delivery notes one message that came.
func (r *receiver) delivery(i int, e *Event, at *place) {
	r.report.Delivered++
	if e.Again {
		r.report.Recovered++
	}
	if e.Sender < 0 || e.Sender >= len(r.run.Clients) || r.run.Clients[e.Sender].Room != r.client.Room ||
		e.Number < 1 || e.Number > len(r.run.Clients[e.Sender].Sent) {
		r.report.breach(Odd, "client %d got message %d of client %d", r.index, e.Number, e.Sender)
		return
	}
	if r.room.History {
		if e.Offset != at.offset+1 {
			r.report.breach(Hole, "client %d was at %v, and got offset %d (message %d of client %d)", r.index, *at, e.Offset, e.Number, e.Sender)
		}
		at.offset = e.Offset
	}
	k := key{e.Sender, e.Number}
	r.got[k] = append(r.got[k], i)
	m := &r.run.Clients[e.Sender].Sent[e.Number-1]
	switch {
	case m.Outcome != Acknowledged:
		r.report.Uncertain++
	case e.ID == m.ID:
		r.report.Delay = max(r.report.Delay, e.At-m.Done)
	case m.Sends == 1 || !r.run.Forgets:
		r.report.breach(Odd, "client %d got message %d of client %d as %s, acknowledged as %s", r.index, e.Number, e.Sender, e.ID, m.ID)
	}
}

// twice checks that nothing came a second time.
func (r *receiver) twice() {
	ids := make(map[string]int, len(r.client.Events))
	for i := range r.client.Events {
		e := &r.client.Events[i]
		if e.Kind != Chat {
			continue
		}
		if first, ok := ids[e.ID]; ok {
			r.report.breach(Duplicate, "client %d got %s (message %d of client %d, offset %d) at %s and at %s",
				r.index, e.ID, e.Number, e.Sender, e.Offset, r.client.Events[first].At, e.At)
		}
		ids[e.ID] = i
	}
	for k, places := range r.got {
		if len(places) < 2 {
			continue
		}
		first, second := &r.client.Events[places[0]], &r.client.Events[places[1]]
		switch m := &r.run.Clients[k.sender].Sent[k.number-1]; {
		case first.ID == second.ID: // counted above
		case m.Sends > 1 && r.run.Forgets:
			r.report.Forgotten++
		default:
			r.report.breach(Duplicate, "client %d got message %d of client %d as %s and as %s; it was sent %d times",
				r.index, k.number, k.sender, first.ID, second.ID, m.Sends)
		}
	}
}

// order checks that what a sender sent once, and was told was accepted, came in the
// order of its numbers. What it knows nothing of may still have been on its way when
// it went on by another connection.
func (r *receiver) order(sender int) {
	last := 0
	for i := range r.client.Events {
		e := &r.client.Events[i]
		if e.Kind != Chat || e.Sender != sender || !r.ordered(sender, e.Number) {
			continue
		}
		if e.Number < last {
			r.report.breach(Reordered, "client %d got message %d of client %d after message %d", r.index, e.Number, sender, last)
		}
		last = e.Number
	}
}

// ordered reports that a message has its place between its sender's others.
func (r *receiver) ordered(sender, number int) bool {
	sent := r.run.Clients[sender].Sent
	return number >= 1 && number <= len(sent) && sent[number-1].Sends == 1 && sent[number-1].Outcome == Acknowledged
}

// missing checks that the receiver was told of what it did not get.
func (r *receiver) missing(sender int) {
	sent := r.run.Clients[sender].Sent
	before := time.Duration(0) // when the last one before this came
	for i := range sent {
		m, number := &sent[i], i+1
		if places := r.got[key{sender, number}]; len(places) > 0 {
			if r.ordered(sender, number) {
				before = r.client.Events[places[0]].At
			}
			continue
		}
		if m.Outcome != Acknowledged {
			continue
		}
		told := false
		if r.room.History {
			told = r.toldOfPlace(place{m.Epoch, m.Offset})
		} else {
			told = r.toldBetween(before, r.next(sender, number))
		}
		if !told {
			r.report.breach(Silent, "client %d did not get message %d of client %d (%s, offset %d, epoch %s), acknowledged at %s",
				r.index, number, sender, m.ID, m.Offset, m.Epoch, m.Done)
			continue
		}
		r.report.Missing++
		if r.room.History {
			r.report.MissingKept++
		}
	}
}

// next is when a message of the sender behind the given one came; the end of time
// if none did.
func (r *receiver) next(sender, number int) time.Duration {
	sent := r.run.Clients[sender].Sent
	for n := number + 1; n <= len(sent); n++ {
		if places := r.got[key{sender, n}]; len(places) > 0 && r.ordered(sender, n) {
			return r.client.Events[places[0]].At
		}
	}
	return 1<<63 - 1 - r.run.Probe
}

// toldBetween reports that the receiver of a room without history was told of a
// gap, or had no connection, between two deliveries.
func (r *receiver) toldBetween(before, after time.Duration) bool {
	for _, s := range r.stretches {
		if s.end >= before && s.begin <= after+r.run.Probe {
			return true
		}
	}
	return false
}

// toldOfPlace reports that a place of a room's history lies within what the
// receiver was told may be missing.
func (r *receiver) toldOfPlace(p place) bool {
	for _, s := range r.stretches {
		switch {
		case p.epoch == s.before.epoch && p.epoch == s.after.epoch:
			if s.before.offset < p.offset && p.offset <= s.after.offset {
				return true
			}
		case p.epoch == s.before.epoch:
			if p.offset > s.before.offset {
				return true
			}
		case p.epoch == s.after.epoch:
			if p.offset <= s.after.offset {
				return true
			}
		default: // of an epoch that began and ended meanwhile
			if s.before.epoch != s.after.epoch && !r.knows(p.epoch) {
				return true
			}
		}
	}
	return false
}

// knows reports that the receiver has heard of an epoch.
func (r *receiver) knows(epoch string) bool {
	for _, s := range r.stretches {
		if s.before.epoch == epoch || s.after.epoch == epoch {
			return true
		}
	}
	return false
}

// alive checks that something of the sender came after the fault, and keeps how
// long it took.
func (r *receiver) alive(sender int) {
	if r.run.Healed == 0 {
		return
	}
	sent := r.run.Clients[sender].Sent
	for i := range r.client.Events {
		e := &r.client.Events[i]
		if e.Kind == Chat && e.Sender == sender && e.Number >= 1 && e.Number <= len(sent) && sent[e.Number-1].First >= r.run.Healed {
			r.report.Return = max(r.report.Return, e.At-r.run.Healed)
			return
		}
	}
	r.report.breach(Dead, "nothing that client %d sent after the fault came to client %d", sender, r.index)
}
