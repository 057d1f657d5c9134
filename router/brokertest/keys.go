package brokertest

import (
	"strings"
	"sync"
	"testing"

	"sluice/router"
)

// keyed are the messages that may have keys, each with the topic that it goes to.
var keyed = []struct {
	name  string
	topic router.Topic
	keep  router.Keep
}{
	{"a room's", room("lobby"), router.Keep{}},
	{"a room's with a history", room("library"), keep},
	{"a direct", user("bob"), router.Keep{}},
	{"a broadcast", broadcasts, router.Keep{}},
}

var keyTests = []test{
	{"a message that repeats a key gets the first receipt, and is not delivered", 2, repeats},
	{"of messages that repeat each other at the same time one is delivered", 2, repeatsAtOnce},
	{"a key is its sender's, its kind's and its target's", 2, keysApart},
	{"any text is a key of its own", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		n.subscribe(room("lobby"))
		var sent []*router.Message
		for _, key := range append([]string{"\x00", "\n", "a\x00b", "\xff", strings.Repeat("y", 64)}, names...) {
			m := message(room("lobby"))
			m.Key = key
			sent = append(sent, n.publish(m))
		}
		n.wants(room("lobby"), sent...)
	}},
	{"messages without a key do not repeat each other", 2, func(t *testing.T, c *cluster) {
		c.subscribe(room("lobby"))
		var sent []*router.Message
		for i := range 4 {
			m := message(room("lobby"))
			m.Content, m.Conn = []byte("1"), 1
			sent = append(sent, c.nodes[i%2].publish(m))
			c.nodes[0].await(m)
		}
		for _, n := range c.nodes {
			n.wants(room("lobby"), sent...)
		}
	}},
}

func keyedMessage(to router.Topic, k router.Keep, key string) *router.Message {
	m := message(to)
	m.Key, m.Keep = key, k
	return m
}

// again publishes m, which repeats a message with that receipt.
func (n *node) again(m *router.Message, first router.Receipt) {
	n.t.Helper()
	first.Repeated = true
	if r, err := n.Publish(n.t.Context(), m); err != nil || r != first {
		n.t.Errorf("node %d: the receipt of a repetition is %+v, %v; want %+v", n.index, r, err, first)
	}
}

func repeats(t *testing.T, c *cluster) {
	for _, k := range keyed {
		c.subscribe(k.topic)
		m := keyedMessage(k.topic, k.keep, "a key")
		first, err := c.nodes[0].Publish(t.Context(), m)
		if err != nil || first.ID != m.ID || first.Repeated || (first.Offset == 1) != (k.keep.Size > 0) {
			t.Errorf("%s message: the receipt is %+v, %v", k.name, first, err)
		}
		for i := range 6 {
			c.nodes[i%2].again(keyedMessage(k.topic, k.keep, "a key"), first)
		}
		// A retry without the history's bounds, as after a change of configuration.
		c.nodes[1].again(keyedMessage(k.topic, router.Keep{}, "a key"), first)
		last := keyedMessage(k.topic, k.keep, "another key")
		r, err := c.nodes[1].Publish(t.Context(), last)
		if err != nil || r.ID != last.ID || r.Repeated || (r.Offset == 2) != (k.keep.Size > 0) {
			t.Errorf("%s message with another key: the receipt is %+v, %v", k.name, r, err)
		}
		for _, n := range c.nodes {
			n.wants(k.topic, m, last)
		}
	}
}

func repeatsAtOnce(t *testing.T, c *cluster) {
	const rounds, publishers = 30, 6
	for _, k := range keyed {
		c.subscribe(k.topic)
		for round := range rounds {
			key := strings.Repeat("k", round+1)
			receipts := make([]router.Receipt, publishers)
			sent := make([]*router.Message, publishers)
			var wg sync.WaitGroup
			for p := range publishers {
				sent[p] = keyedMessage(k.topic, k.keep, key)
				wg.Go(func() {
					var err error
					if receipts[p], err = c.nodes[p%2].Publish(t.Context(), sent[p]); err != nil {
						t.Errorf("Publish: %v", err)
					}
				})
			}
			wg.Wait()
			var first *router.Message
			for p, r := range receipts {
				if !r.Repeated {
					if first != nil {
						t.Fatalf("%s messages: two that repeat each other were accepted", k.name)
					}
					first = sent[p]
				}
				if r.ID != receipts[0].ID || r.Position != receipts[0].Position {
					t.Fatalf("%s messages that repeat each other have receipts %+v and %+v", k.name, receipts[0], r)
				}
			}
			if first == nil || first.ID != receipts[0].ID {
				t.Fatalf("%s messages that repeat each other: receipts %+v, want one of them to be the first", k.name, receipts)
			}
			for _, n := range c.nodes {
				n.await(first)
				if got, _ := n.arrived(k.topic); len(got) != round+1 {
					t.Fatalf("node %d: %s message was delivered with its repetition", n.index, k.name)
				}
			}
		}
	}
}

func keysApart(t *testing.T, c *cluster) {
	c.subscribe(room("lobby"))
	c.subscribe(room("attic"))
	c.subscribe(user("lobby"))
	c.subscribe(user("attic"))
	change := func(m *router.Message, f func(m *router.Message)) *router.Message {
		f(m)
		return m
	}
	all := []*router.Message{
		message(room("lobby")), message(room("attic")), message(user("lobby")), message(user("attic")), message(broadcasts),
		change(message(room("lobby")), func(m *router.Message) { m.From = "bob" }),
		change(message(user("lobby")), func(m *router.Message) { m.From = "bob" }),
		change(message(broadcasts), func(m *router.Message) { m.From = "bob" }),
		change(message(room("lobby")), func(m *router.Message) { m.Kind = router.UserJoined }),
		change(message(broadcasts), func(m *router.Message) { m.Kind = router.UserConnected }),
		change(message(room("lobby")), func(m *router.Message) { m.From = "annk" }), // with the key: "annk" "k" is not "ann" "kk"
	}
	for i, m := range all {
		m.Key = "k"
		if i%2 == 0 {
			m.Keep = keep
		}
		c.nodes[i%2].publish(m)
		for _, n := range c.nodes {
			n.await(m)
		}
	}
	m := message(room("lobby"))
	m.Key = "kk"
	c.nodes[0].publish(m)
	c.nodes[1].await(m)
}
