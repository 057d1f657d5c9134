package router_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/membroker"
)

func TestDrainClosesEveryConnectionAndRefusesNewOnes(t *testing.T) {
	n := startNode(t, silent)
	var open []*client
	for i := range 20 {
		u := n.as(t, fmt.Sprint("u", i))
		u.join("r")
		open = append(open, u)
	}
	if err := n.Health(t.Context()); err != nil {
		t.Errorf("before: %v", err)
	}
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, u := range open {
		u.closedWith(4200)
	}
	if status, body, h := n.refusal(t, "refusal=close", nil); status != 503 || body.str("code") != "unavailable" || h.Get("Retry-After") == "" {
		t.Errorf("got %d %v", status, body)
	}
	if err := n.Health(t.Context()); !errors.Is(err, router.ErrDraining) {
		t.Errorf("after: %v", err)
	}
	if s := n.Stats(); s.Connections+s.Rooms+s.Users != 0 || s.Closed["4200"] != 20 || s.Refused[router.RefusedDraining] != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestDrainSpreadsItsClosesOverTheWindow(t *testing.T) {
	n := startNode(t, silent, func(o *router.Options, _ *router.Generation) { o.DrainWindow = time.Second })
	const connections = 20
	ends := make(chan time.Time, connections)
	for i := range connections {
		u := n.as(t, fmt.Sprint("u", i))
		go func() {
			for range u.events {
			}
			ends <- time.Now()
		}()
	}
	begun := time.Now()
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := time.Since(begun)
	// The last twentieth has a connection that is closed no earlier than there.
	if last < 900*time.Millisecond {
		t.Errorf("the last was closed after %v", last)
	}
	early := 0
	for range connections {
		if (<-ends).Sub(begun) < last*3/4 {
			early++
		}
	}
	if early == 0 {
		t.Error("all were closed at the end")
	}
}

func TestDrainEndsEarlyWhenNobodyIsLeft(t *testing.T) {
	n := startNode(t, silent, func(o *router.Options, _ *router.Generation) { o.DrainWindow = time.Hour })
	u := n.as(t, "ann")
	drained := make(chan error, 1)
	go func() { drained <- n.Drain(context.Background()) }()
	eventually(t, "it drains", func() bool { return n.Health(t.Context()) != nil })
	u.leaveNow()
	select {
	case err := <-drained:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it waits for its window")
	}
}

func TestDrainClosesTheRestWhenItsContextEnds(t *testing.T) {
	n := startNode(t, silent, func(o *router.Options, _ *router.Generation) { o.DrainWindow = time.Hour })
	u := n.as(t, "ann")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	u.closedWith(4200)
}

func TestConnectsThatRaceWithDrainEndToo(t *testing.T) {
	n := startNode(t, silent)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			ws, _, err := n.dialRaw("", nil)
			if err == nil {
				defer ws.CloseNow()
			}
		}
	}()
	eventually(t, "some have connected", func() bool { return n.Stats().Accepted > 10 })
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-ended
	if s := n.Stats(); s.Connections+s.Users != 0 || s.Closed["4200"] != s.Accepted {
		t.Errorf("%d connections are left; of %d, %d were closed", s.Connections, s.Accepted, s.Closed["4200"])
	}
}

func TestCloseEndsConnectionsWhoseBrokerHangs(t *testing.T) {
	b := &broker{}
	inner := membroker.New()
	hang := make(chan struct{})
	b.subscribe = func(ctx context.Context, topic router.Topic) error {
		if topic.Name != "hung" {
			return nil
		}
		close(hang)
		<-ctx.Done()
		return ctx.Err()
	}
	n := startNodeWith(t, b, inner, silent)
	u := n.as(t, "ann")
	u.send(`{"type":"join_room","room":"hung"}`)
	<-hang
	n.Close() // returns, which is what is shown here
	u.closedWith(4200)
	n.Close() // again
}

// stuckNode has a client that takes nothing, and whose writes would be waited
// for longer than any test.
func stuckNode(t *testing.T) *node {
	n := slowNode(t, router.SlowDropOldest)
	u := n.as(t, "ann")
	u.join("r")
	stuck(t, n, "r")
	flood(t, u, "r", func() bool { return n.Stats().Blocked > 0 && n.Stats().Dropped[router.DroppedOldest] > 0 })
	return n
}

func TestAClientThatDoesNotReadIsGivenUpAtTheEndWhateverTheWriteTimeout(t *testing.T) {
	for name, end := range map[string]func(*node){
		"Drain": func(n *node) {
			if err := n.Drain(context.Background()); err != nil {
				t.Error(err)
			}
		},
		"Close": func(n *node) { n.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			n := stuckNode(t)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				end(n)
			}()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("it waits for the client")
			}
			if s := n.Stats(); s.Connections != 0 || s.Dropped[router.DroppedDiscarded] == 0 {
				t.Errorf("%d connections are left; dropped: %v", s.Connections, s.Dropped)
			}
		})
	}
}
