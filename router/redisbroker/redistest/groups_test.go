package redistest_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/router/redisbroker/redistest"
)

func TestSentinelsPromoteAReplicaWithItsData(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: g.Addrs(), DisableIdentity: true})
	defer c.Close()
	done(t, c.Set(t.Context(), "k", "v", 0).Err())
	done(t, c.Do(t.Context(), "wait", 2, 0).Err())
	old, promoted := g.Failover()
	if old == promoted || promoted.Info("role") != "master" {
		t.Errorf("%s was promoted after %s", promoted.Addr, old.Addr)
	}
	until(t, "a client of the sentinels finds the new master", func() bool {
		v, err := c.Get(t.Context(), "k").Result()
		return err == nil && v == "v"
	})
}

func TestAClusterFailsOverAndMigratesSlots(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1)
	if n := len(cluster.Masters()); n != 3 {
		t.Fatalf("%d masters", n)
	}
	c := cluster.Client(t)
	for i := range 300 {
		done(t, c.Set(t.Context(), fmt.Sprint("k", i), i, 0).Err())
	}
	to := cluster.Owner(16000)
	if cluster.Owner(0) == to {
		t.Fatal("one master serves both ends")
	}
	cluster.MigrateSlots(0, 20, to)
	for _, slot := range []int{0, 20} {
		if owner := cluster.Owner(slot); owner != to {
			t.Errorf("%s serves slot %d, which was moved to %s", owner.Addr, slot, to.Addr)
		}
	}
	if cluster.Owner(21) == to {
		t.Error("more slots were moved than asked for")
	}
	for i := range 300 {
		if v, err := c.Get(t.Context(), fmt.Sprint("k", i)).Int(); err != nil || v != i {
			t.Errorf("k%d is %d, %v after the migration", i, v, err)
		}
	}
	old, promoted := cluster.Failover(8000)
	if old == promoted || cluster.Owner(8000) != promoted {
		t.Errorf("%s was promoted after %s", promoted.Addr, old.Addr)
	}
	// The client asks again who serves what only after a while by itself.
	c.ReloadState(t.Context())
	until(t, "a client finds the new master", func() bool { return c.Set(t.Context(), "after", 1, 0).Err() == nil })
}
