package brokertest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"sluice/router"
)

var deliveryTests = []test{
	{"a room's message reaches every subscribed node once, the publisher's included", 3, func(t *testing.T, c *cluster) {
		reachesAll(c, room("lobby"))
	}},
	{"a direct message reaches every node of its target once", 3, func(t *testing.T, c *cluster) {
		reachesAll(c, user("ann"))
	}},
	{"a node need not subscribe to publish", 2, func(t *testing.T, c *cluster) {
		c.nodes[1].subscribe(room("lobby"))
		c.nodes[1].wants(room("lobby"), c.nodes[0].send(room("lobby")))
	}},
	{"a node without a subscription gets nothing", 2, func(t *testing.T, c *cluster) {
		for _, topic := range []router.Topic{room("lobby"), user("ann")} {
			c.nodes[0].subscribe(topic)
			c.nodes[0].await(c.nodes[1].send(topic))
			c.nodes[1].subscribe(topic)
			c.nodes[1].wants(topic, c.nodes[0].send(topic))
		}
	}},
	{"a message that nobody subscribes to is accepted", 1, func(t *testing.T, c *cluster) {
		c.nodes[0].send(room("nobody"))
		c.nodes[0].send(user("nobody"))
	}},
	{"a room and a user of one name are two topics", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		n.subscribe(room("ann"))
		n.send(user("ann"))
		n.await(n.send(room("ann")))
		n.subscribe(user("ann"))
		n.send(room("ann"))
		n.wants(user("ann"), n.send(user("ann")))
	}},
	{"a message arrives as it was published", 2, arrivesUnchanged},
	{"content of 1 MiB arrives whole", 2, func(t *testing.T, c *cluster) {
		c.subscribe(room("lobby"))
		m := message(room("lobby"))
		m.Content = fmt.Appendf(nil, `"%s"`, strings.Repeat("0123456789abcdef", 1<<16))
		c.nodes[0].publish(m)
		for _, n := range c.nodes {
			same(n, m)
		}
	}},
}

// reachesAll checks that all subscribed nodes get what any of them publishes.
func reachesAll(c *cluster, topic router.Topic) {
	c.t.Helper()
	c.subscribe(topic)
	var sent []*router.Message
	for _, n := range c.nodes {
		m := n.send(topic)
		for _, other := range c.nodes {
			other.await(m)
		}
		sent = append(sent, m)
	}
	for _, n := range c.nodes {
		n.wants(topic, sent...)
	}
}

func arrivesUnchanged(t *testing.T, c *cluster) {
	c.subscribe(room("lobby"))
	c.subscribe(user("bob"))
	info, content := []byte(`{"name":"Ann"}`), []byte("{\"a\" : [1e400, \"\\u0000\u2028 \xf0\x9f\x8c\x8a\"],\n\t\"b\":0.10, \"a\":null}")
	for _, m := range []*router.Message{
		{Kind: router.RoomMessage, Room: "lobby", From: "ann", Conn: math.MaxUint64, Info: info, Content: content},
		{Kind: router.RoomMessage, Room: "lobby", From: "ann", Conn: 1, Content: []byte("0"), Key: "a key: \x01 \xf0\x9f\x8c\x8a"},
		{Kind: router.RoomMessage, Room: "lobby", From: "a node's own", Content: []byte(`""`)},
		{Kind: router.UserJoined, Room: "lobby", From: "ann", Conn: 1 << 53, Info: info},
		{Kind: router.UserLeft, Room: "lobby", From: "ann", Conn: 1<<53 + 1},
		{Kind: router.DirectMessage, Target: "bob", From: "ann", Conn: 7, Info: info, Content: content},
		{Kind: router.BroadcastMessage, From: "ann", Conn: 8, Info: info, Content: content},
		{Kind: router.UserConnected, From: "ann", Conn: 9, Info: info},
		{Kind: router.UserDisconnected, From: "ann", Conn: 10},
	} {
		m.ID = message(broadcasts).ID
		c.nodes[0].publish(m)
		for _, n := range c.nodes {
			same(n, m)
		}
	}
}

// same checks that m arrives, and is the same in all but what a broker that
// keeps history adds.
func same(n *node, m *router.Message) {
	n.t.Helper()
	n.await(m)
	all, _ := n.arrived(topicOf(m))
	got := all[len(all)-1]
	if got.Kind != m.Kind || got.ID != m.ID || got.Room != m.Room || got.Target != m.Target || got.From != m.From ||
		got.Conn != m.Conn || got.Key != m.Key || !bytes.Equal(got.Info, m.Info) || !bytes.Equal(got.Content, m.Content) {
		n.t.Errorf("node %d: arrived %.300s, want %.300s", n.index, show(got), show(m))
	}
}

func show(m *router.Message) string {
	return fmt.Sprintf("{Kind:%d ID:%q Room:%q Target:%q From:%q Conn:%d Key:%q Info:%q Content(%d):%q}",
		m.Kind, m.ID, m.Room, m.Target, m.From, m.Conn, m.Key, m.Info, len(m.Content), m.Content)
}

var broadcastTests = []test{
	{"a broadcast reaches every node once without a subscription", 3, func(t *testing.T, c *cluster) {
		reachesAll(c, broadcasts)
	}},
	{"announcements of users are broadcasts", 2, func(t *testing.T, c *cluster) {
		for _, kind := range []router.MessageKind{router.UserConnected, router.UserDisconnected} {
			m := message(broadcasts)
			m.Kind = kind
			c.nodes[0].publish(m)
			for _, n := range c.nodes {
				n.await(m)
			}
		}
	}},
}

// names are what rooms and users may be called: up to 255 bytes of UTF-8 without
// control characters.
var names = []string{
	"a", "A", "a ", " a", "a:b", "a:", ":a", "{a}", "{a}:b", "}{", "*", "a*", "[a]", "?", `\`, `"`, "'", "%", "%s", "$1", "a/b", "../a",
	"-", "0", "null", "a\u00a0b", "ä", "a\u0308", "日本語", "👩‍👩‍👧", "\u202e", strings.Repeat("x", 255), strings.Repeat("x", 254) + "y", strings.Repeat("語", 85),
}

var nameTests = []test{
	{"every allowed name is a room of its own", 2, func(t *testing.T, c *cluster) { areApart(c, room) }},
	{"every allowed name is a user of its own", 2, func(t *testing.T, c *cluster) { areApart(c, user) }},
	{"every allowed name has a presence of its own", 2, func(t *testing.T, c *cluster) {
		for i, name := range names {
			enter(c.nodes[0], name, name, uint64(i+1))
		}
		for _, name := range names {
			present(c.nodes[1], name, name, 1)
		}
	}},
}

// areApart checks that each name's topic gets its own messages alone.
func areApart(c *cluster, topic func(name string) router.Topic) {
	c.t.Helper()
	for _, name := range names {
		c.subscribe(topic(name))
	}
	sent := make(map[string]*router.Message)
	for _, name := range names {
		sent[name] = c.nodes[0].send(topic(name))
	}
	for _, n := range c.nodes {
		for _, name := range names {
			n.wants(topic(name), sent[name])
		}
	}
}
