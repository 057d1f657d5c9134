package router_test

import (
	"testing"

	"sluice/router"
	"sluice/router/membroker"
)

func TestAKeyIsPublishedOnceAndItsRepetitionsAnsweredAlike(t *testing.T) {
	f := newFilters()
	judged := new(recorded)
	f.on(router.HookMessage, judged.hook)
	hub := membroker.NewHub()
	b1, b2 := hub.Node(), hub.Node()
	t.Cleanup(func() { b1.Close(); b2.Close() })
	n1, n2 := startNodeOn(t, b1, silent, withFilters(f), keeping("r", 10)), startNodeOn(t, b2, silent, keeping("r", 10))
	u, again, bob := n1.as(t, "ann"), n2.as(t, "ann"), n1.as(t, "bob")
	for _, c := range []*client{u, again, bob} {
		c.join("r")
	}
	for _, command := range []string{
		`{"type":"room_message","room":"r","content":1,"key":"k","id":1}`,
		`{"type":"chat","content":1,"key":"k","id":1}`,
		`{"type":"direct_message","target_user":"bob","content":1,"key":"k","id":1}`,
	} {
		ack := u.ackOf(command)
		if repeated := u.ackOf(command); repeated.str("message_id") != ack.str("message_id") || repeated.place() != ack.place() {
			t.Errorf("%s: %v, then %v", command, ack, repeated)
		}
		if repeated := again.ackOf(command); repeated.str("message_id") != ack.str("message_id") || repeated.place() != ack.place() {
			t.Errorf("on another node, %s: %v, then %v", command, ack, repeated)
		}
		if e := bob.expect("chat"); e.str("message_id") != ack.str("message_id") {
			t.Errorf("got %v, want what was acked: %v", e, ack)
		}
		bob.quiet()
		if other := u.ackOf(command[:len(command)-len(`"k","id":1}`)] + `"k2","id":1}`); other.str("message_id") == ack.str("message_id") {
			t.Error("another key is the same message")
		}
		bob.expect("chat")
		if command[9:13] == "room" {
			if own := bob.ackOf(command); own.str("message_id") == ack.str("message_id") {
				t.Error("another user's key is the same message")
			}
			bob.quiet()
		}
	}
	if got := len(judged.all()); got != 3*3+1 {
		t.Errorf("the filters of the first node judged %d messages", got)
	}
	if s := n1.Stats(); s.Repeated != 3 || n2.Stats().Repeated != 3 || s.Published["room"] != 3 {
		t.Errorf("%d and %d repetitions, %v published", s.Repeated, n2.Stats().Repeated, s.Published)
	}
}

func TestAClientCannotTakeAKeyOfTheServer(t *testing.T) {
	n := startNode(t, silent, keeping("r", 10))
	u := n.as(t, "server")
	u.join("r")
	ack := u.ackOf(`{"type":"room_message","room":"r","content":1,"key":"k","id":1}`)
	p, err := n.Publish(t.Context(), "r", &router.ServerMessage{Content: []byte(`2`), From: "server", Key: "k"})
	if err != nil || p.Repeated || p.ID == ack.str("message_id") {
		t.Errorf("after a client's message %v with that key the server's is %+v, %v", ack, p, err)
	}
}

// ackOf is the answer to a command with an id; deliveries of the sender's own messages
// are skipped.
func (c *client) ackOf(command string) (ack event) {
	c.t.Helper()
	c.send(command)
	c.send(`{"type":"ping","id":"after"}`)
	for {
		switch e := c.next(); {
		case e.name() == "ack":
			ack = e
		case e.name() == "pong" && ack == nil:
			c.t.Fatalf("%s was not answered", command)
		case e.name() == "pong":
			return ack
		case e.name() != "chat":
			c.t.Fatalf("got %v", e)
		}
	}
}
