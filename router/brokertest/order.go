package brokertest

import (
	"slices"
	"sync"
	"testing"

	"sluice/router"
)

var orderTests = func() []test {
	var tests []test
	for _, o := range []struct {
		name  string
		topic router.Topic
	}{
		{"a room", room("lobby")},
		{"a user's direct messages", user("ann")},
		{"the broadcasts", broadcasts},
	} {
		tests = append(tests,
			test{"messages of one publisher to " + o.name + " arrive in their order", 2, func(t *testing.T, c *cluster) {
				publisherOrder(c, o.topic)
			}},
			test{"messages of many publishers to " + o.name + " arrive in one order everywhere", 3, func(t *testing.T, c *cluster) {
				totalOrder(c, o.topic)
			}},
		)
	}
	return append(tests, test{"announcements of a room are in the order of its messages", 2, announcementOrder})
}()

func publisherOrder(c *cluster, topic router.Topic) {
	c.t.Helper()
	c.subscribe(topic)
	var sent []*router.Message
	for range 1000 {
		sent = append(sent, c.nodes[0].send(topic))
	}
	for _, n := range c.nodes {
		got := n.awaitCount(topic, len(sent))
		if !slices.Equal(ids(got), ids(sent)) {
			c.t.Errorf("node %d: the messages arrived in another order, or others did", n.index)
		}
	}
}

func totalOrder(c *cluster, topic router.Topic) {
	c.t.Helper()
	const publishers, each = 4, 150 // publishers per node
	c.subscribe(topic)
	sent := make([][]*router.Message, publishers*len(c.nodes))
	var wg sync.WaitGroup
	for i := range sent {
		wg.Go(func() {
			for range each {
				sent[i] = append(sent[i], c.nodes[i%len(c.nodes)].send(topic))
			}
		})
	}
	wg.Wait()

	var first []string
	for i, n := range c.nodes {
		got := ids(n.awaitCount(topic, each*len(sent)))
		if i == 0 {
			first = got
		} else if !slices.Equal(got, first) {
			c.t.Errorf("node %d saw another order than node 0", i)
		}
	}
	place := make(map[string]int)
	for i, id := range first {
		place[id] = i
	}
	for i := range sent {
		if !slices.IsSortedFunc(ids(sent[i]), func(a, b string) int { return place[a] - place[b] }) {
			c.t.Errorf("publisher %d's messages arrived in another order than his", i)
		}
	}
}

func announcementOrder(t *testing.T, c *cluster) {
	c.subscribe(room("lobby"))
	var sent []*router.Message
	for i := range 300 {
		m := message(room("lobby"))
		m.Kind = []router.MessageKind{router.UserJoined, router.RoomMessage, router.UserLeft}[i%3]
		sent = append(sent, c.nodes[0].publish(m))
	}
	for _, n := range c.nodes {
		n.wants(room("lobby"), sent...)
	}
}
