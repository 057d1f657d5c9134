package brokertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/router"
)

var subscriptionTests = []test{
	{"a subscription lasts until its last reference is taken away", 2, func(t *testing.T, c *cluster) {
		for _, topic := range []router.Topic{room("lobby"), user("ann")} {
			a, b := c.nodes[0], c.nodes[1]
			b.subscribe(topic)
			for range 3 {
				a.subscribe(topic)
			}
			for range 2 {
				a.Unsubscribe(topic)
				a.await(b.send(topic))
			}
			a.Unsubscribe(topic)
			stops(a, b, topic)
			a.subscribe(topic)
			a.await(b.send(topic))
		}
	}},
	{"a reference is a node's own", 2, func(t *testing.T, c *cluster) {
		c.subscribe(room("lobby"))
		c.nodes[0].Unsubscribe(room("lobby"))
		c.nodes[1].await(c.nodes[0].send(room("lobby")))
	}},
	{"taking away a reference that is not there is harmless", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		n.Unsubscribe(room("lobby"))
		n.Unsubscribe(room("lobby"))
		n.subscribe(room("lobby"))
		n.await(n.send(room("lobby")))
	}},
	{"what is published once Subscribe has returned arrives", 2, func(t *testing.T, c *cluster) {
		for i := range 100 {
			topic := room(fmt.Sprint("room ", i))
			if i%2 == 1 {
				topic = user(fmt.Sprint("user ", i))
			}
			c.nodes[i%2].subscribe(topic)
			c.nodes[i%2].await(c.nodes[i/2%2].send(topic))
		}
	}},
	{"what is published once Subscribe has returned arrives, while others come and go", 2, churn},
}

// stops checks that a, without a reference, stops getting what b gets. How
// soon is the broker's affair, so this wants a row of messages that a misses.
func stops(a, b *node, topic router.Topic) {
	a.t.Helper()
	const row = 20
	deadline := time.Now().Add(Patience)
	for missed := 0; missed < row; {
		m := b.send(topic)
		b.await(m)
		if got, _ := a.has(m); got {
			missed = 0
		} else {
			missed++
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("node %d: messages to %+v still arrive %s after the last Unsubscribe", a.index, topic, Patience)
		}
	}
}

// churn has several goroutines per node subscribe to few rooms, check that they
// get a message of their own and of the other node, and leave.
func churn(t *testing.T, c *cluster) {
	const workers, rounds, rooms = 4, 100, 3
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		for w := range workers {
			wg.Go(func() {
				for r := range rounds {
					topic := room(fmt.Sprint("room ", (w+r)%rooms))
					n.subscribe(topic)
					from := c.nodes[(i+r)%len(c.nodes)]
					if m := from.send(topic); !n.arrives(m) {
						t.Errorf("node %d: a message published after Subscribe had returned did not arrive within %s", i, Patience)
						return
					}
					n.Unsubscribe(topic)
				}
			})
		}
	}
	wg.Wait()
}
