package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/router/redisbroker/redistest"
)

// world is a Redis, nodes on it, and a crowd on them.
type world struct {
	t     *testing.T
	size  size
	long  time.Duration // how long a fault lasts that lasts
	nodes []*node
	crowd *crowd

	// What the nodes meet on: one of them is there.
	server   *redistest.Server
	replica  *redistest.Server // of server, where a fault needs one
	sentinel *redistest.Sentinel
	cluster  *redistest.Cluster

	// Between each node and server, or between replica and server.
	proxies []*redistest.Proxy
	behind  *redistest.Proxy
}

// size is how large and how long.
type size struct {
	nodes int
	plan  plan
	warm  time.Duration // from when everyone talks to the fault
	long  time.Duration // how long a fault lasts that lasts
	probe time.Duration // redis.probe_interval
}

// sized is what the figures are of, or what fits into every run of the tests.
func sized() size {
	if full {
		return size{nodes: 4, plan: plan{clients: 2000, members: 4, pause: 2 * time.Second, stay: 20 * time.Second},
			warm: 5 * time.Second, long: 30 * time.Second, probe: 5 * time.Second}
	}
	return size{nodes: 3, plan: plan{clients: 100, members: 4, pause: 500 * time.Millisecond, stay: 5 * time.Second},
		warm: time.Second, long: 3 * time.Second, probe: 3 * time.Second}
}

// backend starts what the nodes meet on.
type backend func(w *world)

func standalone(args ...string) backend {
	return func(w *world) { w.server = redistest.Start(w.t, args...) }
}

// proxied is a standalone Redis with a proxy before each node.
func proxied(args ...string) backend {
	return func(w *world) {
		w.server = redistest.Start(w.t, args...)
		for range w.size.nodes {
			w.proxies = append(w.proxies, redistest.NewProxy(w.t, w.server.Addr))
		}
	}
}

// replicated is like proxied, with a replica that follows through a proxy.
func replicated(w *world) {
	proxied()(w)
	w.behind = redistest.NewProxy(w.t, w.server.Addr)
	w.replica = redistest.Start(w.t, "--replicaof", strings.Replace(w.behind.Addr, ":", " ", 1), "--repl-diskless-sync-delay", "0")
	until(w.t, "the replica follows", func() bool { return w.replica.Info("master_link_status") == "up" })
}

func sentinels(w *world) { w.sentinel = redistest.StartSentinel(w.t) }

func cluster(w *world) { w.cluster = redistest.StartCluster(w.t, 3, 1) }

// settings is the section redis of a node's configuration.
func (w *world) settings(node int) string {
	mode, addresses, more := "standalone", []string(nil), ""
	switch {
	case w.sentinel != nil:
		mode, addresses, more = "sentinel", w.sentinel.Addrs(), "master: "+redistest.MasterName+", "
	case w.cluster != nil:
		mode, addresses = "cluster", w.cluster.Addrs()
	case w.proxies != nil:
		addresses = []string{w.proxies[node].Addr}
	default:
		addresses = []string{w.server.Addr}
	}
	return fmt.Sprintf("broker: redis\nredis: {mode: %s, addresses: [\"%s\"], %sprobe_interval: %s}",
		mode, strings.Join(addresses, `", "`), more, w.size.probe)
}

// build starts everything, and returns when everyone talks.
func build(t *testing.T, s size, b backend) *world {
	t.Helper()
	w := &world{t: t, size: s, long: s.long}
	b(w)
	w.nodes = make([]*node, s.nodes)
	var starting sync.WaitGroup
	for i := range w.nodes {
		starting.Go(func() { w.nodes[i] = startNode(t, fmt.Sprintf("n%d", i), w.settings(i)) })
	}
	starting.Wait()
	var addresses []string
	for _, n := range w.nodes {
		if n == nil {
			t.FailNow() // its own goroutine has said why
		}
		addresses = append(addresses, n.Clients)
	}
	w.crowd = gather(t, s.plan, addresses)
	return w
}

// unready waits until every node says that it has no Redis, and which.
func (w *world) unready() {
	for _, n := range w.nodes {
		until(w.t, "a node without Redis is not ready, and names it", func() bool {
			code, body := n.Get("/readyz")
			return code == http.StatusServiceUnavailable && strings.Contains(body, w.server.Addr)
		})
	}
}

// last lets the fault last.
func (w *world) last() { time.Sleep(w.long) }
