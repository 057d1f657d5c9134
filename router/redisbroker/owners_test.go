package redisbroker

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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

// TestInAClusterAConnectionThatItsAddressNoLongerLeadsToIsLeft: both nodes are known by one
// address, which leads to who is the master. The old one lives, and sends who asks it there.
func TestInAClusterAConnectionThatItsAddressNoLongerLeadsToIsLeft(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a Cluster")
	}
	cluster := redistest.StartCluster(t, 1, 1)
	old, promoted := cluster.Nodes[0], cluster.Nodes[1]
	addr, turn := detour(t, old.Addr, promoted.Addr)
	_, port, _ := net.SplitHostPort(addr)
	for _, n := range cluster.Nodes {
		if err := n.Client(t).ConfigSet(t.Context(), "cluster-announce-port", port).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range cluster.Nodes { // a node hears of another's port with its next ping, and then connects anew
		await(t, n.Addr+" knows both by the one address", func() bool {
			known, err := n.Client(t).ClusterNodes(t.Context()).Result()
			all := len(cluster.Nodes)
			return err == nil && strings.Count(known, " "+addr+"@") == all && strings.Count(known, " connected") == all
		})
	}
	await(t, "the replica follows its master by it, too", func() bool { return promoted.Info("master_link_status") == "up" })
	e := newEar()
	b := started(t, e, func(o *Options) { o.ProbeInterval = 500 * time.Millisecond }, Shard{Mode: Cluster, Addresses: []string{addr}})
	subscribe(t, b, lobby, router.Keep{})
	awaitHealthy(t, b)
	s := b.shards[0]
	lanes := map[string]*batcher{"publishes": s.publishes, "reads": s.reads}
	incr := func(q *batcher) error { return q.do(t.Context(), redis.NewIntCmd(t.Context(), "incr", "n"), 0) }
	links := make(map[string]*rawConn)
	for name, q := range lanes {
		if err := incr(q); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		links[name] = q.queues[addr].link.conn
	}
	turn() // for who connects from here on: the replica is connected
	if err := promoted.Client(t).ClusterFailover(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	await(t, "the old master is a replica", func() bool { return old.Info("role") == "slave" && promoted.Info("role") == "master" })
	for name, q := range lanes {
		awaitOK(t, func() error { return incr(q) }) // Redis has a moment of its own between the two
		if err := incr(q); err != nil {
			t.Errorf("%s: the next command: %v", name, err)
		}
		if q.queues[addr].link.conn == links[name] {
			t.Errorf("%s: the connection to the old master is kept", name)
		}
	}
	await(t, "the subscription moves", func() bool { return b.Counters()["connection_replaced"] == 1 })
	awaitHealthy(t, b)
	say(t, b, "lobby", "1", router.Keep{})
	await(t, "what may be missing is told, and the message comes", func() bool {
		all := heard(e.all(lobby)) // a gap for the old master's leaving the slot, and one for leaving the old master
		return len(all) > 1 && all[0] == "gap" && all[len(all)-1] == "1"
	})
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
