package redisbroker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// listRooms are all rooms, read in pages.
func listRooms(t *testing.T, b *Broker, limit int) []string {
	t.Helper()
	var all []string
	for cursor := ""; ; {
		page, err := b.Rooms(t.Context(), limit, cursor)
		if err != nil {
			t.Fatalf("Rooms: %v", err)
		}
		all = append(all, page.Rooms...)
		if cursor = page.Cursor; cursor == "" {
			return all
		}
	}
}

func TestRoomsOfAllShardsAreListedAndOfOtherDeploymentsNone(t *testing.T) {
	t.Parallel()
	one, two := redistest.Start(t), redistest.Start(t)
	b := openNode(t, "a", nil, one.Addr, two.Addr)
	other := openNode(t, "a", func(o *Options) { o.Prefix = "sluice:other" }, one.Addr, two.Addr)
	subscribed := func(b *Broker, topic router.Topic) {
		t.Helper()
		if _, err := b.Subscribe(t.Context(), topic, router.Keep{}); err != nil {
			t.Fatalf("Subscribe: %v", err)
		}
	}
	var want []string
	for i := range 100 {
		name := fmt.Sprintf("room {%03d}*%%", i)
		want = append(want, name)
		subscribed(b, router.Topic{Name: name})
		subscribed(b, router.Topic{Name: name, User: true})
	}
	subscribed(other, router.Topic{Name: "elsewhere"})
	stranger := two.Client(t).Subscribe(t.Context(), "sluice:r:%7", "sluice:r:", "sluice:r:\x01", "sluice:r:{a}")
	defer stranger.Close()
	if _, err := stranger.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	perShard := make(map[*shard]int)
	for _, name := range want {
		perShard[b.shardOf(router.Topic{Name: name})]++
	}
	if len(perShard) != 2 {
		t.Fatalf("all rooms are on one shard")
	}
	for _, limit := range []int{1, 33, 100, 101, 1 << 40} {
		if got := listRooms(t, b, limit); !slices.Equal(got, want) {
			t.Errorf("with limit %d: %d rooms, want %d: %q", limit, len(got), len(want), got)
		}
	}
}

func TestTheSmallestNamesAreKept(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		g := smallest{after: fmt.Sprintf("%03d", rnd.IntN(300)), keep: 1 + rnd.IntN(50)}
		var want []string
		for range rnd.IntN(500) {
			name := fmt.Sprintf("%03d", rnd.IntN(1000))
			g.add(name)
			if name > g.after {
				want = append(want, name)
			}
			if len(g.names) >= 2*g.keep {
				t.Fatalf("%d names are held to keep %d", len(g.names), g.keep)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		want = want[:min(len(want), g.keep)]
		if got := g.sorted(); !slices.Equal(got, want) {
			t.Fatalf("kept %q, want %q", got, want)
		}
	}
}
