package membroker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"sluice/router"
)

type nowhere struct{}

func (nowhere) Deliver(*router.Message)   {}
func (nowhere) Describe() router.NodeInfo { return router.NodeInfo{} }

func started(t testing.TB, h *Hub) *Node {
	t.Helper()
	n := h.Node().(*Node)
	if err := n.Start(nowhere{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func TestUnusedRoomsTakeNoMemory(t *testing.T) {
	const rooms = 100_000
	h := NewHub()
	n := started(t, h)
	ctx := t.Context()
	before := heap()
	names := make([]string, rooms)
	for i := range names {
		names[i] = fmt.Sprint("room ", i)
	}
	namesOnly := heap()
	for _, name := range names {
		name := router.Topic{Name: name}
		who := router.Occupant{Conn: 1, User: "ann"}
		if _, err := n.Subscribe(ctx, name, router.Keep{}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Enter(ctx, name.Name, who); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Publish(ctx, &router.Message{Kind: router.RoomMessage, Room: name.Name}); err != nil {
			t.Fatal(err)
		}
	}
	full := heap()
	for _, name := range names {
		n.Unsubscribe(router.Topic{Name: name})
		if _, err := n.Leave(ctx, name, router.Occupant{Conn: 1, User: "ann"}); err != nil {
			t.Fatal(err)
		}
		// Publishing to a room that nobody is in does not bring it back.
		if _, err := n.Publish(ctx, &router.Message{Kind: router.RoomMessage, Room: name}); err != nil {
			t.Fatal(err)
		}
	}
	names = nil
	for i := range h.shards {
		if len(h.shards[i].topics)+len(h.presence[i].rooms) > 0 {
			t.Fatalf("shard %d holds %d topics and %d rooms of presence", i, len(h.shards[i].topics), len(h.presence[i].rooms))
		}
	}
	used, kept := full-namesOnly, heap()-before
	t.Logf("%d bytes a room with one subscriber and one occupant; %d bytes kept", used/rooms, kept)
	if kept > used/10 {
		t.Errorf("of %d bytes for %d rooms %d are kept", used, rooms, kept)
	}
	runtime.KeepAlive(h)
}

// While a node closes, its router may still be subscribing.
func TestAClosedNodeLeavesNothingBehind(t *testing.T) {
	h := NewHub()
	started(t, h) // the hub lives on
	for round := range 200 {
		n := h.Node().(*Node)
		if err := n.Start(nowhere{}); err != nil {
			t.Fatal(err)
		}
		begun := make(chan struct{})
		var wg sync.WaitGroup
		for w := range 2 {
			wg.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("room %d %d", w, i)
					_, err := n.Subscribe(context.Background(), router.Topic{Name: name}, router.Keep{})
					if err == nil {
						_, err = n.Enter(context.Background(), name, router.Occupant{User: "ann"})
					}
					if err != nil {
						return
					}
					if w == 0 && i == 10 {
						close(begun)
					}
				}
			})
		}
		<-begun
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for i := range h.shards {
			if topics, rooms := len(h.shards[i].topics), len(h.presence[i].rooms); topics+rooms > 0 {
				t.Fatalf("round %d: shard %d holds %d topics and %d rooms of presence", round, i, topics, rooms)
			}
		}
		if len(h.everyone.nodes) != 1 {
			t.Fatalf("round %d: %d nodes get broadcasts, want 1", round, len(h.everyone.nodes))
		}
	}
}

// heap is the live heap in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the first one leaves what pools hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestPublishingDoesNotAllocate(t *testing.T) {
	h := NewHub()
	nodes := []*Node{started(t, h), started(t, h)}
	for _, n := range nodes {
		if _, err := n.Subscribe(t.Context(), router.Topic{Name: "lobby"}, router.Keep{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []*router.Message{
		{Kind: router.RoomMessage, Room: "lobby"},
		{Kind: router.RoomMessage, Room: "nobody"},
		{Kind: router.BroadcastMessage},
	} {
		if allocs := testing.AllocsPerRun(100, func() {
			if _, err := nodes[0].Publish(context.Background(), m); err != nil {
				t.Fatal(err)
			}
		}); allocs != 0 {
			t.Errorf("publishing kind %d to %q allocates %v times", m.Kind, m.Room, allocs)
		}
	}
}

func TestAHubServesNodesThatStartAfterAllHaveClosed(t *testing.T) {
	h := NewHub()
	for range 3 {
		n := h.Node()
		got := 0
		if err := n.Start(counting{&got}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Publish(t.Context(), &router.Message{Kind: router.BroadcastMessage}); err != nil || got != 1 {
			t.Errorf("a broadcast was delivered %d times, error %v; want once", got, err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

type counting struct{ n *int }

func (c counting) Deliver(*router.Message)   { *c.n++ }
func (c counting) Describe() router.NodeInfo { return router.NodeInfo{} }

// Users stay sorted and complete, whatever comes and goes.
func TestUsersAreASortedSet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	us, model := new(users), make(map[string]bool)
	for step := range 60_000 {
		name := fmt.Sprint(rnd.IntN(3000))
		// Fill, then empty, so that runs are split and vanish.
		if rnd.IntN(10) < 8 == (step < 30_000) {
			us.add(name)
			model[name] = true
		} else {
			us.remove(name)
			delete(model, name)
		}
		if step%5000 > 0 {
			continue
		}
		var want []string
		for name := range model {
			want = append(want, name)
		}
		slices.Sort(want)
		var got []string
		for u := range us.after("") {
			got = append(got, u.name)
		}
		if !slices.Equal(got, want) || us.total != len(want) {
			t.Fatalf("after %d steps: %d users (total %d), want %d", step, len(got), us.total, len(want))
		}
		for _, r := range us.runs {
			if len(r) == 0 || len(r) > runLength {
				t.Fatalf("a run of %d users", len(r))
			}
		}
		from := fmt.Sprint(rnd.IntN(3000))
		at, found := slices.BinarySearch(want, from)
		if found {
			at++
		}
		got = got[:0]
		for u := range us.after(from) {
			got = append(got, u.name)
		}
		if !slices.Equal(got, want[at:]) {
			t.Fatalf("after %d steps: %d users behind %q, want %d", step, len(got), from, len(want)-at)
		}
	}
}
