package brokertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/router"
)

// keep is more than tests without a bound of their own fill, or wait for.
var keep = router.Keep{Size: 10_000, TTL: 10 * time.Minute}

var historyTests = []test{
	{"a room's messages have offsets from 1 on, in receipts and deliveries", 2, func(t *testing.T, c *cluster) {
		c.subscribe(room("lobby"))
		first := c.nodes[0].say("lobby", keep)
		for i := range 10 {
			at := c.nodes[i%2].say("lobby", keep).Position
			if want := (router.Position{Epoch: first.Epoch, Offset: uint64(i + 2)}); at != want {
				t.Errorf("the receipt of message %d says %+v, want %+v", i+2, at, want)
			}
		}
		for _, n := range c.nodes {
			n.inOrder("lobby", first.Epoch, 11)
		}
	}},
	{"offsets have no holes under many publishers, and every node sees them in order", 2, offsetsUnderLoad},
	{"history has the messages as they were delivered", 2, readsBack},
	{"a page begins behind a position, or ends before an offset", 1, historyPages},
	{"a page of at most MaxBytes has at least one message", 1, historyBytes},
	{"a page without a limit is refused", 1, func(t *testing.T, c *cluster) {
		if _, err := c.nodes[0].History(t.Context(), "lobby", router.HistoryQuery{}); err == nil {
			t.Error("a page of 0 messages was granted")
		}
	}},
	{"the newest messages are kept, and who missed others is told", 2, trims},
	{"another size takes effect with the next message", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		for i, size := range []int{10, 10, 10, 10, 2, 10, 10, 1, 10} {
			n.say("lobby", router.Keep{Size: size, TTL: time.Minute})
			page := n.page("lobby", router.HistoryQuery{Limit: 100})
			if want := []int{1, 2, 3, 4, 2, 3, 4, 1, 2}[i]; len(page.Messages) != want {
				t.Errorf("after message %d, of size %d, there are %d, want %d", i+1, size, len(page.Messages), want)
			}
		}
	}},
	{"all messages end with the TTL of the last, and who missed some is told", 2, ends},
	{"a message lets those before it live on", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		n.say("lobby", router.Keep{Size: 10, TTL: 100 * time.Millisecond})
		last := n.say("lobby", router.Keep{Size: 10, TTL: 10 * time.Minute})
		time.Sleep(200 * time.Millisecond) // until the first one's TTL, which no longer counts, is over
		page := n.page("lobby", router.HistoryQuery{Limit: 10})
		if len(page.Messages) == 0 || page.Newest != last.Position {
			t.Errorf("there are %d messages and the newest is at %+v, want that at %+v", len(page.Messages), page.Newest, last.Position)
		}
	}},
	{"only a room's messages with a Keep have a place in its history", 2, placeless},
	{"a room in which nothing was kept has an empty page and no position", 2, func(t *testing.T, c *cluster) {
		for _, n := range c.nodes {
			n.subscribe(room("lobby"))
			n.await(n.send(room("lobby")))
			if at, err := n.Subscribe(t.Context(), room("lobby"), router.Keep{}); err != nil || at != (router.Position{}) {
				t.Errorf("Subscribe: %+v, %v; want no position", at, err)
			}
			for _, q := range []router.HistoryQuery{{Limit: 1}, {Limit: 1, After: &router.Position{}}, {Limit: 1, After: &router.Position{Epoch: "x", Offset: 1}}} {
				if page := n.page("lobby", q); page.Newest != (router.Position{}) || len(page.Messages) > 0 || page.More || page.Gapless {
					t.Errorf("the page is %+v, want an empty one", page)
				}
			}
		}
	}},
	{"whoever subscribes first with a Keep begins the history", 2, func(t *testing.T, c *cluster) {
		at := c.nodes[0].subscribeKept("lobby", keep)
		if at.Epoch == "" || at.Offset != 0 {
			t.Errorf("the first subscriber's position is %+v, want offset 0 of an epoch", at)
		}
		for _, k := range []router.Keep{keep, {}} {
			if other := c.nodes[1].subscribeKept("lobby", k); other != at {
				t.Errorf("a subscriber's position with %+v is %+v, want %+v", k, other, at)
			}
		}
		if r := c.nodes[1].say("lobby", keep); r.Epoch != at.Epoch || r.Offset != 1 {
			t.Errorf("the first message is at %+v, want offset 1 of epoch %s", r.Position, at.Epoch)
		}
		c.nodes[0].inOrder("lobby", at.Epoch, 1)
	}},
	{"Subscribe tells where the room's newest message is", 2, func(t *testing.T, c *cluster) {
		for range 20 {
			last := c.nodes[0].say("lobby", keep).Position
			for _, k := range []router.Keep{keep, {}} {
				if at := c.nodes[1].subscribeKept("lobby", k); at != last {
					t.Errorf("the position with %+v is %+v, want %+v", k, at, last)
				}
				c.nodes[1].Unsubscribe(room("lobby"))
			}
		}
	}},
	{"position, deliveries and history together have each message once", 2, seam},
	{"every allowed name has a history of its own", 2, func(t *testing.T, c *cluster) {
		sent := make(map[string]router.Receipt)
		for _, name := range names {
			sent[name] = c.nodes[0].say(name, keep)
		}
		for _, name := range names {
			page := c.nodes[1].page(name, router.HistoryQuery{Limit: 10})
			if len(page.Messages) != 1 || page.Messages[0].ID != sent[name].ID || page.Messages[0].Room != name {
				t.Errorf("room %q: the history is %v, want %s", name, ids(page.Messages), sent[name].ID)
			}
		}
	}},
}

// say publishes a new message to a room with a history.
func (n *node) say(name string, k router.Keep) router.Receipt {
	n.t.Helper()
	m := message(room(name))
	m.Keep = k
	r, err := n.Publish(n.t.Context(), m)
	if err != nil || r.ID != m.ID || r.Repeated || r.Epoch == "" || r.Offset == 0 {
		n.t.Errorf("node %d: Publish: %+v, %v; want the id %s and a position", n.index, r, err, m.ID)
	}
	return r
}

func (n *node) subscribeKept(name string, k router.Keep) router.Position {
	n.t.Helper()
	at, err := n.Subscribe(n.t.Context(), room(name), k)
	if err != nil {
		n.t.Errorf("node %d: Subscribe: %v", n.index, err)
	}
	return at
}

func (n *node) page(name string, q router.HistoryQuery) router.HistoryPage {
	n.t.Helper()
	page, err := n.History(n.t.Context(), name, q)
	if err != nil {
		n.t.Errorf("node %d: History: %v", n.index, err)
	}
	return page
}

// inOrder waits for this many messages, and checks that their offsets are 1, 2, …
func (n *node) inOrder(name, epoch string, count int) []*router.Message {
	n.t.Helper()
	got := n.awaitCount(room(name), count)
	for i, m := range got {
		if want := (router.Position{Epoch: epoch, Offset: uint64(i + 1)}); m.Position != want {
			n.t.Fatalf("node %d: message %d of room %q is at %+v, want %+v", n.index, i+1, name, m.Position, want)
		}
	}
	return got
}

func offsetsUnderLoad(t *testing.T, c *cluster) {
	const publishers, each = 6, 100
	c.subscribe(room("lobby"))
	var mu sync.Mutex
	said := make(map[router.Position]string)
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for range each {
				r := c.nodes[p%2].say("lobby", keep)
				mu.Lock()
				said[r.Position] = r.ID
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	epoch := c.nodes[0].page("lobby", router.HistoryQuery{Limit: 1}).Newest.Epoch
	for _, n := range c.nodes {
		for _, m := range n.inOrder("lobby", epoch, publishers*each) {
			if said[m.Position] != m.ID {
				t.Fatalf("node %d: message %s is at %+v, where the receipts have %q", n.index, m.ID, m.Position, said[m.Position])
			}
		}
	}
}

func readsBack(t *testing.T, c *cluster) {
	c.subscribe(room("lobby"))
	large := fmt.Sprintf(`"%s"`, strings.Repeat("0123456789abcdef", 1<<16))
	for _, m := range []*router.Message{
		{Conn: 1<<64 - 1, Info: []byte(`{"name":"Ann"}`), Content: []byte("{\"a\" : [1e400, \"\\u0000\u2028 \xf0\x9f\x8c\x8a\"]}"), Time: 1_700_000_000_123},
		{Content: []byte("0"), Key: "a key"},
		{Content: []byte(large), Time: 1},
	} {
		m.Kind, m.Room, m.From, m.ID, m.Keep = router.RoomMessage, "lobby", "ann", message(broadcasts).ID, keep
		c.nodes[0].publish(m)
	}
	for _, n := range c.nodes {
		delivered := n.awaitCount(room("lobby"), 3)
		page := n.page("lobby", router.HistoryQuery{Limit: 10})
		if len(page.Messages) != 3 || page.More {
			t.Fatalf("node %d: a page of %d messages, more: %t; want 3", n.index, len(page.Messages), page.More)
		}
		for i, m := range page.Messages {
			if show(m) != show(delivered[i]) || m.Time != delivered[i].Time || m.Position != delivered[i].Position {
				t.Errorf("node %d: read %.300s at %+v, delivered was %.300s at %+v", n.index, show(m), m.Position, show(delivered[i]), delivered[i].Position)
			}
		}
	}
}

func trims(t *testing.T, c *cluster) {
	c.subscribe(room("lobby"))
	var epoch string
	for i := range 250 {
		epoch = c.nodes[i%2].say("lobby", router.Keep{Size: 10, TTL: time.Minute}).Epoch
	}
	for _, n := range c.nodes {
		n.inOrder("lobby", epoch, 250)
		if page := n.page("lobby", router.HistoryQuery{Limit: 100}); !covers(page, epoch, 241, 250) || page.More {
			t.Errorf("node %d: %s, want 241 to 250", n.index, showPage(page))
		}
		for after, gapless := range map[uint64]bool{0: false, 100: false, 239: false, 240: true, 245: true, 250: true} {
			page := n.page("lobby", router.HistoryQuery{After: &router.Position{Epoch: epoch, Offset: after}, Limit: 100})
			if !covers(page, epoch, max(after, 240)+1, 250) || page.Gapless != gapless {
				t.Errorf("node %d: behind %d: %s, want gapless: %t", n.index, after, showPage(page), gapless)
			}
		}
	}
}

func ends(t *testing.T, c *cluster) {
	n := c.nodes[0]
	c.subscribe(room("lobby"))
	for range 3 {
		n.say("lobby", router.Keep{Size: 10, TTL: 10 * time.Minute})
	}
	old := n.say("lobby", router.Keep{Size: 10, TTL: 50 * time.Millisecond}).Position
	for _, n := range c.nodes {
		eventually(t, func() error {
			if page := n.page("lobby", router.HistoryQuery{Limit: 10}); len(page.Messages) > 0 || page.More {
				return fmt.Errorf("node %d: %s, want none", n.index, showPage(page))
			}
			return nil
		})
	}
	missed := router.Position{Epoch: old.Epoch, Offset: old.Offset - 1}
	if page := n.page("lobby", router.HistoryQuery{After: &missed, Limit: 10}); page.Gapless || len(page.Messages) > 0 {
		t.Errorf("behind the last message but one, once all have ended: %s", showPage(page))
	}
	// Whether offsets go on or an epoch begins: nobody is told that he missed nothing.
	at := n.say("lobby", keep).Position
	if at.Epoch == old.Epoch && at.Offset != old.Offset+1 {
		t.Errorf("the next message is at %+v, the last one was at %+v", at, old)
	}
	for _, n := range c.nodes {
		page := n.page("lobby", router.HistoryQuery{After: &missed, Limit: 10})
		if len(page.Messages) != 1 || page.Messages[0].Position != at || page.Gapless {
			t.Errorf("node %d: %s, want that at %+v alone, not gapless", n.index, showPage(page), at)
		}
		n.awaitCount(room("lobby"), 5)
	}
}

func placeless(t *testing.T, c *cluster) {
	c.subscribe(room("lobby"))
	c.subscribe(user("lobby"))
	first := c.nodes[0].say("lobby", keep)
	for _, m := range []*router.Message{
		{Kind: router.UserJoined, Room: "lobby", Keep: keep},
		{Kind: router.UserLeft, Room: "lobby"},
		{Kind: router.RoomMessage, Room: "lobby", Content: []byte("1")},
		{Kind: router.DirectMessage, Target: "lobby", Content: []byte("1"), Keep: keep},
		{Kind: router.BroadcastMessage, Content: []byte("1"), Keep: keep},
		{Kind: router.RoomMessage, Room: "lobby", Content: []byte("1"), Keep: router.Keep{TTL: time.Minute}},
	} {
		m.ID, m.From = message(broadcasts).ID, "ann"
		if r, err := c.nodes[1].Publish(t.Context(), m); err != nil || r != (router.Receipt{ID: m.ID}) {
			t.Errorf("Publish of kind %d: %+v, %v; want no position", m.Kind, r, err)
		}
		for _, n := range c.nodes {
			n.await(m)
			got, _ := n.arrived(topicOf(m))
			if p := got[len(got)-1].Position; p != (router.Position{}) {
				t.Errorf("node %d: a message of kind %d was delivered at %+v", n.index, m.Kind, p)
			}
		}
	}
	next := c.nodes[1].say("lobby", keep)
	if next.Epoch != first.Epoch || next.Offset != 2 {
		t.Errorf("the second message of the history is at %+v, want offset 2 of epoch %s", next.Position, first.Epoch)
	}
	page := c.nodes[0].page("lobby", router.HistoryQuery{Limit: 10})
	if !slices.Equal(ids(page.Messages), []string{first.ID, next.ID}) {
		t.Errorf("the history is %v, want %s and %s", ids(page.Messages), first.ID, next.ID)
	}
}
