package redisbroker

import (
	"fmt"
	"sync"
	"testing"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// chorus publishes to rooms, one message after the other, until it is told to end.
type chorus struct {
	t    *testing.T
	b    *Broker
	said map[string][]string // by room, what was accepted
	stop chan struct{}
	work sync.WaitGroup
	mu   sync.Mutex
}

func sing(t *testing.T, b *Broker, rooms []router.Topic) *chorus {
	c := &chorus{t: t, b: b, said: make(map[string][]string), stop: make(chan struct{})}
	c.work.Go(func() {
		for i := 0; ; i++ {
			for _, room := range rooms {
				select {
				case <-c.stop:
					return
				default:
				}
				content := fmt.Sprint(i)
				_, err := b.Publish(t.Context(), &router.Message{Kind: router.RoomMessage, ID: room.Name + content, Room: room.Name, From: "ann", Content: []byte(content), Keep: kept})
				if err == nil {
					c.mu.Lock()
					c.said[room.Name] = append(c.said[room.Name], content)
					c.mu.Unlock()
				}
			}
		}
	})
	return c
}

func (c *chorus) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.work.Wait()
}

// awaitMore waits until something more was accepted in each room.
func (c *chorus) awaitMore(rooms []router.Topic) {
	c.t.Helper()
	count := func(room router.Topic) int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.said[room.Name])
	}
	for _, room := range rooms {
		before := count(room)
		await(c.t, "messages are accepted", func() bool { return count(room) > before+1 })
	}
}

// compare holds what was heard against what was accepted: nothing twice, nothing
// out of order, and what is missing is told of by a gap where it is missing.
func (c *chorus) compare(e *ear, rooms []router.Topic) {
	c.t.Helper()
	for _, room := range rooms {
		said := c.said[room.Name]
		if len(said) == 0 {
			c.t.Errorf("%s: nothing was accepted", room.Name)
			continue
		}
		last := said[len(said)-1]
		await(c.t, "the last message in "+room.Name, func() bool {
			all := e.all(room)
			return len(all) > 0 && string(all[len(all)-1].Content) == last
		})
		accepted, order := make(map[string]bool), make(map[string]int)
		for i, content := range said {
			accepted[content], order[content] = true, i
		}
		next, gap, missing := 0, false, 0
		for _, m := range e.all(room) {
			if m.Kind == router.RoomGap {
				gap = true
				continue
			}
			content := string(m.Content)
			if !accepted[content] {
				continue // its publisher could not know
			}
			i := order[content]
			if i < next {
				c.t.Errorf("%s: %s was heard again, or too late", room.Name, content)
			}
			if i > next {
				missing += i - next
				if !gap {
					c.t.Errorf("%s: %d messages before %s are missing in silence", room.Name, i-next, content)
				}
			}
			next, gap = i+1, false
		}
		if missing > 0 {
			c.t.Logf("%s: %d of %d missing and told", room.Name, missing, len(said))
		}
	}
}

func roomsNamed(n int) []router.Topic {
	rooms := make([]router.Topic, n)
	for i := range rooms {
		rooms[i] = router.Topic{Name: fmt.Sprint("room ", i)}
	}
	return rooms
}

func TestInAClusterRoomsFollowTheirSlots(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a Cluster")
	}
	cluster := redistest.StartCluster(t, 3, 1)
	shard := Shard{Mode: Cluster, Addresses: cluster.Addrs()}
	e := newEar()
	speaker, b := started(t, newEar(), nil, shard), started(t, e, nil, shard)
	rooms := roomsNamed(30)
	awaitHealthy(t, b)
	for _, room := range rooms {
		subscribe(t, b, room, kept)
	}
	subscribe(t, b, bob, router.Keep{})
	publish(t, speaker, &router.Message{Kind: router.DirectMessage, ID: "d", Target: "bob", From: "ann", Content: []byte("1")})
	publish(t, speaker, &router.Message{Kind: router.BroadcastMessage, ID: "b", From: "ann", Content: []byte("1")})
	e.awaitHeard(t, bob, "1")
	e.awaitHeard(t, router.Topic{}, "1")

	c := sing(t, speaker, rooms)
	defer c.end()
	c.awaitMore(rooms)
	slot := int(slotOf(b.shards[0].keys.tags[b.shards[0].keys.partition(rooms[0])]))
	from := cluster.Owner(slot)
	to := cluster.Masters()[0]
	if to == from {
		to = cluster.Masters()[1]
	}
	cluster.MigrateSlots(slot, slot, to)
	c.awaitMore(rooms)
	cluster.Failover(slot)
	c.awaitMore(rooms)
	c.end()
	awaitHealthy(t, b)
	c.compare(e, rooms)
}

func TestUnderSentinelTheNewMasterIsFound(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a group with Sentinels")
	}
	group := redistest.StartSentinel(t)
	shard := Shard{Mode: Sentinel, Addresses: group.Addrs(), Master: redistest.MasterName}
	e := newEar()
	speaker, b := started(t, newEar(), nil, shard), started(t, e, nil, shard)
	rooms := roomsNamed(10)
	awaitHealthy(t, b)
	for _, room := range rooms {
		subscribe(t, b, room, kept)
	}
	c := sing(t, speaker, rooms)
	defer c.end()
	c.awaitMore(rooms)
	group.Failover()
	c.awaitMore(rooms)
	c.end()
	awaitHealthy(t, b)
	c.compare(e, rooms)
}
