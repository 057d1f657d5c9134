package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// plan is the size of a crowd.
type plan struct {
	clients int
	members int           // of a room
	pause   time.Duration // between two messages of a client, on average
	stay    time.Duration // that every other client keeps a connection, on average; the rest keep it as long as it lasts
}

// crowd is clients in rooms of a few members each, spread over the nodes. The
// rooms of even number have history.
type crowd struct {
	// Static after construction.
	plan    plan
	begun   time.Time
	clients []*client
	rooms   []Room
	present sync.WaitGroup // until everyone has joined once
	work    sync.WaitGroup
	cancel  context.CancelFunc

	nodes        atomic.Pointer[[]string] // addresses
	quiet        atomic.Bool              // nobody talks any more
	rest         atomic.Bool              // nobody leaves of his own will
	joinsRefused atomic.Int64
	acknowledged atomic.Int64 // messages
	refused      atomic.Int64

	mu       sync.Mutex
	failures map[string]int // guarded by mu, as what follows
	closes   map[int]int
	refusals map[string]int
}

func (c *crowd) now() time.Duration { return time.Since(c.begun) }

func (c *crowd) address(n int) string {
	list := *c.nodes.Load()
	return list[n%len(list)]
}

// stay is how long a client keeps its next connection.
func (c *crowd) stay(index int) time.Duration {
	if index/2%2 == 0 {
		return time.Hour
	}
	return c.plan.stay/2 + time.Duration(rand.Int64N(int64(c.plan.stay)))
}

// failed notes what a client met that the records do not show.
func (c *crowd) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failures) < 50 {
		c.failures[err.Error()]++
	}
}

func (c *crowd) closed(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closes[code]++
}

func (c *crowd) refusal(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.refusals) < 50 {
		c.refusals[e.Code+": "+e.Reason]++
	}
}

// gather connects everyone, and returns when all have joined and talk.
func gather(t *testing.T, p plan, nodes []string) *crowd {
	t.Helper()
	c := &crowd{plan: p, begun: time.Now(), failures: make(map[string]int), closes: make(map[int]int), refusals: make(map[string]int)}
	c.nodes.Store(&nodes)
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.quiet.Store(true)
	for i := range p.clients {
		room := i / p.members
		if room == len(c.rooms) {
			c.rooms = append(c.rooms, Room{History: room%2 == 0})
		}
		name := fmt.Sprintf("plain:%d", room)
		if c.rooms[room].History {
			name = fmt.Sprintf("kept:%d", room)
		}
		c.rooms[room].Members = append(c.rooms[room].Members, i)
		c.clients = append(c.clients, &client{crowd: c, index: i, room: name, node: i + room, record: &Client{Room: room},
			keyed: i%p.members%2 == 0, waiting: make(map[int]chan<- event)})
	}
	for _, one := range c.clients {
		one.members = c.rooms[one.record.Room].Members
		one.heard = make([]atomic.Int64, len(one.members))
	}
	t.Cleanup(c.leave)
	c.present.Add(len(c.clients))
	for i, one := range c.clients {
		c.work.Go(func() {
			pause(ctx, time.Duration(i)*time.Millisecond) // a queue that a node can accept
			one.run(ctx)
		})
	}
	all := make(chan struct{})
	go func() {
		c.present.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(2 * patience):
		t.Fatalf("not everyone could join: %v", c.failures)
	}
	c.quiet.Store(false)
	return c
}

// leave ends all connections, and returns when everyone has gone. It may be called
// again.
func (c *crowd) leave() {
	c.cancel()
	c.work.Wait()
	for _, one := range c.clients {
		if !one.joined {
			one.joined = true
			c.present.Done() // for gather's goroutine
		}
	}
}

// alive waits until each client has heard something new from each member of its
// room, itself included: until every room is alive.
func (c *crowd) alive(patience time.Duration) bool {
	floor := make([]int64, len(c.clients)) // behind a burst that is under way
	for i, one := range c.clients {
		floor[i] = one.numbered.Load() + 4
	}
	return c.wait(patience, func() bool {
		for _, one := range c.clients {
			for m, member := range one.members {
				if one.heard[m].Load() < floor[member] {
					return false
				}
			}
		}
		return true
	})
}

// highest is the highest number of a client that any member has heard.
func (c *crowd) highest(index int) int64 {
	highest := int64(0)
	members := c.rooms[c.clients[index].record.Room].Members
	for place, m := range members {
		if m != index {
			continue
		}
		for _, other := range members {
			highest = max(highest, c.clients[other].heard[place].Load())
		}
	}
	return highest
}

func (c *crowd) wait(patience time.Duration, is func() bool) bool {
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// finish lets what is under way arrive, and returns the record. Before, all rooms
// should be alive, and clients rest.
func (c *crowd) finish(probe, healed time.Duration, forgets bool) *Run {
	c.quiet.Store(true)
	quiet, last := time.Now(), int64(-1)
	c.wait(patience, func() bool {
		sum, even := int64(0), true
		for _, one := range c.clients {
			for m, member := range one.members {
				n := one.heard[m].Load()
				sum += n
				even = even && n == c.highest(member)
			}
		}
		if sum != last {
			quiet, last = time.Now(), sum
		}
		return even && time.Since(quiet) > time.Second
	})
	c.leave()
	run := &Run{Rooms: c.rooms, Probe: probe, Healed: healed, Forgets: forgets}
	for _, one := range c.clients {
		run.Clients = append(run.Clients, one.record)
	}
	return run
}
