package router_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/router/membroker"
)

// A publisher floods a room on two nodes while clients leave and come back, on the
// same connection, on another one, and on the other node: what they recover and what
// they are delivered is together every message once, in order.
func TestNothingIsMissingOrDoubledBetweenRecoveryAndDelivery(t *testing.T) {
	hub := membroker.NewHub()
	var nodes []*node
	for range 2 {
		b := hub.Node()
		t.Cleanup(func() { b.Close() })
		nodes = append(nodes, startNodeOn(t, b, silent, keeping("r", 100_000)))
	}
	speaker := nodes[0].as(t, "speaker")
	begin := place{speaker.join("r").str("epoch"), 0}

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			speaker.send(`{"type":"room_message","room":"r","content":` + fmt.Sprint(i) + `}`)
			if i%20 == 0 { // as fast as the node goes, but not faster than it delivers
				for range 20 {
					speaker.expect("chat")
				}
			}
		}
	}()

	const clients, comebacks = 8, 60
	var recovered, refusals atomic.Int64
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			(&rejoiner{t: t, nodes: nodes, user: fmt.Sprint("u", i), at: begin, recovered: &recovered, refusals: &refusals}).run(comebacks)
		})
	}
	all.Wait()
	close(stop)
	<-stopped
	t.Logf("%d messages recovered, %d recoveries refused", recovered.Load(), refusals.Load())
	if recovered.Load() < clients*comebacks/10 {
		t.Errorf("only %d messages were recovered: the seam was hardly there", recovered.Load())
	}
}

type rejoiner struct {
	t                   *testing.T
	nodes               []*node
	user                string
	at                  place
	inside              bool // it joins a room that it is in: what comes before the answer may be in it too
	recovered, refusals *atomic.Int64
}

func (j *rejoiner) run(comebacks int) {
	var u *client
	for range comebacks {
		if u == nil || rand.IntN(3) == 0 {
			if u != nil {
				u.ws.CloseNow()
				j.inside = false
			}
			u = j.nodes[rand.IntN(len(j.nodes))].as(j.t, j.user)
		}
		u.send(fmt.Sprintf(`{"type":"join_room","room":"r","recover":%v}`, j.at))
		for e := u.next(); ; e = u.next() {
			if !j.take(e) {
				return
			}
			if e.name() == "joined" {
				break
			}
		}
		j.inside = false
		for range rand.IntN(40) {
			if !j.take(u.next()) {
				return
			}
		}
		if rand.IntN(4) == 0 {
			j.inside = true
			continue
		}
		u.send(`{"type":"leave_room","room":"r"}`)
		for e := u.next(); e.name() != "left"; e = u.next() {
			if !j.take(e) {
				return
			}
		}
	}
}

// take holds an event against what the client has, and reports that it went well.
func (j *rejoiner) take(e event) bool {
	switch e.name() {
	case "chat":
		return j.follows(e)
	case "joined":
		if e["recovered"] != true {
			j.refusals.Add(1)
			if !j.inside || e.place().Offset > j.at.Offset {
				j.at = e.place()
			}
			return true
		}
		for _, m := range e["messages"].([]any) {
			j.recovered.Add(1)
			if j.inside && event(m.(map[string]any)).number("offset") <= j.at.Offset {
				continue
			}
			if !j.follows(event(m.(map[string]any))) {
				return false
			}
		}
		if e.place() != j.at && !(j.inside && e.place().Offset < j.at.Offset) {
			j.t.Errorf("%s has all up to %v, and was told %v", j.user, j.at, e.place())
			return false
		}
		return true
	}
	j.t.Errorf("%s: got %v", j.user, e)
	return false
}

func (j *rejoiner) follows(e event) bool {
	if e.number("offset") != j.at.Offset+1 || e.number("content") != j.at.Offset+1 {
		j.t.Errorf("%s has all up to %d, and got %v", j.user, j.at.Offset, e)
		return false
	}
	j.at.Offset++
	return true
}
