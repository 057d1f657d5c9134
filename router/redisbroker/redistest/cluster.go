package redistest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const slots = 16384

// Cluster is a Redis Cluster of masters with their replicas.
type Cluster struct {
	Nodes []*Server // first those that were made masters, then the replicas

	t testing.TB
}

// StartCluster runs a Cluster, and returns when all its nodes know all slots to
// be served and the replicas are in step. args are options of all nodes.
func StartCluster(t testing.TB, masters, replicasPerMaster int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range masters * (1 + replicasPerMaster) {
		c.Nodes = append(c.Nodes, start(t, clusterNode, "", args...))
	}
	first := c.Nodes[0]
	host, port, _ := net.SplitHostPort(first.Addr)
	for i, n := range c.Nodes {
		n.do("cluster", "set-config-epoch", i+1) // else they would have to settle who is older
		if i < masters {
			n.do("cluster", "addslotsrange", i*slots/masters, (i+1)*slots/masters-1)
		}
		if i > 0 {
			n.do("cluster", "meet", host, port, first.bus)
		}
	}
	for _, n := range c.Nodes {
		await(t, "the nodes of the Cluster know each other", func() bool { return n.clusterInfo("cluster_known_nodes") == fmt.Sprint(len(c.Nodes)) })
	}
	for i, n := range c.Nodes[masters:] {
		n.do("cluster", "replicate", c.Nodes[i%masters].clusterID())
	}
	c.AwaitOK()
	for _, n := range c.Nodes[masters:] {
		await(t, "a replica follows its master", func() bool { return n.Info("master_link_status") == "up" })
	}
	return c
}

// Addrs are the nodes' addresses.
func (c *Cluster) Addrs() []string { return addresses(c.Nodes) }

// Client is a client of the Cluster, closed at the end of the test.
func (c *Cluster) Client(t testing.TB) *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Protocol: 2, DisableIdentity: true,
		DialTimeout: Patience / 4, ReadTimeout: Patience / 4, WriteTimeout: Patience / 4})
	t.Cleanup(func() { client.Close() })
	return client
}

// AwaitOK waits until every node that lives says that all slots are served, and
// all name the same owners.
func (c *Cluster) AwaitOK() {
	c.t.Helper()
	await(c.t, "the Cluster is whole", func() bool {
		view := ""
		for _, n := range c.Nodes {
			if !n.process().alive() {
				continue
			}
			if n.clusterInfo("cluster_state") != "ok" {
				return false
			}
			owners := n.owners()
			if view != "" && owners != view {
				return false
			}
			view = owners
		}
		return view != ""
	})
}

// Masters are the nodes that serve slots, as the nodes that live see it.
func (c *Cluster) Masters() []*Server {
	c.t.Helper()
	var list []*Server
	for _, n := range c.Nodes {
		if n.process().alive() && n.role() == "master" && n.slotCount() > 0 {
			list = append(list, n)
		}
	}
	return list
}

// Owner is the master that serves a slot.
func (c *Cluster) Owner(slot int) *Server {
	c.t.Helper()
	for _, n := range c.Nodes {
		if !n.process().alive() {
			continue
		}
		ranges, err := n.clusterSlots()
		if err != nil {
			continue
		}
		for _, r := range ranges {
			if r.Start <= slot && slot <= r.End && len(r.Nodes) > 0 {
				if i := slices.IndexFunc(c.Nodes, func(s *Server) bool { return s.Addr == r.Nodes[0].Addr }); i >= 0 {
					return c.Nodes[i]
				}
			}
		}
	}
	c.t.Fatalf("redistest: nobody serves the slot %d", slot)
	return nil
}

// Failover kills the master that serves a slot, waits until a replica of it has
// taken over and the Cluster is whole again, and returns both.
func (c *Cluster) Failover(slot int) (old, promoted *Server) {
	c.t.Helper()
	old = c.Owner(slot)
	old.Kill()
	await(c.t, "a replica takes over", func() bool {
		for _, n := range c.Nodes {
			if n.process().alive() && n.role() == "master" && n.serves(slot) {
				promoted = n
				return true
			}
		}
		return false
	})
	c.AwaitOK()
	return old, promoted
}

// MigrateSlots moves the slots from first to last, whoever serves them, with
// their keys to another master, as redis-cli --cluster reshard does: one by one
// while clients use them.
func (c *Cluster) MigrateSlots(first, last int, to *Server) {
	c.t.Helper()
	host, port, _ := net.SplitHostPort(to.Addr)
	target := to.clusterID()
	for slot := first; slot <= last; slot++ {
		from := c.Owner(slot)
		if from == to {
			continue
		}
		to.do("cluster", "setslot", slot, "importing", from.clusterID())
		from.do("cluster", "setslot", slot, "migrating", target)
		for {
			keys, _ := from.do("cluster", "getkeysinslot", slot, 100).([]any)
			if len(keys) == 0 {
				break
			}
			from.do(append([]any{"migrate", host, port, "", 0, Patience.Milliseconds(), "replace", "keys"}, keys...)...)
		}
		to.do("cluster", "setslot", slot, "node", target)
		for _, n := range c.Masters() {
			if n != to {
				n.do("cluster", "setslot", slot, "node", target)
			}
		}
	}
	c.AwaitOK()
}

func (s *Server) clusterID() string {
	s.t.Helper()
	id, _ := s.do("cluster", "myid").(string)
	return id
}

// clusterInfo is a field of CLUSTER INFO, "" if the node does not answer.
func (s *Server) clusterInfo(field string) string {
	text, _ := s.try("cluster", "info")
	info, _ := text.(string)
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value
		}
	}
	return ""
}

func (s *Server) clusterSlots() ([]redis.ClusterSlot, error) {
	client := s.newClient()
	defer client.Close()
	//lint:ignore SA1019 CLUSTER SLOTS names the owner of a range first, which is what is asked for.
	return client.ClusterSlots(context.Background()).Result()
}

// owners says who serves which slots, in a form to compare; "" if the node does
// not answer.
func (s *Server) owners() string {
	ranges, err := s.clusterSlots()
	if err != nil {
		return ""
	}
	var lines []string
	for _, r := range ranges {
		if len(r.Nodes) > 0 {
			lines = append(lines, fmt.Sprintf("%05d-%05d %s", r.Start, r.End, r.Nodes[0].Addr))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// serves reports that the node takes itself for the owner of a slot.
func (s *Server) serves(slot int) bool {
	ranges, err := s.clusterSlots()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(ranges, func(r redis.ClusterSlot) bool {
		return r.Start <= slot && slot <= r.End && len(r.Nodes) > 0 && r.Nodes[0].Addr == s.Addr
	})
}

// slotCount is how many slots the node takes itself for the owner of.
func (s *Server) slotCount() int {
	ranges, _ := s.clusterSlots()
	n := 0
	for _, r := range ranges {
		if len(r.Nodes) > 0 && r.Nodes[0].Addr == s.Addr {
			n += r.End - r.Start + 1
		}
	}
	return n
}
