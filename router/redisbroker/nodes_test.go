package redisbroker

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// seesIDs waits until the node sees exactly these.
func seesIDs(t *testing.T, b *Broker, want ...string) {
	t.Helper()
	awaitNil(t, func() error {
		all, err := b.Nodes(t.Context())
		if err != nil {
			return err
		}
		var got []string
		for _, n := range all {
			got = append(got, n.ID)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("nodes are %q, want %q", got, want)
		}
		return nil
	})
}

func TestAKilledNodeIsSeenNoMore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	openNode(t, "a", nil, proxy.Addr)
	b := openNode(t, "b", nil, server.Addr)
	seesIDs(t, b, "a", "b")
	proxy.Cut()
	seesIDs(t, b, "b")
	if ids, err := server.Client(t).HKeys(t.Context(), "sluice:n").Result(); err != nil {
		t.Error(err)
	} else if awaitNil(t, func() error {
		if ids, err = server.Client(t).HKeys(t.Context(), "sluice:n").Result(); err == nil && len(ids) != 1 {
			err = fmt.Errorf("Redis has the nodes %q", ids)
		}
		return err
	}); len(ids) != 1 {
		t.Errorf("Redis has the nodes %q", ids)
	}
	proxy.Resume()
	seesIDs(t, b, "a", "b")
}

func TestNodesAreSeenWhileOneShardOfTwoIsAway(t *testing.T) {
	one, two := redistest.Start(t), redistest.Start(t)
	a, b := openNode(t, "a", nil, one.Addr, two.Addr), openNode(t, "b", nil, one.Addr, two.Addr)
	seesIDs(t, a, "a", "b")
	one.Kill()
	for _, n := range []*Broker{a, b} {
		if all, err := n.Nodes(t.Context()); err != nil || len(all) != 2 {
			t.Errorf("with one shard away: %+v, %v; want both nodes", all, err)
		}
	}
	two.Kill()
	if all, err := a.Nodes(t.Context()); !errors.Is(err, router.ErrUnavailable) {
		t.Errorf("with both shards away: %+v, %v; want ErrUnavailable", all, err)
	}
	if _, err := a.Rooms(t.Context(), 10, ""); !errors.Is(err, router.ErrUnavailable) {
		t.Errorf("Rooms with both shards away: %v; want ErrUnavailable", err)
	}
}

func TestOfTwoNodesWithOneIDTheLaterIsIll(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	first := openNode(t, "twin", nil, server.Addr)
	awaitNil(t, func() error { return client.HGet(t.Context(), "sluice:n", "twin").Err() })
	second := openNode(t, "twin", nil, server.Addr)
	awaitNil(t, func() error {
		if err := second.presence.health(); err == nil {
			return errors.New("the later of two nodes with one id is healthy")
		} else if !strings.Contains(err.Error(), `"twin"`) {
			t.Fatalf("its health does not name the id: %v", err)
		}
		return nil
	})
	awaitNil(t, func() error {
		if counter(first, "duplicate_node") == 0 {
			return errors.New("the earlier one has not counted it")
		}
		return nil
	})
	if err := first.presence.health(); err != nil {
		t.Errorf("the earlier one is ill: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	awaitNil(t, second.presence.health)
	seesIDs(t, second, "twin")
}

func TestANodeThatWasKilledMayStartAgainUnderItsID(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	client := server.Client(t)
	killed := openNode(t, "a", nil, proxy.Addr)
	awaitNil(t, func() error { return client.HGet(t.Context(), "sluice:n", "a").Err() })
	proxy.Cut()
	again := openNode(t, "a", nil, server.Addr)
	awaitNil(t, func() error { // two entries of its own
		text, err := client.HGet(t.Context(), "sluice:n", "a").Result()
		if err != nil {
			return err
		}
		e, err := parseNode("a", text)
		if err != nil || e.run != again.presence.run || e.last == e.first {
			return fmt.Errorf("the entry is %q, %v", text, err)
		}
		return nil
	})
	if err := again.presence.health(); err != nil {
		t.Error(err)
	}
	if n := counter(again, "duplicate_node"); n > 0 {
		t.Errorf("%d duplicates were counted", n)
	}
	if err := killed.Close(); err != nil {
		t.Error(err)
	}
	seesIDs(t, again, "a")
}

func TestWhatOthersWriteIntoTheListOfNodesIsSkippedAndCounted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	a, b := openNode(t, "a", nil, server.Addr), openNode(t, "b", nil, server.Addr)
	seesIDs(t, a, "a", "b")
	const late = 1e15
	for id, text := range map[string]string{
		"x": "", "y": "garbage", "z": strings.Repeat(" ", 100), "b2": `0123456789abcdef 1 2 {"id":"b"}`,
		"w": `0123456789abcdef 1 2 {"id":"w"`, "v": `0123456789abcdef 1 two {"id":"v"}`, "\xff": `0123456789abcdef 1 2 []`,
	} {
		before := counter(a, "malformed_node")
		if err := client.HSet(t.Context(), "sluice:n", id, text).Err(); err != nil {
			t.Fatal(err)
		}
		if err := client.ZAdd(t.Context(), "sluice:nl", redis.Z{Member: id, Score: late}).Err(); err != nil {
			t.Fatal(err)
		}
		seesIDs(t, a, "a", "b")
		if counter(a, "malformed_node") == before {
			t.Errorf("%q of %q was not counted", text, id)
		}
	}
	for _, key := range []string{"sluice:n", "sluice:nl"} {
		if err := client.Set(t.Context(), key, "of another type", 0).Err(); err != nil {
			t.Fatal(err)
		}
		seesIDs(t, b, "a", "b")
		seesIDs(t, a, "a", "b")
	}
}
