package membroker

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/router"
)

func kept(room string, keep router.Keep) *router.Message {
	return &router.Message{Kind: router.RoomMessage, Room: room, ID: "id", Keep: keep}
}

// say publishes a message to a room with a history.
func say(t testing.TB, n *Node, room string, keep router.Keep) router.Position {
	t.Helper()
	r, err := n.Publish(context.Background(), kept(room, keep))
	if err != nil || r.Epoch == "" {
		t.Fatalf("Publish: %+v, %v", r, err)
	}
	return r.Position
}

func page(t testing.TB, n *Node, room string, q router.HistoryQuery) router.HistoryPage {
	t.Helper()
	p, err := n.History(context.Background(), room, q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// accounted checks that a hub's sum of bytes is that of its histories, and their
// lists agree with their maps.
func accounted(t testing.TB, h *Hub) {
	t.Helper()
	var sum int64
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		listed, use := 0, int64(0)
		for r := s.histories.oldest; r != nil; r = r.newer {
			if s.histories.rooms[r.room] != r || r.used <= use {
				t.Errorf("shard %d: room %q is out of order, or gone", i, r.room)
			}
			use = r.used
			listed++
			own := int64(historyOverhead + len(r.room))
			for _, m := range r.messages {
				own += messageBytes(m)
			}
			if own != r.bytes {
				t.Errorf("room %q is counted with %d bytes, has %d", r.room, r.bytes, own)
			}
			sum += own
		}
		if listed != len(s.histories.rooms) {
			t.Errorf("shard %d: %d histories are listed of %d", i, listed, len(s.histories.rooms))
		}
		s.mu.Unlock()
	}
	if got := h.keeping.bytes.Load(); got != sum {
		t.Errorf("the hub counts %d bytes of history, has %d", got, sum)
	}
}

func TestOverTheBoundRoomsAreForgottenThatWereNotUsedForLongest(t *testing.T) {
	keep := router.Keep{Size: 10, TTL: time.Hour}
	n := started(t, NewHub(Options{HistoryBytes: 64 << 10})) // about 120 rooms of one message
	first := make(map[string]router.Position)
	for i := range 100 {
		room := fmt.Sprint("room ", i)
		first[room] = say(t, n, room, keep)
	}
	// Reading and subscribing are uses too.
	page(t, n, "room 0", router.HistoryQuery{Limit: 1})
	if _, err := n.Subscribe(t.Context(), router.Topic{Name: "room 1"}, router.Keep{}); err != nil {
		t.Fatal(err)
	}
	say(t, n, "room 2", keep)
	for i := range 80 {
		say(t, n, fmt.Sprint("other ", i), keep)
	}
	accounted(t, n.hub)
	for i := range 100 {
		room := fmt.Sprint("room ", i)
		if at := page(t, n, room, router.HistoryQuery{Limit: 1}).Newest; at == (router.Position{}) {
			if i < 3 {
				t.Errorf("%s was used, and forgotten", room)
			}
			if next := say(t, n, room, keep); next.Epoch == first[room].Epoch || next.Offset != 1 {
				t.Errorf("once forgotten, behind %+v came %+v", first[room], next)
			}
			break // that made room, and forgot others
		} else if i > 2 {
			t.Errorf("%s is there, and rooms used later are gone or too many are kept", room)
		}
	}
	accounted(t, n.hub)
	if bytes := n.hub.keeping.bytes.Load(); bytes > 64<<10 {
		t.Errorf("%d bytes are kept", bytes)
	}
	if c := n.Counters()["history_forgotten"]; c < 40 || c > 120 {
		t.Errorf("%d histories were counted as forgotten", c)
	}
}

func TestARoomTakesAtMostAQuarterOfTheMemory(t *testing.T) {
	n := started(t, NewHub(Options{HistoryBytes: 1 << 20}))
	other := say(t, n, "other", router.Keep{Size: 1})
	m := kept("lobby", router.Keep{Size: 1000})
	m.Content = []byte(strings.Repeat("x", 10_000))
	for range 100 {
		if _, err := n.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	p := page(t, n, "lobby", router.HistoryQuery{Limit: 1000})
	if len(p.Messages) != 25 || p.Newest.Offset != 100 {
		t.Errorf("%d messages are kept, the newest at %+v; want 25 of 100", len(p.Messages), p.Newest)
	}
	if after := page(t, n, "lobby", router.HistoryQuery{Limit: 1000, After: &router.Position{Epoch: p.Newest.Epoch, Offset: 74}}); after.Gapless {
		t.Error("who missed a message that was given up is told that he missed nothing")
	}
	if at := page(t, n, "other", router.HistoryQuery{Limit: 1}).Newest; at != other {
		t.Errorf("the other room's newest message is at %+v, want %+v", at, other)
	}
	if c := n.Counters(); c["history_trimmed"] != 75 || c["history_forgotten"] != 0 {
		t.Errorf("counted %v", c)
	}
	// One message is kept whatever it takes, until its room is the one to go.
	m.Content = make([]byte, 400_000)
	if _, err := n.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if p := page(t, n, "lobby", router.HistoryQuery{Limit: 1000}); len(p.Messages) != 1 {
		t.Errorf("of a room with one large message %d are kept", len(p.Messages))
	}
	accounted(t, n.hub)
}

func TestAHistoryEndsAndItsPositionADayLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := started(t, NewHub())
		keep := router.Keep{Size: 10, TTL: time.Minute}
		say(t, n, "lobby", keep)
		time.Sleep(59 * time.Second)
		old := say(t, n, "lobby", keep)
		for range 3 { // reading refreshes nothing
			time.Sleep(20*time.Second - time.Millisecond)
			if p := page(t, n, "lobby", router.HistoryQuery{Limit: 10}); len(p.Messages) != 2 {
				t.Fatalf("%d messages, want 2", len(p.Messages))
			}
		}
		time.Sleep(3 * time.Millisecond)
		p := page(t, n, "lobby", router.HistoryQuery{Limit: 10, After: &old})
		if len(p.Messages) != 0 || p.Newest != old || !p.Gapless {
			t.Errorf("behind the last message: %+v", p)
		}
		if p := page(t, n, "lobby", router.HistoryQuery{Limit: 10, After: &router.Position{Epoch: old.Epoch, Offset: 1}}); p.Gapless {
			t.Errorf("behind the last message but one: %+v", p)
		}
		time.Sleep(24*time.Hour - time.Second)
		if at, err := n.Subscribe(t.Context(), router.Topic{Name: "lobby"}, router.Keep{}); err != nil || at != old {
			t.Errorf("the position is %+v, %v; want %+v", at, err, old)
		}
		time.Sleep(time.Second)
		if at := page(t, n, "lobby", router.HistoryQuery{Limit: 1}).Newest; at != (router.Position{}) {
			t.Errorf("a day later the position is %+v", at)
		}
		if next := say(t, n, "lobby", keep); next.Epoch == old.Epoch || next.Offset != 1 {
			t.Errorf("behind %+v came %+v", old, next)
		}
		accounted(t, n.hub)
	})
}

func TestWhatHasEndedIsRemovedThoughItsRoomIsNeverUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := started(t, NewHub())
		for i := range 1000 {
			say(t, n, fmt.Sprint("room ", i), router.Keep{Size: 1, TTL: time.Minute})
		}
		use := func() {
			for range shardCount {
				time.Sleep(sweepInterval)
				say(t, n, "lobby", router.Keep{Size: 1, TTL: time.Minute})
			}
		}
		time.Sleep(time.Minute)
		use()
		accounted(t, n.hub)
		if c := n.Counters()["history_ended"]; c != 1000 {
			t.Errorf("%d histories have ended, want 1000", c)
		}
		time.Sleep(positionGrace)
		use()
		accounted(t, n.hub)
		rooms := 0
		for i := range n.hub.shards {
			rooms += len(n.hub.shards[i].histories.rooms)
		}
		if rooms != 1 {
			t.Errorf("%d rooms have a position, want 1", rooms)
		}
	})
}

func TestHistoriesStayAccountedUnderLoad(t *testing.T) {
	n := started(t, NewHub(Options{HistoryBytes: 256 << 10}))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				room := fmt.Sprint("room ", (i*7+w)%500)
				m := kept(room, router.Keep{Size: 1 + i%5, TTL: time.Duration(1+i%3) * time.Millisecond})
				m.Content = make([]byte, i%500)
				if _, err := n.Publish(context.Background(), m); err != nil {
					t.Error(err)
				}
				if _, err := n.History(context.Background(), room, router.HistoryQuery{Limit: 3}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	accounted(t, n.hub)
	if bytes := n.hub.keeping.bytes.Load(); bytes > 256<<10 {
		t.Errorf("%d bytes are kept", bytes)
	}
}

// A message with a place is another one than what was published: that copy, and
// now and then the array that holds them, is all that publishing allocates.
func TestPublishingWithAHistoryAllocatesOneMessage(t *testing.T) {
	n := started(t, NewHub())
	if _, err := n.Subscribe(t.Context(), router.Topic{Name: "lobby"}, router.Keep{}); err != nil {
		t.Fatal(err)
	}
	m := kept("lobby", router.Keep{Size: 100, TTL: time.Minute})
	if allocs := testing.AllocsPerRun(1000, func() {
		if _, err := n.Publish(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}); allocs > 1 {
		t.Errorf("publishing allocates %v times, want once", allocs)
	}
}

func TestKeysAreBoundedAndForgottenOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		h.keys.capacity = 100
		n := started(t, h)
		publish := func(i int) router.Receipt {
			t.Helper()
			r, err := n.Publish(t.Context(), &router.Message{Kind: router.BroadcastMessage, ID: fmt.Sprint(i), Key: fmt.Sprint(i)})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		for i := range 150 {
			publish(i)
		}
		for i := range 150 {
			if i < 50 {
				continue
			}
			if r := publish(i); !r.Repeated {
				t.Fatalf("key %d was forgotten", i)
			}
		}
		if r := publish(0); r.Repeated {
			t.Error("key 0 was not forgotten")
		}
		if c := n.Counters(); c["key_forgotten"] != 51 || c["key_repeated"] != 100 {
			t.Errorf("counted %v", c)
		}
		time.Sleep(router.KeyTTL - time.Millisecond)
		if r := publish(149); !r.Repeated {
			t.Error("a key was forgotten before its time")
		}
		time.Sleep(time.Millisecond)
		if r := publish(149); r.Repeated {
			t.Error("a key was not forgotten at its time")
		}
		if len(h.keys.receipts) != 1 || len(h.keys.queue) != 1 {
			t.Errorf("%d receipts and %d keys are remembered, want 1", len(h.keys.receipts), len(h.keys.queue))
		}
	})
}

func TestKeysGiveTheirMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		n := started(t, h)
		before := heap()
		for i := range keyCapacity + 1000 {
			m := &router.Message{Kind: router.BroadcastMessage, ID: fmt.Sprintf("%020d", i), Key: fmt.Sprint(i)}
			if _, err := n.Publish(context.Background(), m); err != nil {
				t.Fatal(err)
			}
		}
		used := heap() - before
		time.Sleep(router.KeyTTL)
		if _, err := n.Publish(context.Background(), &router.Message{Kind: router.BroadcastMessage, Key: "k"}); err != nil {
			t.Fatal(err)
		}
		keptBytes := heap() - before
		t.Logf("%d keys take %d KiB; %d KiB are kept", keyCapacity, used>>10, keptBytes>>10)
		if used > 32<<20 || keptBytes > used/10 {
			t.Errorf("%d keys take %d bytes, and %d are kept", keyCapacity, used, keptBytes)
		}
		runtime.KeepAlive(h)
	})
}
