package redisbroker

import (
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// detour is an address that leads to one server, and for later connections to
// another.
func detour(t *testing.T, first, later string) (addr string, turn func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var target atomic.Value
	target.Store(first)
	var work sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	keep := func(c net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		open = append(open, c)
	}
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			keep(c)
			s, err := net.Dial("tcp", target.Load().(string))
			if err != nil {
				c.Close()
				continue
			}
			keep(s)
			work.Go(func() { io.Copy(c, s); c.Close() })
			work.Go(func() { io.Copy(s, c); s.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return l.Addr().String(), func() { target.Store(later) }
}

func TestASubscriptionThatLivesButDeliversNothingIsReplaced(t *testing.T) {
	t.Parallel()
	old, promoted := redistest.Start(t), redistest.Start(t)
	addr, turn := detour(t, old.Addr, promoted.Addr)
	e := newEar()
	b := started(t, e, func(o *Options) { o.ProbeInterval = 500 * time.Millisecond }, standalone(addr))
	subscribe(t, b, lobby, router.Keep{})
	awaitHealthy(t, b)
	// The subscription stays with a Redis that nobody publishes to any more.
	turn()
	if err := old.Client(t).ClientKillByFilter(t.Context(), "TYPE", "normal").Err(); err != nil {
		t.Fatal(err)
	}
	speaker := started(t, newEar(), nil, standalone(promoted.Addr))
	await(t, "the subscription moves", func() bool { return b.Counters()["connection_replaced"] == 1 })
	awaitHealthy(t, b)
	say(t, speaker, "lobby", "1", router.Keep{})
	e.awaitHeard(t, lobby, "gap", "1")
}

func TestAConnectionIsProbedOnceAnInterval(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	began := time.Now()
	const interval = 200 * time.Millisecond
	b := started(t, newEar(), func(o *Options) { o.ProbeInterval = interval }, standalone(server.Addr))
	await(t, "some probes", func() bool { return b.Counters()["probe_returned"] >= 5 })
	if n, most := b.Counters()["probe_returned"], uint64(time.Since(began)/interval)+1; n > most {
		t.Errorf("%d probes, at most %d are due", n, most)
	}
	if b.Counters()["probe_microseconds"] == 0 {
		t.Error("their time was not counted")
	}
}

func TestAProbeThatMayNotBePublishedIsToldAndTheConnectionKept(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	acl := func(rules ...string) {
		t.Helper()
		args := []any{"acl", "setuser", "node", "on", ">secret", "~*", "&*", "+@all"}
		for _, r := range rules {
			args = append(args, r)
		}
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	acl()
	shard := standalone(server.Addr)
	shard.Username, shard.Password = "node", "secret"
	e := newEar()
	b := started(t, e, func(o *Options) { o.ProbeInterval = 200 * time.Millisecond }, shard)
	subscribe(t, b, lobby, router.Keep{})
	awaitHealthy(t, b)
	acl("-publish")
	await(t, "it is told", func() bool {
		err := b.shards[0].subs.health()
		return err != nil && strings.Contains(err.Error(), "the probe cannot be published: NOPERM")
	})
	if n := b.Counters()["connection_lost"]; n != 0 {
		t.Errorf("%d connections were lost", n)
	}
	if err := admin.Publish(t.Context(), b.shards[0].keys.channel(lobby), payloadOf(&router.Message{
		Kind: router.RoomMessage, ID: "m", From: "ann", Content: []byte("1"),
	})).Err(); err != nil {
		t.Fatal(err)
	}
	e.awaitHeard(t, lobby, "1")
	acl("+publish")
	awaitHealthy(t, b)
}

func TestAWrongPasswordIsToldByHealthAndDoesNotKeepTheNodeBusy(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := started(t, newEar(), nil, standalone(server.Addr))
	awaitHealthy(t, b)
	admin := server.Client(t)
	if err := admin.ConfigSet(t.Context(), "requirepass", "secret").Err(); err != nil {
		t.Fatal(err)
	}
	other := redis.NewClient(&redis.Options{Addr: server.Addr, Password: "secret"})
	defer other.Close()
	if err := other.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	await(t, "it is told", func() bool {
		err := b.shards[0].subs.health()
		return err != nil && strings.Contains(err.Error(), "NOAUTH")
	})
	connections := func() int {
		info, err := other.InfoMap(t.Context(), "stats").Result()
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(info["Stats"]["total_connections_received"])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// At most MaxReconnect is 200 ms here, of which half is waited at least, and
	// the first attempts come earlier. Who does not wait makes thousands.
	before, begin := connections(), time.Now()
	time.Sleep(500 * time.Millisecond)
	if n, most := connections()-before, int(time.Since(begin)/(100*time.Millisecond))+50; n > most {
		t.Errorf("%d attempts within %s", n, time.Since(begin))
	}
}
