package brokertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

var contextTests = []test{
	{"a call whose context has ended returns the context's error", 1, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for method, call := range calls(ctx, c.nodes[0]) {
			wantErr(t, method, call(), context.Canceled)
		}
	}},
	{"a message whose publisher's context had ended is not delivered", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		n.subscribe(room("lobby"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := n.Publish(ctx, message(room("lobby")))
		wantErr(t, "Publish", err, context.Canceled)
		n.wants(room("lobby"), n.send(room("lobby")))
	}},
	{"a subscription outlives the context it was made with", 2, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := c.nodes[0].Subscribe(ctx, room("lobby"), router.Keep{}); err != nil {
			t.Fatalf("Subscribe: %v", err)
		}
		cancel()
		for range 20 {
			time.Sleep(time.Millisecond) // for whatever the end of the context sets off
			c.nodes[0].await(c.nodes[1].send(room("lobby")))
		}
	}},
}

// calls are all methods of a started node that take a context.
func calls(ctx context.Context, n *node) map[string]func() error {
	return map[string]func() error{
		"Subscribe":         func() error { _, err := n.Subscribe(ctx, room("lobby"), router.Keep{}); return err },
		"Publish":           func() error { _, err := n.Publish(ctx, message(room("lobby"))); return err },
		"Publish direct":    func() error { _, err := n.Publish(ctx, message(user("ann"))); return err },
		"Publish broadcast": func() error { _, err := n.Publish(ctx, message(broadcasts)); return err },
		"Enter":             func() error { _, err := n.Enter(ctx, "lobby", occupant("ann", 1)); return err },
		"Leave":             func() error { _, err := n.Leave(ctx, "lobby", occupant("ann", 1)); return err },
		"Present":           func() error { _, err := n.Present(ctx, "lobby", 1, ""); return err },
		"History":           func() error { _, err := n.History(ctx, "lobby", router.HistoryQuery{Limit: 1}); return err },
		"Nodes":             func() error { _, err := n.Nodes(ctx); return err },
		"Rooms":             func() error { _, err := n.Rooms(ctx, 1, ""); return err },
		"Health":            func() error { return n.Health(ctx) },
	}
}

var closingTests = []test{
	{"a started node is healthy", 2, func(t *testing.T, c *cluster) {
		for _, n := range c.nodes {
			eventually(t, func() error { return n.Health(t.Context()) })
		}
	}},
	{"after Close every method says so", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		n.subscribe(room("lobby"))
		n.close()
		for method, call := range calls(t.Context(), n) {
			wantErr(t, method, call(), router.ErrBrokerClosed)
		}
		wantErr(t, "Start", n.Start(n.recorder), router.ErrBrokerClosed)
		n.Unsubscribe(room("lobby"))
		if err := n.Close(); err != nil { // nil is fine too
			wantErr(t, "Close", err, router.ErrBrokerClosed)
		}
	}},
	{"a node may close without having started", 1, func(t *testing.T, c *cluster) {
		n := c.more(t, 1)[0]
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		wantErr(t, "Start", n.Start(newRecorder(0)), router.ErrBrokerClosed)
	}},
	{"Close returns after the sink's last call has returned", 2, closeWaits},
	{"a closed node gets nothing, and its leaving disturbs no other", 3, closeAmidTraffic},
	{"nodes may close while everything is used", 3, closeAmidEverything},
}

func closeWaits(t *testing.T, c *cluster) {
	n := c.nodes[0]
	inside, release := make(chan struct{}), make(chan struct{})
	var closed, early atomic.Bool
	n.doBefore(func() {
		close(inside)
		<-release
		early.Store(closed.Load())
	})
	n.subscribe(room("lobby"))
	var wg sync.WaitGroup
	wg.Go(func() { c.nodes[1].send(room("lobby")) })
	select {
	case <-inside:
	case <-time.After(Patience):
		close(release)
		t.Fatalf("the message did not arrive within %s", Patience)
	}
	wg.Go(func() {
		n.close()
		closed.Store(true)
	})
	// Close has begun once Health says so; a broker that says so only at its end
	// is given a moment to do wrong.
	for range 50 {
		if errors.Is(n.Health(t.Context()), router.ErrBrokerClosed) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(5 * time.Millisecond)
	close(release)
	wg.Wait()
	if early.Load() {
		t.Error("Close returned during a call of Deliver")
	}
}

func closeAmidTraffic(t *testing.T, c *cluster) {
	topics := []router.Topic{room("lobby"), user("ann"), broadcasts}
	for _, topic := range topics {
		c.subscribe(topic)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var sent [2][]*router.Message
	for i := range sent {
		wg.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
					sent[i] = append(sent[i], c.nodes[i].send(topics[k%len(topics)]))
				}
			}
		})
	}
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	c.nodes[2].awaitCount(room("lobby"), 50)
	c.nodes[2].close() // its recorder now takes every call for a violation
	more, _ := c.nodes[1].arrived(room("lobby"))
	c.nodes[1].awaitCount(room("lobby"), len(more)+50)
	end()
	for _, n := range c.nodes[:2] {
		for i := range sent {
			for _, m := range sent[i] {
				n.await(m)
			}
		}
	}
}

// closeAmidEverything uses every method on every node from several goroutines
// while the nodes close one after the other.
func closeAmidEverything(t *testing.T, c *cluster) {
	var wg sync.WaitGroup
	closed := make([]atomic.Bool, len(c.nodes))
	for i, n := range c.nodes {
		for w := range 4 {
			wg.Go(func() {
				for k := 0; ; k++ {
					done := closed[i].Load()
					err := useAll(t.Context(), n, w, k)
					if errors.Is(err, router.ErrBrokerClosed) {
						return
					}
					if err != nil || done {
						t.Errorf("node %d: error %v, closed: %t", i, err, done)
						return
					}
				}
			})
		}
	}
	defer wg.Wait()
	defer func() {
		for i, n := range c.nodes {
			n.close()
			closed[i].Store(true)
		}
	}()
	for _, n := range c.nodes {
		n.awaitCount(broadcasts, 20)
	}
}

// useAll does one round of what a router does for a client.
func useAll(ctx context.Context, n *node, worker, round int) error {
	name := fmt.Sprint("room ", (worker+round)%3)
	who := occupant(fmt.Sprint("user ", worker), uint64(worker+1))
	if _, err := n.Subscribe(ctx, room(name), router.Keep{}); err != nil {
		return fmt.Errorf("calling Subscribe: %w", err)
	}
	defer n.Unsubscribe(room(name))
	if _, err := n.Enter(ctx, name, who); err != nil {
		return fmt.Errorf("calling Enter: %w", err)
	}
	for _, to := range []router.Topic{room(name), user(who.User), broadcasts} {
		if _, err := n.Publish(ctx, message(to)); err != nil {
			return fmt.Errorf("calling Publish: %w", err)
		}
	}
	if _, err := n.Present(ctx, name, 2, ""); err != nil {
		return fmt.Errorf("calling Present: %w", err)
	}
	if _, err := n.Leave(ctx, name, who); err != nil {
		return fmt.Errorf("calling Leave: %w", err)
	}
	if err := n.Health(ctx); err != nil {
		return fmt.Errorf("calling Health: %w", err)
	}
	return nil
}
