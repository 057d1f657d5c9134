package router

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router/socket"
	"sluice/router/wire"
)

func TestAGroupsSnapshotIsNotDisturbedByLaterArrivalsAndDepartures(t *testing.T) {
	g := &group{}
	present := map[*member]bool{}
	var all []*member
	for range 5000 {
		snapshot := g.snapshot()
		kept := append([]*member(nil), snapshot...)
		if len(all) == 0 || rand.IntN(5) < 3 {
			m := &member{group: g}
			g.add(m)
			all = append(all, m)
			present[m] = true
		} else {
			i := rand.IntN(len(all))
			m := all[i]
			all[i] = all[len(all)-1]
			all = all[:len(all)-1]
			if left := g.remove(m); left != len(all) {
				t.Fatalf("%d are left, want %d", left, len(all))
			}
			delete(present, m)
			if g.remove(m) != len(all) {
				t.Fatal("it left twice")
			}
		}
		for i := range kept {
			if snapshot[i] != kept[i] {
				t.Fatal("a snapshot changed")
			}
		}
		seen := 0
		for _, m := range g.snapshot() {
			if m.state.Load() != gone {
				if !present[m] {
					t.Fatal("a stranger is in the group")
				}
				seen++
			}
		}
		if seen != len(present) || g.size() != seen || len(g.snapshot()) > 2*seen+1 {
			t.Fatalf("%d of %d members, in a list of %d", seen, len(present), len(g.snapshot()))
		}
	}
}

func TestDeliveriesToAJoiningMemberWaitAndKeepTheirOrder(t *testing.T) {
	g := &group{}
	m := &member{group: g}
	g.add(m)
	item := func(tag int) *delivery {
		return &delivery{item: socket.Item{Frame: socket.NewFrame(0, func(b []byte) []byte { return b }), Tag: tag}}
	}
	for i := range 3 {
		if g.divert(m, item(i), 1<<20) != withheld {
			t.Fatal("a delivery was not held")
		}
	}
	var sent []any
	g.activate(m, standing{}, func(i socket.Item) {
		if i.Tag == 1 && g.divert(m, item(3), 1<<20) != withheld { // one that comes while the held ones are sent
			t.Error("a delivery overtook those that are held")
		}
		sent = append(sent, i.Tag)
	})
	if len(sent) != 4 {
		t.Fatalf("sent %v", sent)
	}
	for i, tag := range sent {
		if tag != i {
			t.Errorf("sent %v", sent)
		}
	}
	if g.divert(m, item(4), 1<<20) != passed {
		t.Error("an active member's delivery was held")
	}
}

func TestTheTableOfAddressesIsBounded(t *testing.T) {
	l := newAddrLimiter()
	now := time.Now()
	for i := range maxAddrs + 10000 {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if l.take(addr, 0.001, now) != 0 {
			t.Fatal("a first handshake was refused")
		}
	}
	if len(l.addrs) > maxAddrs {
		t.Errorf("%d addresses are remembered", len(l.addrs))
	}
	l.take(netip.MustParseAddr("192.0.2.1"), 1, now) // another rate: the table begins anew
	if len(l.addrs) != 1 {
		t.Errorf("%d addresses are remembered", len(l.addrs))
	}
}

func TestAnAddressRegainsItsAllowanceWithTime(t *testing.T) {
	l := newAddrLimiter()
	now, addr := time.Now(), netip.MustParseAddr("192.0.2.1")
	for range 2 {
		if l.take(addr, 2, now) != 0 {
			t.Fatal("refused within the allowance")
		}
	}
	wait := l.take(addr, 2, now)
	if wait < 400*time.Millisecond || wait > 600*time.Millisecond {
		t.Errorf("told to wait %v", wait)
	}
	if l.take(addr, 2, now.Add(wait+time.Millisecond)) != 0 {
		t.Error("refused after the wait")
	}
}

func TestPacingAllowsASecondsWorthAndThenTheRate(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		burst int
	}{{1, 1}, {10, 10}, {0.5, 1}} {
		r := &Router{count: newCounters(), born: time.Now()}
		r.cur.Store(&current{Generation: &Generation{}, limits: Limits{CommandsPerSecond: c.rate}})
		u := &conn{r: r}
		u.closing.Store(true) // so that it does not sleep
		for range c.burst {
			u.pace()
		}
		if n := r.count.slowed.Load(); n != 0 {
			t.Errorf("rate %v: slowed within its burst", c.rate)
		}
		u.pace()
		if n := r.count.slowed.Load(); n != 1 {
			t.Errorf("rate %v: not slowed", c.rate)
		}
	}
}

func TestARuleIsFoundAnewAfterASwap(t *testing.T) {
	r := &Router{}
	first := &ruleSet{}
	first.none.set = first
	r.cur.Store(&current{Generation: &Generation{}, rules: first})
	g := &group{name: "r"}
	for range 2 { // found, then remembered
		if r.rule(g) != &first.none {
			t.Fatal("not the first set's rule")
		}
	}
	p, _ := ParsePattern("r")
	second := &ruleSet{rules: []boundRule{{RoomRule: RoomRule{Match: p, Presence: true}}}}
	second.rules[0].set = second
	r.cur.Store(&current{Generation: &Generation{}, rules: second})
	if !r.rule(g).Presence {
		t.Error("the old rule is remembered")
	}
}

func TestAFanOutHoldsWhatIsForAJoiningMemberAndSkipsOneWhoIsGone(t *testing.T) {
	r, c := crowd(t, 1, RoomRule{Announce: AnnounceOff})
	g := r.rooms.lookup("r")
	late, early := &member{conn: c, group: g}, &member{conn: c, group: g}
	g.add(late)
	g.add(early)
	early.state.Store(gone)
	before := r.count.delivered.Load()
	r.Deliver(&Message{Kind: RoomMessage, Room: "r", Content: []byte("1")})
	if n := r.count.delivered.Load() - before; n != 1 || len(g.waiting[late].items) != 1 || len(g.waiting) != 1 {
		t.Errorf("%d delivered, %d held", n, len(g.waiting[late].items))
	}
	g.activate(late, standing{}, c.sendHeld)
	if n := r.count.delivered.Load() - before; n != 2 {
		t.Errorf("%d delivered", n)
	}
	g.remove(late)
}

// Messages are delivered without a pause while clients join: none may see one
// before joined.
func TestNothingOfARoomIsDeliveredBeforeJoined(t *testing.T) {
	r, _ := crowd(t, 1, RoomRule{Announce: AnnounceOff, Slow: SlowDropOldest})
	server := httptest.NewServer(r)
	defer server.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		m := &Message{Kind: RoomMessage, ID: "m", Room: "r", From: "u", Content: []byte("1")}
		for {
			select {
			case <-stop:
				return
			default:
				r.Deliver(m)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for range 200 {
		ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"join_room","room":"r"}`))
		for _, want := range []string{`"welcome"`, `"joined"`, `"chat"`} {
			if _, b, err := ws.Read(t.Context()); err != nil || !strings.Contains(string(b), want) {
				t.Fatalf("got %s, %v, not %s", b, err, want)
			}
		}
		ws.CloseNow()
	}
}

func TestAFaultWhileAConnectionIsRegisteredLeavesNothingOfIt(t *testing.T) {
	r, _ := crowd(t, 1, RoomRule{Announce: AnnounceOff})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.begin() {
			return
		}
		r.slots.Add(1)
		g, err := r.users.acquire(req.Context(), "nobody", 0)
		if err != nil {
			t.Error(err)
		}
		sock, err := r.engine.Accept(w, req, socket.Options{})
		if err != nil {
			t.Error(err)
		}
		r.start(&handshake{r: r, req: req}, sock, nil, g) // no identity: a fault
	}))
	defer server.Close()
	ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != wire.CloseInternal {
		t.Errorf("the client sees %v, want 1011", err)
	}
	for deadline := time.Now().Add(20 * time.Second); r.slots.Load() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d places are taken, want 1", r.slots.Load())
		}
	}
	if r.engine.Stats().Sockets != 1 || r.everyone.size() != 1 || r.users.lookup("nobody") != nil || r.count.panics.Load() == 0 {
		t.Errorf("%d sockets, %d connections, %d faults", r.engine.Stats().Sockets, r.everyone.size(), r.count.panics.Load())
	}
}

func TestAMessageThatIsNotEndedInTimeEndsTheConnectionWith4008(t *testing.T) {
	r, _ := crowd(t, 1, RoomRule{Announce: AnnounceOff})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.begin() {
			return
		}
		r.slots.Add(1)
		g, err := r.users.acquire(req.Context(), "slow", 0)
		if err != nil {
			t.Error(err)
		}
		sock, err := r.engine.Accept(w, req, socket.Options{MessageTime: time.Millisecond})
		if err != nil {
			t.Error(err)
		}
		r.start(&handshake{r: r, req: req}, sock, &Identity{User: "slow"}, g)
	}))
	defer server.Close()
	ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	message, err := ws.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // fragments, until the connection has ended
		for {
			if _, err := message.Write([]byte(strings.Repeat(" ", 200))); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	for err == nil {
		_, _, err = ws.Read(t.Context())
	}
	if websocket.CloseStatus(err) != 4008 || r.Stats().Lost[LostStalled] != 1 {
		t.Errorf("the client sees %v; lost: %v", err, r.Stats().Lost)
	}
}
