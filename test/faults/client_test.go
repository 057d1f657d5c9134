package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// client is one user in one room, who sends numbered messages and keeps coming
// back. Goroutines: run, which owns what is not marked otherwise, and one that reads
// for each connection, which run awaits before it opens the next.
type client struct {
	// Static after construction.
	crowd *crowd
	index int
	room  string
	keyed bool // messages have a key, and are sent again until their outcome is known

	node   int  // the next one to connect to
	joined bool // once

	// Of the reader while it runs, else of run.
	at     place
	record *Client

	// Safe for concurrent use.
	heard    []atomic.Int64 // by member of the room: the highest number that came
	members  []int
	numbered atomic.Int64 // the highest number so far

	mu      sync.Mutex
	waiting map[int]chan<- event // answers that are awaited, by id; guarded by mu
}

// event is what a node sends, as far as it matters here.
type event struct {
	Event     string          `json:"event"`
	ID        int             `json:"id"`
	Room      string          `json:"room"`
	Code      string          `json:"code"`
	Reason    string          `json:"reason"`
	MessageID string          `json:"message_id"`
	Content   json.RawMessage `json:"content"`
	Epoch     string          `json:"epoch"`
	Offset    uint64          `json:"offset"`
	Recovered *bool           `json:"recovered"`
	Messages  []event         `json:"messages"`
}

// joinID is the id of join_room; messages have their number, from 1.
const joinID = -1

// run connects again and again, until the crowd ends.
func (c *client) run(ctx context.Context) {
	wait := 50 * time.Millisecond
	for ctx.Err() == nil {
		s, err := c.connect(ctx)
		if err != nil {
			c.crowd.failed(err)
			c.node++
			pause(ctx, time.Duration(rand.Int64N(int64(wait))))
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 50 * time.Millisecond
		c.session(ctx, s)
		s.close()
		pause(ctx, time.Duration(rand.Int64N(int64(200*time.Millisecond))))
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (c *client) connect(ctx context.Context) (*session, error) {
	dialing, cancel := context.WithTimeout(ctx, patience/4)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, fmt.Sprintf("ws://%s/ws?client_id=c%d", c.crowd.address(c.node), c.index), nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(4 << 20)
	s := &session{client: c, conn: conn, ended: make(chan struct{})}
	go s.read()
	return s, nil
}

// session joins and talks until the connection ends, or the client has had enough
// of it.
func (c *client) session(ctx context.Context, s *session) {
	if !c.join(ctx, s) {
		return
	}
	enough := time.NewTimer(c.crowd.stay(c.index))
	defer enough.Stop()
	tick := time.NewTimer(time.Duration(rand.Int64N(int64(c.crowd.plan.pause))))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ended:
			return
		case <-enough.C:
			if !c.crowd.rest.Load() {
				return
			}
		case <-tick.C:
			tick.Reset(c.crowd.plan.pause/2 + time.Duration(rand.Int64N(int64(c.crowd.plan.pause))))
			if !c.crowd.quiet.Load() && !c.talk(ctx, s) {
				return
			}
		}
	}
}

// join asks until the client is in its room.
func (c *client) join(ctx context.Context, s *session) bool {
	for ctx.Err() == nil {
		command := map[string]any{"type": "join_room", "room": c.room, "id": joinID}
		if c.at.epoch != "" {
			command["recover"] = map[string]any{"epoch": c.at.epoch, "offset": c.at.offset}
		}
		answer, ok := s.ask(ctx, joinID, command)
		switch {
		case !ok:
			return false
		case answer.Event == "joined":
			if !c.joined {
				c.joined = true
				c.crowd.present.Done()
			}
			return true
		case answer.Code != "unavailable" && answer.Code != "rate_limited":
			c.crowd.failed(fmt.Errorf("client %d may not join: %s: %s", c.index, answer.Code, answer.Reason))
			return false
		}
		c.crowd.joinsRefused.Add(1)
		pause(ctx, 50*time.Millisecond+time.Duration(rand.Int64N(int64(100*time.Millisecond))))
	}
	return false
}

// talk sends one message, or a burst of three, and awaits the outcome of each;
// with keys it sends again what it does not know. It is false if the connection
// is of no use any more.
func (c *client) talk(ctx context.Context, s *session) bool {
	first, last := c.next()
	for again := false; ; again = true {
		answers := make(map[int]<-chan event)
		for n := first; n <= last; n++ {
			m := &c.record.Sent[n-1]
			if m.Outcome == Acknowledged || again && m.Outcome == Refused && !c.keyed {
				continue
			}
			m.Sends++
			answers[n] = s.await(n)
			if !s.send(ctx, c.command(n)) {
				break
			}
		}
		usable := true
		for n := first; n <= last; n++ {
			if answers[n] == nil {
				continue
			}
			answer, ok := s.answer(ctx, n, answers[n])
			c.outcome(n, answer, ok)
			usable = usable && ok
		}
		if !usable || !c.open(first) {
			return usable
		}
		pause(ctx, 50*time.Millisecond+time.Duration(rand.Int64N(int64(200*time.Millisecond))))
	}
}

// next is the messages to send now: those of the last burst with a key whose
// outcome is open, else new ones.
func (c *client) next() (first, last int) {
	sent := c.record.Sent
	if c.keyed {
		for n := max(1, len(sent)-2); n <= len(sent); n++ {
			if sent[n-1].Outcome != Acknowledged {
				return n, len(sent)
			}
		}
	}
	first = len(sent) + 1
	burst := 1
	if rand.IntN(8) == 0 {
		burst = 3
	}
	for range burst {
		c.record.Sent = append(c.record.Sent, Message{First: c.crowd.now()})
	}
	c.numbered.Store(int64(len(c.record.Sent)))
	return first, len(c.record.Sent)
}

// open reports that a message from first on has to be sent again.
func (c *client) open(first int) bool {
	if !c.keyed {
		return false
	}
	for _, m := range c.record.Sent[first-1:] {
		if m.Outcome != Acknowledged {
			return true
		}
	}
	return false
}

func (c *client) command(n int) map[string]any {
	m := map[string]any{"type": "room_message", "room": c.room, "id": n, "content": [2]int{c.index, n}}
	if c.keyed {
		m["key"] = fmt.Sprintf("%d-%d", c.index, n)
	}
	return m
}

func (c *client) outcome(n int, answer event, ok bool) {
	m := &c.record.Sent[n-1]
	m.Done = c.crowd.now()
	switch {
	case !ok:
		m.Outcome = Unknown
	case answer.Event == "ack":
		c.crowd.acknowledged.Add(1)
		m.Outcome, m.ID, m.Epoch, m.Offset = Acknowledged, answer.MessageID, answer.Epoch, answer.Offset
	default:
		m.Outcome = Refused
		c.crowd.refused.Add(1)
		c.crowd.refusal(answer)
	}
}

// note writes an event to the record, and hands answers over.
func (c *client) note(e *event) {
	now := c.crowd.now()
	switch e.Event {
	case "chat":
		c.chat(now, e, false)
	case "gap":
		if e.Room == c.room {
			c.at = place{e.Epoch, e.Offset}
			c.record.Events = append(c.record.Events, Event{At: now, Kind: Gap, Epoch: e.Epoch, Offset: e.Offset, Reason: e.Reason})
		}
	case "joined":
		c.entered(now, e)
		c.hand(e)
	case "ack", "error":
		c.hand(e)
	}
}

// entered notes a join, and what came with it.
func (c *client) entered(now time.Duration, e *event) {
	if e.Recovered == nil || !*e.Recovered {
		c.at = place{e.Epoch, e.Offset}
		c.record.Events = append(c.record.Events, Event{At: now, Kind: Joined, Epoch: e.Epoch, Offset: e.Offset})
		return
	}
	c.record.Events = append(c.record.Events, Event{At: now, Kind: Recovered, Epoch: e.Epoch, Offset: c.at.offset})
	for i := range e.Messages {
		c.chat(now, &e.Messages[i], true)
	}
	if c.at != (place{e.Epoch, e.Offset}) {
		c.crowd.failed(fmt.Errorf("client %d was recovered up to %v, and is told that deliveries start behind %s %d", c.index, c.at, e.Epoch, e.Offset))
	}
}

func (c *client) chat(now time.Duration, e *event, again bool) {
	var content [2]int
	if err := json.Unmarshal(e.Content, &content); err != nil {
		c.crowd.failed(fmt.Errorf("client %d got the content %.100s", c.index, e.Content))
		return
	}
	if e.Offset != 0 {
		c.at.offset = e.Offset
	}
	c.record.Events = append(c.record.Events, Event{At: now, Kind: Chat, Sender: content[0], Number: content[1], ID: e.MessageID, Offset: e.Offset, Again: again})
	for i, m := range c.members {
		if m == content[0] {
			c.heard[i].Store(max(c.heard[i].Load(), int64(content[1])))
		}
	}
}
