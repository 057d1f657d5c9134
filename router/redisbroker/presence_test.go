package redisbroker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// patience is how long tests of presence and nodes wait for what must happen.
const patience = 60 * time.Second

// describer is a sink that gets nothing, and says something of itself.
type describer struct {
	mu   sync.Mutex
	info router.NodeInfo
}

func (d *describer) Deliver(*router.Message) {}
func (d *describer) Describe() router.NodeInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.info
}

// openNode starts a broker on these Redis, with a short presence.
func openNode(t testing.TB, id string, change func(*Options), addresses ...string) *Broker {
	t.Helper()
	o := Options{NodeID: id, PresenceTTL: 1500 * time.Millisecond, MaxReconnect: 200 * time.Millisecond}
	for _, a := range addresses {
		o.Shards = append(o.Shards, Shard{Addresses: []string{a}})
	}
	if change != nil {
		change(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(&describer{info: router.NodeInfo{ID: id}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func enterRoom(t testing.TB, b *Broker, room, user string, conn uint64) (first bool) {
	t.Helper()
	first, err := b.Enter(t.Context(), room, router.Occupant{Conn: conn, User: user, Info: fmt.Appendf(nil, `{"of":%q}`, user)})
	if err != nil {
		t.Errorf("Enter: %v", err)
	}
	return first
}

func leaveRoom(t testing.TB, b *Broker, room, user string, conn uint64) (last bool) {
	t.Helper()
	last, err := b.Leave(t.Context(), room, router.Occupant{Conn: conn, User: user})
	if err != nil {
		t.Errorf("Leave: %v", err)
	}
	return last
}

// whoIs is the room's page as "ann×1 bob×2".
func whoIs(b *Broker, room string) (string, error) {
	page, err := b.Present(context.Background(), room, 10_000, "")
	if err != nil {
		return "", err
	}
	var all []string
	for _, u := range page.Users {
		all = append(all, fmt.Sprintf("%s×%d", u.User, u.Connections))
	}
	if page.Total != len(page.Users) {
		all = append(all, fmt.Sprintf("(total %d)", page.Total))
	}
	return strings.Join(all, " "), nil
}

// await waits until check is nil.
func awaitNil(t testing.TB, check func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %s: %v", patience, err)
		}
	}
}

// holds waits until exactly these are in the room.
func holds(t testing.TB, b *Broker, room, want string) {
	t.Helper()
	awaitNil(t, func() error {
		got, err := whoIs(b, room)
		if err == nil && got != want {
			err = fmt.Errorf("in room %q are %q, want %q", room, got, want)
		}
		return err
	})
}

func counter(b *Broker, name string) uint64 { return b.Counters()[name] }

func TestOccupantsOfAKilledNodeVanishAndOfOneThatWasAwayComeBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	a, b := openNode(t, "a", nil, proxy.Addr), openNode(t, "b", nil, server.Addr)
	enterRoom(t, a, "lobby", "ann", 1)
	enterRoom(t, a, "lobby", "dan", 2)
	enterRoom(t, a, "attic", "dan", 2)
	enterRoom(t, b, "lobby", "ann", 3)
	enterRoom(t, b, "lobby", "bob", 4)
	holds(t, b, "lobby", "ann×2 bob×1 dan×1")

	proxy.Cut()
	holds(t, b, "lobby", "ann×1 bob×1")
	holds(t, b, "attic", "")
	if !leaveRoom(t, b, "lobby", "ann", 3) {
		t.Error("ann left by her last living connection, and that was not told")
	}
	if !enterRoom(t, b, "attic", "dan", 5) {
		t.Error("dan entered a room in which only a dead node had him, and was not told to be the first")
	}
	holds(t, b, "lobby", "bob×1")

	proxy.Resume()
	holds(t, b, "lobby", "ann×1 bob×1 dan×1")
	holds(t, b, "attic", "dan×2")
}

func TestTheTotalIsNeverOfAPartOfADeadNodesOccupants(t *testing.T) {
	const dead, alive = 1500, 40
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	a, b := openNode(t, "a", nil, proxy.Addr), openNode(t, "b", nil, server.Addr)
	var wg sync.WaitGroup
	for i := range dead {
		wg.Go(func() { enterRoom(t, a, "lobby", fmt.Sprintf("user %05d", i), uint64(i)) })
	}
	for i := range alive {
		wg.Go(func() { enterRoom(t, b, "lobby", fmt.Sprintf("user %05d", i*100), uint64(i)) })
	}
	wg.Wait()
	all := dead + alive - dead/100
	page, err := b.Present(t.Context(), "lobby", 10, "user 01399")
	if err != nil || page.Total != all || len(page.Users) != 10 || page.Users[0].User != "user 01400" || page.Users[0].Connections != 2 {
		t.Fatalf("Present: %+v, %v; want 10 of %d from user 01400 on", page, err, all)
	}
	proxy.Cut()
	awaitNil(t, func() error {
		page, err := b.Present(t.Context(), "lobby", 10, "user 01399")
		if err != nil {
			return err
		}
		if page.Total != alive && page.Total != all {
			t.Fatalf("the total is %d, want %d or %d", page.Total, all, alive)
		}
		if page.Total != alive || page.Users[0].Connections != 1 || page.Users[1].User != "user 01500" {
			return fmt.Errorf("the total is %d, want %d", page.Total, alive)
		}
		return nil
	})
}

func TestPresenceIsWrittenAgainWhenRedisHasLostIt(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	a, b := openNode(t, "a", nil, server.Addr), openNode(t, "b", nil, server.Addr)
	const rooms = 200
	for i := range rooms {
		enterRoom(t, a, fmt.Sprint("room ", i), "ann", 1)
		enterRoom(t, b, fmt.Sprint("room ", i), "bob", 2)
	}
	enterRoom(t, a, "room 0", "ann", 3)
	lost := func(keys ...string) func() error {
		return func() error { return client.Del(t.Context(), keys...).Err() }
	}
	for what, lose := range map[string]func() error{
		"everything":            func() error { return client.FlushAll(t.Context()).Err() },
		"scripts":               func() error { return client.ScriptFlush(t.Context()).Err() },
		"both":                  func() error { server.RestartEmpty(); return nil },
		"an entry":              func() error { return client.HDel(t.Context(), "sluice:pe:room 0", "uann").Err() },
		"the users":             lost("sluice:pu:room 0"),
		"the entries":           lost("sluice:pe:room 0"),
		"the index":             lost("sluice:pi:room 0"),
		"who lives":             lost("sluice:pn:room 0"),
		"the users and entries": lost("sluice:pu:room 0", "sluice:pe:room 0"),
	} {
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		t.Logf("losing %s", what)
		begun := time.Now()
		holds(t, b, "room 0", "ann×2 bob×1")
		holds(t, a, fmt.Sprint("room ", rooms-1), "ann×1 bob×1")
		t.Logf("lost %s: back after %s", what, time.Since(begun))
	}
	if counter(a, "presence_rewritten") == 0 {
		t.Error("nothing was counted as written again")
	}
	if leaveRoom(t, a, "room 0", "ann", 1) || !leaveRoom(t, a, "room 0", "ann", 3) {
		t.Error("after all that, first and last are wrong")
	}
}

func TestEnterAndLeaveSucceedWhileRedisIsAwayAndAreWrittenWhenItIsBack(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ begin, end func(*redistest.Server) }{
		"killed and empty": {(*redistest.Server).Kill, (*redistest.Server).RestartEmpty},
		"stopped":          {(*redistest.Server).Stop, (*redistest.Server).Continue},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			short := func(o *Options) { o.Timeout = 2 * time.Second; o.PresenceTTL = time.Minute }
			a, b := openNode(t, "a", short, server.Addr), openNode(t, "b", short, server.Addr)
			enterRoom(t, a, "lobby", "ann", 1)
			enterRoom(t, a, "attic", "ann", 1)
			enterRoom(t, a, "cellar", "eve", 9)
			enterRoom(t, b, "lobby", "bob", 1)
			fault.begin(server)

			begun := time.Now()
			if !enterRoom(t, a, "lobby", "cid", 2) || enterRoom(t, a, "lobby", "ann", 3) || leaveRoom(t, a, "lobby", "ann", 1) || !leaveRoom(t, a, "attic", "ann", 1) {
				t.Error("while Redis is away, first and last are not what the node knows")
			}
			for i := range 500 {
				enterRoom(t, a, fmt.Sprint("room ", i), "ann", 1)
				if i%2 == 1 {
					leaveRoom(t, a, fmt.Sprint("room ", i), "ann", 1)
				}
			}
			if d := time.Since(begun); d > 5*time.Minute { // each waiting for Timeout would take 25 minutes
				t.Errorf("750 calls took %s", d)
			}
			if _, err := a.Present(t.Context(), "lobby", 10, ""); err == nil {
				t.Error("Present succeeded while Redis was away")
			}
			if counter(a, "presence_failed") == 0 {
				t.Error("no failed write was counted")
			}

			fault.end(server)
			holds(t, b, "lobby", "ann×1 bob×1 cid×1")
			holds(t, b, "attic", "")
			holds(t, b, "cellar", "eve×1") // nothing of it has changed, and Redis may have lost it
			for i := range 500 {
				want := "ann×1"
				if i%2 == 1 {
					want = ""
				}
				holds(t, b, fmt.Sprint("room ", i), want)
			}
			if !enterRoom(t, a, "cellar", "zoe", 2) {
				t.Error("zoe is not the first")
			}
			holds(t, b, "cellar", "eve×1 zoe×1")
		})
	}
}

func TestAClosedNodeLeavesNothingInRedis(t *testing.T) {
	server := redistest.Start(t)
	a, b := openNode(t, "a", nil, server.Addr), openNode(t, "b", nil, server.Addr)
	for i := range 300 {
		enterRoom(t, a, fmt.Sprint("room ", i), "ann", 1)
		enterRoom(t, b, fmt.Sprint("room ", i), "ann", 2)
		enterRoom(t, b, fmt.Sprint("room ", i), "bob", 2)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if got, err := whoIs(a, fmt.Sprint("room ", i)); got != "ann×1" || err != nil {
			t.Fatalf("in room %d are %q, %v; want ann of the node that is open", i, got, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if keys, err := server.Client(t).Keys(t.Context(), "*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("both nodes have closed, and Redis has %q, %v", keys, err)
	}
}

func TestAllKeysOfPresenceExpire(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	client := server.Client(t)
	a := openNode(t, "a", func(o *Options) { o.PresenceTTL = 500 * time.Millisecond }, proxy.Addr)
	for i := range 20 {
		room := fmt.Sprint("room ", i)
		enterRoom(t, a, room, "ann", 1)
		leaveRoom(t, a, room, "ann", 1) // the keys go, and come anew while the node is known
		enterRoom(t, a, room, "bob", 1)
	}
	proxy.Cut()
	awaitNil(t, func() error {
		keys, err := client.Keys(t.Context(), "sluice:p*").Result()
		if err == nil && len(keys) > 0 {
			err = fmt.Errorf("Redis still has %q", keys)
		}
		return err
	})
}

func TestWhatOthersWriteIntoPresenceIsSkippedCountedAndRepaired(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, write := range map[string]func(c *redis.Client, run string) error{
		"users of another type":   func(c *redis.Client, _ string) error { return c.Set(ctx, "sluice:pu:lobby", "x", 0).Err() },
		"entries of another type": func(c *redis.Client, _ string) error { return c.Set(ctx, "sluice:pe:lobby", "x", 0).Err() },
		"index of another type":   func(c *redis.Client, _ string) error { return c.Set(ctx, "sluice:pi:lobby", "x", 0).Err() },
		"nodes of another type":   func(c *redis.Client, _ string) error { return c.Set(ctx, "sluice:pn:lobby", "x", 0).Err() },
		"a user without entries": func(c *redis.Client, _ string) error {
			return c.ZAdd(ctx, "sluice:pu:lobby", redis.Z{Member: "mallory"}).Err()
		},
		"a user whose name is none": func(c *redis.Client, run string) error {
			c.ZAdd(ctx, "sluice:pu:lobby", redis.Z{Member: "mal\xffory\x01"})
			return c.HSet(ctx, "sluice:pe:lobby", "umal\xffory\x01", run+" 1 1 0 ").Err()
		},
		"an entry that cannot be read": func(c *redis.Client, _ string) error {
			return c.HSet(ctx, "sluice:pe:lobby", "uann", strings.Repeat("\xff(", 1000)).Err()
		},
		"an entry that is too long": func(c *redis.Client, run string) error {
			return c.HSet(ctx, "sluice:pe:lobby", "uann", run+" 1 1 99999999 {}").Err()
		},
		"an info that is no JSON": func(c *redis.Client, run string) error {
			return c.HSet(ctx, "sluice:pe:lobby", "uann", run+" 1 1 1 {").Err()
		},
		"a sum that is no number": func(c *redis.Client, run string) error {
			return c.HSet(ctx, "sluice:pe:lobby", "s"+run, "many").Err()
		},
		"an entry of an unknown node": func(c *redis.Client, _ string) error {
			c.ZAdd(ctx, "sluice:pu:lobby", redis.Z{Member: "mallory"})
			c.ZAdd(ctx, "sluice:pi:lobby", redis.Z{Member: "0123456789abcdef:mallory"})
			return c.HSet(ctx, "sluice:pe:lobby", "umallory", "0123456789abcdef 1 1 0 ").Err()
		},
		"scores that are none": func(c *redis.Client, _ string) error {
			return c.ZAdd(ctx, "sluice:pn:lobby", redis.Z{Member: "", Score: 1}, redis.Z{Member: "[", Score: -1e300}, redis.Z{Member: "(", Score: 1e300}).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			client := server.Client(t)
			a, b := openNode(t, "a", nil, server.Addr), openNode(t, "b", nil, server.Addr)
			enterRoom(t, a, "lobby", "ann", 1)
			enterRoom(t, b, "lobby", "bob", 1)
			holds(t, a, "lobby", "ann×1 bob×1")
			if err := write(client, a.presence.run); err != nil {
				t.Fatal(err)
			}
			// The first reader need not see all of them, nor anything that is not.
			if got, err := whoIs(b, "lobby"); err != nil || strings.Contains(got, "mal") {
				t.Errorf("in the lobby are %q, %v", got, err)
			}
			if page, err := b.Present(t.Context(), "lobby", 1, ""); err != nil || len(page.Users) > 1 || len(page.Users) == 1 && len(page.Users[0].Info) == 1 {
				t.Errorf("Present: %+v, %v", page, err)
			}
			holds(t, b, "lobby", "ann×1 bob×1")
			enterRoom(t, a, "lobby", "cid", 2)
			leaveRoom(t, a, "lobby", "ann", 1)
			holds(t, b, "lobby", "bob×1 cid×1")
			if name != "scores that are none" && counter(a, "malformed_presence")+counter(b, "malformed_presence") == 0 {
				t.Error("it was not counted")
			}
		})
	}
}

func TestPresenceOutlivesAFullRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	a, b := openNode(t, "a", nil, server.Addr), openNode(t, "b", nil, server.Addr)
	enterRoom(t, a, "lobby", "ann", 1)
	enterRoom(t, a, "lobby", "bob", 2)
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if enterRoom(t, a, "lobby", "ann", 3) {
		t.Error("ann was the first, twice")
	}
	enterRoom(t, b, "attic", "ann", 4)
	leaveRoom(t, a, "lobby", "bob", 2)
	for end := time.Now().Add(2 * a.options.PresenceTTL); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, err := whoIs(b, "lobby"); err != nil || got != "ann×1" && got != "ann×2" {
			t.Fatalf("while Redis is full, in the lobby are %q, %v; want ann", got, err)
		}
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	holds(t, b, "lobby", "ann×2")
	holds(t, a, "attic", "ann×1")
}

func TestARefreshIsOneCallPerRoom(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client(t)
	a := openNode(t, "a", func(o *Options) { o.PresenceTTL = 3 * time.Second }, server.Addr)
	const rooms, users = 100, 30
	var wg sync.WaitGroup
	for i := range rooms {
		wg.Go(func() {
			for k := range users {
				enterRoom(t, a, fmt.Sprint("room ", i), fmt.Sprint("user ", k), uint64(k))
			}
		})
	}
	wg.Wait()
	calls := func() int {
		text, err := client.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(text, "cmdstat_evalsha:calls=")
		var n int
		fmt.Sscanf(rest, "%d", &n)
		return n
	}
	before, begun := calls(), time.Now()
	awaitNil(t, func() error {
		if n := calls() - before; n < 2*rooms {
			return fmt.Errorf("%d calls for %d rooms", n, rooms)
		}
		return nil
	})
	// Each room once in a second, and the node's own entry.
	periods := int(time.Since(begun)/time.Second) + 2
	if n := calls() - before; n > periods*(rooms+2) {
		t.Errorf("%d calls in at most %d periods for %d rooms of %d users, want one per room and period", n, periods, rooms, users)
	}
	if page, err := a.Present(t.Context(), "room 7", 1, ""); err != nil || page.Total != users {
		t.Errorf("%d users are in a room, %v; want %d", page.Total, err, users)
	}
}

func TestAnOccupantWhoWaitsLongerThanTimeoutIsKept(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	a, b := openNode(t, "a", nil, proxy.Addr), openNode(t, "b", nil, server.Addr)
	enterRoom(t, a, "lobby", "ann", 1)
	proxy.Blackhole()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if first, err := a.Enter(ctx, "lobby", router.Occupant{Conn: 2, User: "bob"}); err != nil || !first {
		t.Errorf("Enter: first %t, %v; want the answer of what the node knows", first, err)
	}
	proxy.Resume()
	holds(t, b, "lobby", "ann×1 bob×1")
}
