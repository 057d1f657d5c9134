package faults

import (
	"slices"
	"strings"
	"time"

	"sluice/router/redisbroker/redistest"
)

// fault is something that breaks, and is whole again.
type fault struct {
	name    string
	backend backend

	// inflict breaks it, and returns when it is whole again. It fails the test if
	// the fault did not take.
	inflict func(w *world)

	// renews says that rooms with history may have to begin a new epoch, because it
	// is not certain that Redis has kept everything. Else their members are never
	// told of a gap, and every recovery succeeds.
	renews bool

	// forgets says that Redis loses what it had acknowledged, keys too.
	forgets bool

	// quiet says that nobody is to notice: no message is refused, no gap told.
	quiet bool
}

// durable is a Redis that keeps on disk whatever it acknowledges.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

var faults = []fault{
	{name: "nothing", backend: standalone(), quiet: true, inflict: (*world).last},

	{name: "Redis killed and restarted empty", backend: standalone(), renews: true, forgets: true, inflict: func(w *world) {
		w.server.Kill()
		w.unready()
		time.Sleep(w.long / 3)
		w.server.RestartEmpty()
	}},

	{name: "Redis killed and restarted with its data", backend: standalone(durable...), renews: true, inflict: func(w *world) {
		w.server.Kill()
		time.Sleep(w.long / 3)
		w.server.Restart()
	}},

	{name: "Redis stopped", backend: standalone(), inflict: func(w *world) {
		w.server.Stop()
		w.last()
		w.server.Continue()
	}},

	{name: "TCP cut between one node and Redis", backend: proxied(), inflict: func(w *world) {
		w.proxies[0].Cut()
		until(w.t, "a message is refused", func() bool { return w.crowd.refused.Load() > 0 })
		w.last()
		w.proxies[0].Resume()
	}},

	{name: "a network between one node and Redis that loses everything", backend: proxied(), inflict: func(w *world) {
		w.proxies[0].Blackhole()
		time.Sleep(max(w.long, 3*w.size.probe)) // within two the node should have noticed
		w.proxies[0].Resume()
	}},

	{name: "200 ms of latency", backend: proxied(), quiet: true, inflict: func(w *world) {
		for _, p := range w.proxies {
			p.Latency(200 * time.Millisecond)
		}
		w.last()
		for _, p := range w.proxies {
			p.Latency(0)
		}
	}},

	{name: "Sentinel failover", backend: sentinels, renews: true, forgets: true, inflict: func(w *world) { w.sentinel.Failover() }},

	{name: "Cluster failover", backend: cluster, renews: true, forgets: true, inflict: func(w *world) { w.cluster.Failover(0) }},

	{name: "Cluster slot migration", backend: cluster, renews: true, inflict: migrate},

	{name: "a stale replica promoted", backend: replicated, renews: true, forgets: true, inflict: func(w *world) {
		w.behind.Cut()
		before := w.crowd.acknowledged.Load()
		until(w.t, "messages are acknowledged that the replica does not have", func() bool { return w.crowd.acknowledged.Load() > before+int64(len(w.crowd.clients)) })
		w.server.Kill()
		done(w.t, w.replica.Client(w.t).Do(w.t.Context(), "replicaof", "no", "one").Err())
		for _, p := range w.proxies {
			p.Retarget(w.replica.Addr)
		}
	}},

	{name: "CLIENT KILL of the subscriptions", backend: standalone(), inflict: func(w *world) {
		c := w.server.Client(w.t)
		for range 3 {
			killed, err := c.Do(w.t.Context(), "client", "kill", "type", "pubsub").Int()
			done(w.t, err)
			if killed < w.size.nodes {
				w.t.Errorf("%d subscriptions were killed, with %d nodes", killed, w.size.nodes)
			}
			time.Sleep(w.long / 3)
		}
	}},

	{name: "SCRIPT FLUSH and FUNCTION FLUSH", backend: standalone(), quiet: true, inflict: func(w *world) {
		c := w.server.Client(w.t)
		for range 3 {
			done(w.t, c.ScriptFlush(w.t.Context()).Err())
			done(w.t, c.FunctionFlush(w.t.Context()).Err())
			time.Sleep(w.long / 3)
		}
	}},

	{name: "a subscription killed at its output buffer's limit", backend: proxied(), inflict: overflow},

	{name: "maxmemory reached", backend: standalone("--maxmemory-policy", "noeviction"), inflict: func(w *world) {
		c := w.server.Client(w.t)
		done(w.t, c.ConfigSet(w.t.Context(), "maxmemory", "1mb").Err())
		until(w.t, "a message is refused", func() bool { return w.crowd.refused.Load() > 0 })
		w.last()
		done(w.t, c.ConfigSet(w.t.Context(), "maxmemory", "0").Err())
	}},

	{name: "a node killed", backend: standalone(), inflict: func(w *world) {
		w.nodes[0].Kill()
		w.crowd.nodes.Store(&[]string{w.nodes[1].Clients, w.nodes[len(w.nodes)-1].Clients})
		w.last()
		w.nodes[0] = startNode(w.t, "n0", w.settings(0))
		all := []string(nil)
		for _, n := range w.nodes {
			all = append(all, n.Clients)
		}
		w.crowd.nodes.Store(&all)
	}},
}

// migrate moves slots of rooms that are in use from one master to another, and half
// of them back.
func migrate(w *world) {
	from, to := w.cluster.Owner(0), w.cluster.Owner(16383)
	if from == to {
		w.t.Fatal("one master serves both ends")
	}
	c := from.Client(w.t)
	channels, err := c.PubSubShardChannels(w.t.Context(), "*").Result()
	done(w.t, err)
	var slots []int
	for _, channel := range channels {
		slot, err := c.ClusterKeySlot(w.t.Context(), channel).Result()
		done(w.t, err)
		if len(slots) < 8 && !slices.Contains(slots, int(slot)) {
			slots = append(slots, int(slot))
		}
	}
	if len(slots) < 2 {
		w.t.Fatalf("only %d slots are in use on a master", len(slots))
	}
	for i, slot := range slots {
		w.cluster.MigrateSlots(slot, slot, to)
		if i%2 == 0 {
			w.cluster.MigrateSlots(slot, slot, from)
		}
	}
}

// overflow lets nothing through to one node, and publishes to a channel that it is
// subscribed to until Redis gives its connection up.
func overflow(w *world) {
	ctx := w.t.Context()
	c := w.server.Client(w.t)
	done(w.t, c.ConfigSet(ctx, "client-output-buffer-limit", "pubsub 256kb 0 0").Err())
	channels, err := c.PubSubChannels(ctx, "*").Result()
	done(w.t, err)
	w.proxies[0].Blackhole()
	// It is no message of a node: they skip it, and are not harmed.
	rubbish := strings.Repeat("rubbish ", 4<<10)
	until(w.t, "Redis gives the subscription up", func() bool {
		for _, channel := range channels {
			done(w.t, c.Publish(ctx, channel, rubbish).Err())
		}
		return gaveUp(w.server)
	})
	time.Sleep(w.long / 3)
	w.proxies[0].Resume()
	done(w.t, c.ConfigSet(ctx, "client-output-buffer-limit", "pubsub 32mb 8mb 60").Err())
}

func gaveUp(s *redistest.Server) bool {
	return strings.Contains(s.Log(), "overcoming of output buffer limits")
}
