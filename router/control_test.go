package router_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/membroker"
	"sluice/router/wire"
)

// twoNodes are nodes n1 and n2 on one hub.
func twoNodes(t *testing.T, setups ...setup) (a, b *node) {
	t.Helper()
	hub := membroker.NewHub()
	nodes := make([]*node, 2)
	for i := range nodes {
		broker := hub.Node()
		t.Cleanup(func() { broker.Close() })
		named := func(o *router.Options, _ *router.Generation) { o.NodeID = fmt.Sprint("n", i+1) }
		nodes[i] = startNodeOn(t, broker, append([]setup{silent, named}, setups...)...)
	}
	return nodes[0], nodes[1]
}

// order sends an order that must be accepted.
func (n *node) order(t testing.TB, c router.Control) {
	t.Helper()
	id, err := n.Control(t.Context(), c)
	if err != nil || id == "" {
		t.Fatalf("%+v: order %q, %v", c, id, err)
	}
}

// ordered waits until the node has counted so many orders under the name.
func (n *node) ordered(t testing.TB, name string, want uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d orders are counted as %s", want, name), func() bool { return n.Stats().Orders[name] >= want })
	if got := n.Stats().Orders[name]; got != want {
		t.Errorf("%d orders are counted as %s, want %d", got, name, want)
	}
}

func TestAnOrderToDisconnectReachesEveryNode(t *testing.T) {
	a, b := twoNodes(t)
	annA, annB, bob := a.as(t, "ann"), b.as(t, "ann"), b.as(t, "bob")
	a.order(t, router.Control{Do: router.ControlDisconnect, User: "ann", Until: time.Now().Add(time.Hour), Reason: "gone"})
	for _, ann := range []*client{annA, annB} {
		ann.closedWith(4003)
		if !strings.Contains(ann.ended.Error(), "gone") {
			t.Errorf("the reason is missing: %v", ann.ended)
		}
	}
	bob.quiet()
	for _, n := range []*node{a, b} {
		n.ordered(t, string(router.ControlDisconnect), 1)
		if status, body, _ := n.refusal(t, "client_id=ann", nil); status != 403 || body.str("reason") != "gone" {
			t.Errorf("a new connection of hers: %d %v", status, body)
		}
	}
}

func TestAnOrderWithoutAnEndKeepsNobodyOut(t *testing.T) {
	a, b := twoNodes(t)
	ann := b.as(t, "ann")
	a.order(t, router.Control{Do: router.ControlDisconnect, User: "ann"})
	ann.closedWith(4003)
	b.as(t, "ann").quiet()
}

func TestAnOrderForOneNodeIsCarriedOutThereAlone(t *testing.T) {
	a, b := twoNodes(t)
	here, there := a.as(t, "ann"), b.as(t, "ann")
	a.order(t, router.Control{Do: router.ControlDisconnect, User: "ann", Node: "n2"})
	there.closedWith(4003)
	a.ordered(t, router.OrderElsewhere, 1)
	here.quiet()
	if got := a.Stats().Orders[string(router.ControlDisconnect)]; got != 0 {
		t.Errorf("the other node carried out %d", got)
	}
}

func TestAnOrderTakesAUserOutOfARoomOnEveryNode(t *testing.T) {
	causes := new(recorded)
	a, b := twoNodes(t, withFilters(newFilters().on(router.HookLeave, causes.hook)), withPresence("lobby"))
	var clients []*client
	for _, n := range []*node{a, b, b} {
		c := n.as(t, "ann")
		c.send(`{"type":"join_room","room":"lobby"}`)
		c.until("joined")
		c.send(`{"type":"join_room","room":"other"}`)
		c.until("joined")
		clients = append(clients, c)
	}
	bob := b.as(t, "bob")
	bob.send(`{"type":"join_room","room":"lobby"}`)
	bob.until("joined")

	a.order(t, router.Control{Do: router.ControlRemove, User: "ann", Room: "lobby", Reason: "closed for you"})
	for i, c := range clients {
		left := c.until("left")
		if left.str("room") != "lobby" || left.str("reason") != "closed for you" {
			t.Errorf("connection %d: %v", i, left)
		}
	}
	eventually(t, "the filters have seen three leave", func() bool { return len(causes.all()) == 3 })
	for _, e := range causes.all() {
		if e.Cause != router.CauseRemoved || e.Room != "lobby" || e.User != "ann" {
			t.Errorf("the filters saw %+v", e)
		}
	}
	page, err := a.Present(t.Context(), "lobby", 10, "")
	if err != nil || page.Total != 1 || page.Users[0].User != "bob" {
		t.Errorf("in the room are %+v, %v", page, err)
	}
	// She is still in the other one, and may join again.
	if _, err := b.Publish(t.Context(), "other", &router.ServerMessage{Content: []byte(`1`)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.until("chat")
		c.send(`{"type":"join_room","room":"lobby"}`)
		c.until("joined")
	}
}

func TestAnOrderTakesAUserOutOfAllRooms(t *testing.T) {
	a, b := twoNodes(t)
	ann := b.as(t, "ann")
	rooms := make(map[string]bool)
	for i := range 20 { // more than a connection keeps in a list
		room := fmt.Sprint("room", i)
		rooms[room] = true
		ann.send(`{"type":"join_room","room":"` + room + `"}`)
		ann.until("joined")
	}
	a.order(t, router.Control{Do: router.ControlRemove, User: "ann", AllRooms: true})
	for len(rooms) > 0 {
		left := ann.until("left")
		if !rooms[left.str("room")] {
			t.Fatalf("left %v, with %v to go", left, rooms)
		}
		delete(rooms, left.str("room"))
	}
	eventually(t, "the node has no rooms", func() bool { return b.Stats().Rooms == 0 })
}

func TestAnOrderToReloadReachesEveryNodeAndHoldsUpNoOther(t *testing.T) {
	var loads atomic.Int64
	begun, goOn := make(chan struct{}, 100), make(chan struct{})
	a, b := twoNodes(t, func(o *router.Options, _ *router.Generation) {
		o.Reload = func(context.Context) error {
			loads.Add(1)
			begun <- struct{}{}
			<-goOn
			return nil
		}
	})
	ann := b.as(t, "ann")
	a.order(t, router.Control{Do: router.ControlReload})
	<-begun
	<-begun // on both
	// While they load: another node's users can be disconnected, and further orders
	// to reload come to one reload.
	for range 5 {
		a.order(t, router.Control{Do: router.ControlReload})
	}
	b.order(t, router.Control{Do: router.ControlDisconnect, User: "ann"})
	ann.closedWith(4003)
	b.ordered(t, string(router.ControlDisconnect), 1) // behind the five
	a.ordered(t, string(router.ControlDisconnect), 1)
	close(goOn)
	for _, n := range []*node{a, b} {
		n.ordered(t, string(router.ControlReload), 2)
	}
	if got := loads.Load(); got != 4 {
		t.Errorf("%d reloads, want 2 on each node", got)
	}
}

func TestAReloadThatFailsIsCountedAndLogged(t *testing.T) {
	n := startNode(t, func(o *router.Options, _ *router.Generation) {
		o.Reload = func(context.Context) error { return errors.New("line 7 is wrong") }
	})
	n.order(t, router.Control{Do: router.ControlReload})
	n.ordered(t, router.OrderFailed, 1)
	eventually(t, "it is logged", func() bool { return strings.Contains(n.logs.String(), "line 7 is wrong") })

	none := startNode(t)
	none.order(t, router.Control{Do: router.ControlReload})
	none.ordered(t, router.OrderFailed, 1)
	eventually(t, "it is logged", func() bool { return strings.Contains(none.logs.String(), "cannot reload") })
}

func TestWhatIsNoOrderIsCountedLoggedAndHarmsNobody(t *testing.T) {
	hub := membroker.NewHub()
	broker, stranger := hub.Node(), hub.Node()
	t.Cleanup(func() { broker.Close(); stranger.Close() })
	n := startNodeOn(t, broker, silent)
	if err := stranger.Start(deaf{}); err != nil {
		t.Fatal(err)
	}
	ann := n.as(t, "ann")
	past, future := time.Now().Add(-time.Minute).UnixMilli(), time.Now().Add(time.Hour).UnixMilli()
	want := make(map[string]uint64)
	for _, c := range []struct{ content, counted string }{
		{``, router.OrderMalformed},
		{`null`, router.OrderUnknown},
		{`[]`, router.OrderMalformed},
		{`{"do":"disconnect","user":"ann"`, router.OrderMalformed},
		{`{"do":"disconnect","user":"ann"} {}`, router.OrderMalformed},
		{`{"do":"disconnect","user":7}`, router.OrderMalformed},
		{`{"do":"disconnect","user":"ann","only_if":"idle"}`, router.OrderMalformed},
		{`{"do":"disconnect"}`, router.OrderMalformed},
		{`{"do":"disconnect","user":"ann","tag":"x"}`, router.OrderMalformed},
		{`{"do":"disconnect","user":"a\u0000b"}`, router.OrderMalformed},
		{`{"do":"disconnect","user":"ann","room":"lobby"}`, router.OrderMalformed},
		{`{"do":"disconnect","user":"ann","reason":"` + strings.Repeat("x", 600) + `"}`, router.OrderMalformed},
		{`{"do":"disconnect","user":"ann","reason":"` + strings.Repeat("x", 1<<20) + `"}`, router.OrderMalformed},
		{fmt.Sprintf(`{"do":"disconnect","user":"ann","until":%d}`, past), router.OrderExpired},
		{`{"do":"disconnect","user":"ann","until":-9223372036854775808}`, router.OrderExpired},
		{`{"do":"remove","user":"ann"}`, router.OrderMalformed},
		{`{"do":"remove","user":"ann","room":"lobby","all_rooms":true}`, router.OrderMalformed},
		{fmt.Sprintf(`{"do":"reload","until":%d}`, future), router.OrderMalformed},
		{`{"do":"reload","node":"n 1"}`, router.OrderElsewhere},
		{`{"do":"shut_down"}`, router.OrderUnknown},
		{`{"do":"disconnect","user":"ann","node":"` + strings.Repeat("n", 32) + `"}`, router.OrderElsewhere},
	} {
		m := &router.Message{Kind: router.ControlMessage, ID: "x", From: "stranger", Content: []byte(c.content)}
		if _, err := stranger.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		want[c.counted]++
	}
	for name, count := range want {
		n.ordered(t, name, count)
	}
	ann.quiet()
	s := n.Stats()
	for _, name := range []router.ControlDo{router.ControlDisconnect, router.ControlRemove, router.ControlReload} {
		if got := s.Orders[string(name)]; got != 0 {
			t.Errorf("%d were carried out as %s", got, name)
		}
	}
	logged := strings.Count(n.logs.String(), "an order was not carried out")
	if logged == 0 || logged > 10 {
		t.Errorf("%d of %d were logged, want a few", logged, len(want))
	}
}

// deaf is the sink of a node that only publishes.
type deaf struct{}

func (deaf) Deliver(*router.Message)   {}
func (deaf) Describe() router.NodeInfo { return router.NodeInfo{ID: "deaf"} }

func TestAnOrderThatMakesNoSenseIsRefusedWithTheCause(t *testing.T) {
	n := startNode(t)
	long := strings.Repeat("x", 2000)
	for _, c := range []struct {
		order router.Control
		says  string
	}{
		{router.Control{}, "unknown order"},
		{router.Control{Do: "reboot"}, `"reboot"`},
		{router.Control{Do: router.ControlDisconnect}, "name one of user, token and tag"},
		{router.Control{Do: router.ControlDisconnect, User: "a", Tag: "b"}, "name one of user, token and tag"},
		{router.Control{Do: router.ControlDisconnect, User: "a\n"}, "control character"},
		{router.Control{Do: router.ControlDisconnect, Tag: long}, "1024 bytes"},
		{router.Control{Do: router.ControlDisconnect, TokenID: "\xff"}, "valid UTF-8"},
		{router.Control{Do: router.ControlDisconnect, User: "a", Until: time.Unix(1, 0)}, "which has passed"},
		{router.Control{Do: router.ControlDisconnect, User: "a", Reason: long}, "500 bytes"},
		{router.Control{Do: router.ControlDisconnect, User: "a", Node: "no such/name"}, "not the id of a node"},
		{router.Control{Do: router.ControlDisconnect, User: "a", Room: "r"}, "belong to remove"},
		{router.Control{Do: router.ControlRemove, User: "a"}, "name one room, or set all_rooms"},
		{router.Control{Do: router.ControlRemove, User: "a", Room: "r", AllRooms: true}, "name one room"},
		{router.Control{Do: router.ControlRemove, Room: "r"}, "user must not be empty"},
		{router.Control{Do: router.ControlRemove, User: "a", Room: long}, "255 bytes"},
		{router.Control{Do: router.ControlRemove, User: "a", Room: "r", Tag: "t"}, "belong to disconnect"},
		{router.Control{Do: router.ControlReload, User: "a"}, "takes no user"},
	} {
		_, err := n.Control(t.Context(), c.order)
		var refused *router.ServerError
		if !errors.As(err, &refused) || refused.Code != wire.BadRequest || !strings.Contains(refused.Reason, c.says) {
			t.Errorf("%+v: %v", c.order, err)
		}
	}
	for name, count := range n.Stats().Orders {
		if count != 0 {
			t.Errorf("%d were sent all the same, as %s", count, name)
		}
	}
}

func TestAnOrderIsRefusedAtOnceWhileTheBrokerIsAway(t *testing.T) {
	b := &broker{publish: func(*router.Message) error { return fmt.Errorf("shard 2: %w", router.ErrUnavailable) }}
	n := startNodeWith(t, b, membroker.New())
	_, err := n.Control(t.Context(), router.Control{Do: router.ControlReload})
	var refused *router.ServerError
	if !errors.As(err, &refused) || refused.Code != wire.Unavailable || refused.RetryAfter <= 0 || !strings.Contains(refused.Reason, "shard 2") {
		t.Errorf("got %v", err)
	}
}

func FuzzAnOrderFromAnyoneNeverHarmsTheNode(f *testing.F) {
	f.Add([]byte(`{"do":"disconnect","user":"ann","until":1}`))
	f.Add([]byte(`{"do":"remove","user":"ann","room":"lobby","reason":"x"}`))
	f.Add([]byte(`{"do":"reload","node":"n1"}`))
	f.Add([]byte(`{"do":"disconnect","tag":"\ud800","all_rooms":false}`))
	broker := membroker.New()
	f.Cleanup(func() { broker.Close() })
	n := startNodeOn(f, broker, silent)
	var sent uint64
	f.Fuzz(func(t *testing.T, content []byte) {
		before := total(n.Stats().Orders)
		n.Deliver(&router.Message{Kind: router.ControlMessage, Content: content})
		sent++
		eventually(t, "the order is counted", func() bool { return total(n.Stats().Orders) > before })
		if s := n.Stats(); s.Panics != 0 {
			t.Fatalf("%d panics after %d orders: %s", s.Panics, sent, n.logs)
		}
	})
}

func total(counts map[string]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
