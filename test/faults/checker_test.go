package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// sound is a record in which all is well: two rooms, one with history, of three
// clients who each send ten messages in turn, all of which everyone gets. After the
// fifth round client 2 loses its connection and comes back, with history by a
// recovery; and at the seventh everyone is told of a gap.
func sound() *Run {
	run := &Run{Probe: time.Second, Healed: 800 * time.Second}
	for room := range 2 {
		run.Rooms = append(run.Rooms, Room{History: room == 0, Members: []int{3 * room, 3*room + 1, 3*room + 2}})
		for range 3 {
			run.Clients = append(run.Clients, &Client{Room: room})
		}
	}
	for room := range run.Rooms {
		play(run, room)
	}
	return run
}

const rounds = 10

func play(run *Run, room int) {
	members := run.Rooms[room].Members
	history := run.Rooms[room].History
	here, offset := place{}, uint64(0)
	if history {
		here.epoch = "first"
	}
	tell := func(member int, e Event) {
		c := run.Clients[members[member]]
		c.Events = append(c.Events, e)
	}
	each := func(e Event) {
		for m := range members {
			tell(m, e)
		}
	}
	each(Event{Kind: Joined, Epoch: here.epoch})
	for round := range rounds {
		at := time.Duration(round+1) * 100 * time.Second
		if round == 5 {
			tell(2, Event{At: at, Kind: Down})
		}
		if round == 7 {
			if history {
				here.epoch = "second"
				offset += 2 // nobody has seen them
			}
			each(Event{At: at, Kind: Gap, Epoch: here.epoch, Offset: offset, Reason: map[bool]string{true: "lost", false: "possible_gap"}[history]})
		}
		for m := range members {
			at += time.Second
			m1 := Message{First: at, Done: at, Outcome: Acknowledged, Sends: 1, ID: fmt.Sprintf("%d-%d-%d", room, m, round)}
			if history {
				offset++
				m1.Epoch, m1.Offset = here.epoch, offset
			}
			c := run.Clients[members[m]]
			c.Sent = append(c.Sent, m1)
			chat := Event{At: at, Kind: Chat, Sender: members[m], Number: round + 1, ID: m1.ID, Offset: m1.Offset}
			if round != 5 {
				each(chat)
				continue
			}
			tell(0, chat)
			tell(1, chat)
		}
		if round != 5 {
			continue
		}
		// Client 2 is back.
		if !history {
			tell(2, Event{At: at, Kind: Joined})
			continue
		}
		tell(2, Event{At: at, Kind: Recovered, Epoch: here.epoch, Offset: offset - 3})
		for m := range members {
			s := run.Clients[members[m]].Sent[5]
			tell(2, Event{At: at, Kind: Chat, Sender: members[m], Number: 6, ID: s.ID, Offset: s.Offset, Again: true})
		}
	}
}

// find is the place of a client's first event that is as wanted.
func find(t *testing.T, c *Client, wanted func(*Event) bool) int {
	t.Helper()
	for i := range c.Events {
		if wanted(&c.Events[i]) {
			return i
		}
	}
	t.Fatal("the record has no such event")
	return 0
}

func message(sender, number int) func(*Event) bool {
	return func(e *Event) bool { return e.Kind == Chat && e.Sender == sender && e.Number == number }
}

func ofKind(k EventKind) func(*Event) bool { return func(e *Event) bool { return e.Kind == k } }

func remove(t *testing.T, c *Client, wanted func(*Event) bool) {
	t.Helper()
	i := find(t, c, wanted)
	c.Events = slices.Delete(c.Events, i, i+1)
}

func TestASoundRecordPasses(t *testing.T) {
	r := Check(sound())
	if !r.OK() {
		t.Fatalf("%s", r)
	}
	if r.Sent != 60 || r.Acknowledged != 60 || r.Delivered != 177 || r.Recovered != 3 || r.Rejoined != 1 || r.Missing != 3 || r.MissingKept != 0 ||
		r.Gaps["lost"] != 3 || r.Gaps["possible_gap"] != 3 {
		t.Errorf("the counts are wrong:\n%s", r)
	}
}

func TestEachBreachIsCaught(t *testing.T) {
	const kept, plain = 0, 3 // the first clients of the rooms with and without history
	for name, c := range map[string]struct {
		breach Breach
		harm   func(*testing.T, *Run)
	}{
		"a delivery is missing, with history":           {Silent, func(t *testing.T, run *Run) { remove(t, run.Clients[kept], message(1, 3)) }},
		"its hole in the offsets shows":                 {Hole, func(t *testing.T, run *Run) { remove(t, run.Clients[kept], message(1, 3)) }},
		"a delivery is missing, without history":        {Silent, func(t *testing.T, run *Run) { remove(t, run.Clients[plain], message(4, 3)) }},
		"the last delivery is missing":                  {Silent, func(t *testing.T, run *Run) { remove(t, run.Clients[kept], message(2, rounds)) }},
		"the last delivery is missing, without history": {Silent, func(t *testing.T, run *Run) { remove(t, run.Clients[plain], message(5, rounds)) }},
		"the first delivery is missing":                 {Silent, func(t *testing.T, run *Run) { remove(t, run.Clients[kept], message(0, 1)) }},
		"a recovery drops a message":                    {Silent, func(t *testing.T, run *Run) { remove(t, run.Clients[2], message(1, 6)) }},
		"a recovery drops the newest message":           {Silent, func(t *testing.T, run *Run) { remove(t, run.Clients[2], message(2, 6)) }},
		"a recovery starts too late": {Hole, func(t *testing.T, run *Run) {
			e := &run.Clients[2].Events[find(t, run.Clients[2], ofKind(Recovered))]
			e.Offset++
		}},
		"a recovery brings what was there": {Duplicate, func(t *testing.T, run *Run) {
			c := run.Clients[2]
			old := c.Events[find(t, c, message(2, 5))]
			c.Events = slices.Insert(c.Events, find(t, c, ofKind(Recovered))+1, old)
		}},
		"a gap is not told": {Hole, func(t *testing.T, run *Run) { remove(t, run.Clients[kept], ofKind(Gap)) }},
		"a gap is told for another reason": {Odd, func(t *testing.T, run *Run) {
			run.Clients[kept].Events[find(t, run.Clients[kept], ofKind(Gap))].Reason = "possible_gap"
		}},
		"a gap stands elsewhere": {Silent, func(t *testing.T, run *Run) {
			// What is missing is behind where deliveries go on.
			remove(t, run.Clients[kept], message(0, 8))
		}},
		"a gap is told too late, without history": {Silent, func(t *testing.T, run *Run) {
			c := run.Clients[plain]
			remove(t, c, message(4, 7))
			remove(t, c, message(4, 6))
			remove(t, c, message(4, 5))
			c.Events[find(t, c, ofKind(Gap))].At += 2 * time.Hour
		}},
		"a delivery comes twice": {Duplicate, func(t *testing.T, run *Run) {
			c := run.Clients[plain]
			i := find(t, c, message(5, 2))
			c.Events = slices.Insert(c.Events, i+1, c.Events[i])
		}},
		"a delivery comes twice under two ids": {Duplicate, func(t *testing.T, run *Run) {
			c := run.Clients[plain]
			i := find(t, c, message(5, 2))
			again := c.Events[i]
			again.ID = "another"
			c.Events = slices.Insert(c.Events, i+1, again)
			run.Clients[5].Sent[1].Sends = 2
		}},
		"two deliveries change places": {Reordered, func(t *testing.T, run *Run) {
			c := run.Clients[plain]
			i, j := find(t, c, message(4, 2)), find(t, c, message(4, 3))
			c.Events[i], c.Events[j] = c.Events[j], c.Events[i]
		}},
		"one offset has two messages": {Reused, func(_ *testing.T, run *Run) { run.Clients[1].Sent[4].Offset-- }},
		"a message of another room comes": {Odd, func(t *testing.T, run *Run) {
			c := run.Clients[plain]
			c.Events[find(t, c, message(4, 2))].Sender = 0
		}},
		"a message comes that nobody sent": {Odd, func(t *testing.T, run *Run) {
			c := run.Clients[plain]
			c.Events[find(t, c, message(4, rounds))].Number++
		}},
		"an acknowledgement names another message": {Odd, func(_ *testing.T, run *Run) { run.Clients[4].Sent[4].ID = "another" }},
		"a room does not come back": {Dead, func(t *testing.T, run *Run) {
			for n := 8; n <= rounds; n++ {
				remove(t, run.Clients[plain], message(4, n))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			run := sound()
			c.harm(t, run)
			if r := Check(run); r.Breaches[c.breach] == 0 {
				t.Errorf("not caught as %q:\n%s", c.breach, r)
			}
		})
	}
}

func TestWhatIsToldIsNoBreach(t *testing.T) {
	for name, harm := range map[string]func(*testing.T, *Run){
		"missing before a gap, without history": func(t *testing.T, run *Run) { remove(t, run.Clients[3], message(4, 7)) },
		"missing before a gap that comes a little late": func(t *testing.T, run *Run) {
			c := run.Clients[3]
			remove(t, c, message(4, 7))
			i := find(t, c, ofKind(Gap))
			gap := c.Events[i]
			gap.At = c.Events[i+2].At + run.Probe/2
			c.Events = slices.Insert(slices.Delete(c.Events, i, i+1), i+2, gap)
		},
		"missing before a gap, with history": func(t *testing.T, run *Run) {
			remove(t, run.Clients[0], message(2, 7))
		},
		"all that an epoch had": func(t *testing.T, run *Run) {
			// Messages were acknowledged in an epoch that nobody heard of.
			c := run.Clients[1]
			c.Sent = append(c.Sent, Message{Outcome: Acknowledged, Sends: 1, ID: "lost", Epoch: "between", Offset: 3})
		},
		"refused, and not delivered": func(_ *testing.T, run *Run) {
			c := run.Clients[1]
			c.Sent = append(c.Sent, Message{Outcome: Refused, Sends: 1})
		},
		"refused, and delivered": func(_ *testing.T, run *Run) { run.Clients[1].Sent[4].Outcome = Refused },
		"refused, and delivered late": func(t *testing.T, run *Run) {
			c := run.Clients[3]
			i, j := find(t, c, message(4, 2)), find(t, c, message(4, 3))
			c.Events[i], c.Events[j] = c.Events[j], c.Events[i]
			run.Clients[4].Sent[1].Outcome = Refused
		},
		"sent again out of order": func(t *testing.T, run *Run) {
			c := run.Clients[3]
			i, j := find(t, c, message(4, 2)), find(t, c, message(4, 3))
			c.Events[i], c.Events[j] = c.Events[j], c.Events[i]
			run.Clients[4].Sent[1].Sends = 2
		},
		"accepted twice where the key was lost": func(t *testing.T, run *Run) {
			c := run.Clients[3]
			i := find(t, c, message(5, 2))
			again := c.Events[i]
			again.ID = "another"
			c.Events = slices.Insert(c.Events, i+1, again)
			run.Clients[5].Sent[1].Sends, run.Forgets = 2, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			run := sound()
			harm(t, run)
			if r := Check(run); !r.OK() {
				t.Errorf("%s", r)
			}
		})
	}
}

func TestAReportTellsTheLongestOutage(t *testing.T) {
	run := sound()
	c := run.Clients[0]
	for i := 2; i < 5; i++ {
		c.Sent[i].Outcome = Refused
	}
	if r := Check(run); r.Outage != c.Sent[5].Done-c.Sent[2].First {
		t.Errorf("the longest outage is %s, not from message 3 to message 6", r.Outage)
	}
}
