package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

// cluster is the nodes of one test.
type cluster struct {
	t     *testing.T
	nodes []*node
	more  NewCluster
}

// node is a broker and its sink.
type node struct {
	router.Broker
	*recorder
	t      *testing.T
	index  int
	closed bool
}

// start makes and starts a cluster, and at the test's end closes it and
// reports what its recorders saw.
func start(t *testing.T, newCluster NewCluster, nodes int) *cluster {
	t.Helper()
	brokers := newCluster(t, nodes)
	if len(brokers) != nodes {
		t.Fatalf("the cluster has %d brokers, want %d", len(brokers), nodes)
	}
	c := &cluster{t: t, more: newCluster}
	for i, b := range brokers {
		c.nodes = append(c.nodes, &node{Broker: b, recorder: newRecorder(i), t: t, index: i})
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			if !n.closed {
				n.close()
			}
			for _, v := range n.broken() {
				t.Errorf("node %d: %s", n.index, v)
			}
		}
	})
	for _, n := range c.nodes {
		if err := n.Start(n.recorder); err != nil {
			t.Fatalf("Start: %v", err)
		}
	}
	return c
}

func (n *node) close() {
	n.t.Helper()
	n.closed = true
	if err := n.Close(); err != nil {
		n.t.Errorf("node %d: Close: %v", n.index, err)
	}
	n.nowClosed()
}

func room(name string) router.Topic { return router.Topic{Name: name} }
func user(name string) router.Topic { return router.Topic{User: true, Name: name} }

var messages atomic.Uint64

// message returns a new message to the topic.
func message(to router.Topic) *router.Message {
	n := messages.Add(1)
	m := &router.Message{
		ID:      fmt.Sprintf("m%d", n),
		From:    "ann",
		Conn:    n,
		Content: fmt.Appendf(nil, `{"n":%d}`, n),
	}
	switch {
	case to == broadcasts:
		m.Kind = router.BroadcastMessage
	case to.User:
		m.Kind, m.Target = router.DirectMessage, to.Name
	default:
		m.Kind, m.Room = router.RoomMessage, to.Name
	}
	return m
}

// subscribe has all nodes subscribe to the topic.
func (c *cluster) subscribe(to router.Topic) {
	c.t.Helper()
	for _, n := range c.nodes {
		n.subscribe(to)
	}
}

func (n *node) subscribe(to router.Topic) {
	n.t.Helper()
	if to == broadcasts {
		return
	}
	if _, err := n.Subscribe(n.t.Context(), to, router.Keep{}); err != nil {
		n.t.Errorf("node %d: Subscribe: %v", n.index, err)
	}
}

// publish publishes m, and returns it.
func (n *node) publish(m *router.Message) *router.Message {
	n.t.Helper()
	r, err := n.Publish(n.t.Context(), m)
	if err != nil {
		n.t.Errorf("node %d: Publish: %v", n.index, err)
	} else if r.ID != m.ID || r.Repeated {
		n.t.Errorf("node %d: the receipt of message %s is %+v", n.index, m.ID, r)
	}
	return m
}

// send publishes a new message to the topic, and returns it.
func (n *node) send(to router.Topic) *router.Message {
	n.t.Helper()
	return n.publish(message(to))
}

// await returns once m has arrived, or ends the test.
func (n *node) await(m *router.Message) {
	n.t.Helper()
	if !n.arrives(m) {
		n.t.Fatalf("node %d: message %s to %+v did not arrive within %s", n.index, m.ID, topicOf(m), Patience)
	}
}

// arrives reports whether m arrives within Patience. Unlike await it may be
// used on any goroutine.
func (n *node) arrives(m *router.Message) bool {
	patience := time.NewTimer(Patience)
	defer patience.Stop()
	for {
		ok, changed := n.has(m)
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-patience.C:
			return false
		}
	}
}

// awaitCount returns the topic's messages once there are at least count.
func (n *node) awaitCount(of router.Topic, count int) []*router.Message {
	n.t.Helper()
	patience := time.NewTimer(Patience)
	defer patience.Stop()
	for {
		got, changed := n.arrived(of)
		if len(got) >= count {
			return got
		}
		select {
		case <-changed:
		case <-patience.C:
			n.t.Fatalf("node %d: %d of %d messages to %+v arrived within %s", n.index, len(got), count, of, Patience)
		}
	}
}

// wants ends with the last of want, and checks that these and no others of the
// topic have arrived, in this order.
func (n *node) wants(of router.Topic, want ...*router.Message) {
	n.t.Helper()
	n.await(want[len(want)-1])
	got, _ := n.arrived(of)
	if !slices.Equal(ids(got), ids(want)) {
		n.t.Errorf("node %d: of %+v arrived %v, want %v", n.index, of, ids(got), ids(want))
	}
}

func ids(messages []*router.Message) []string {
	s := make([]string, len(messages))
	for i, m := range messages {
		s[i] = m.ID
	}
	return s
}

// eventually waits until check is nil. It is for what has no event to wait
// for, such as presence.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", Patience, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// wantErr checks that err is target.
func wantErr(t *testing.T, method string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error %v, want %v", method, err, target)
	}
}
