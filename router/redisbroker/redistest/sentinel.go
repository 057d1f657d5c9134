package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MasterName is what Sentinels call their group.
const MasterName = "main"

// Sentinel is a master with two replicas, and three sentinels that watch them.
type Sentinel struct {
	Servers   []*Server // the first one is the master at the start
	Sentinels []*Server

	t testing.TB
}

// StartSentinel runs the group with its sentinels, and returns when every
// sentinel knows all of them and the replicas are in step. args are options of
// the three servers.
func StartSentinel(t testing.TB, args ...string) *Sentinel {
	t.Helper()
	g := &Sentinel{t: t}
	master := Start(t, args...)
	host, port, _ := net.SplitHostPort(master.Addr)
	g.Servers = append(g.Servers, master)
	for range 2 {
		g.Servers = append(g.Servers, Start(t, append([]string{"--replicaof", host + " " + port}, args...)...))
	}
	for _, replica := range g.Servers[1:] {
		await(t, "a replica follows the master", func() bool { return replica.Info("master_link_status") == "up" })
	}
	for range 3 {
		g.Sentinels = append(g.Sentinels, startSentinel(t, host, port))
	}
	for _, s := range g.Sentinels {
		await(t, "a sentinel knows the others and the replicas", func() bool { return g.knows(s) })
	}
	return g
}

// startSentinel runs one sentinel. It writes to its configuration what it learns.
func startSentinel(t testing.TB, host, port string) *Server {
	t.Helper()
	config := strings.Join([]string{
		fmt.Sprintf("sentinel monitor %s %s %s 2", MasterName, host, port),
		// Long enough that a busy machine does not look like a dead master.
		fmt.Sprintf("sentinel down-after-milliseconds %s 1500", MasterName),
		fmt.Sprintf("sentinel failover-timeout %s 10000", MasterName),
		fmt.Sprintf("sentinel parallel-syncs %s 2", MasterName),
	}, "\n") + "\n"
	return start(t, sentinel, config)
}

// Addrs are the sentinels' addresses.
func (g *Sentinel) Addrs() []string { return addresses(g.Sentinels) }

func addresses(servers []*Server) []string {
	var list []string
	for _, s := range servers {
		list = append(list, s.Addr)
	}
	return list
}

// knows reports that a sentinel has found the two others and both replicas.
func (g *Sentinel) knows(s *Server) bool {
	master := g.ask(s, "master")
	return master["num-other-sentinels"] == "2" && master["num-slaves"] == "2" && master["flags"] == "master"
}

// ask is what a sentinel says of the group, nil if it does not answer.
func (g *Sentinel) ask(s *Server, question string) map[string]string {
	c := s.newClient()
	defer c.Close()
	cmd := redis.NewMapStringStringCmd(context.Background(), "sentinel", question, MasterName)
	_ = c.Process(context.Background(), cmd)
	return cmd.Val()
}

// Master is the server that most sentinels take for the master; nil: they do not
// agree.
func (g *Sentinel) Master() *Server {
	votes := make(map[string]int)
	for _, s := range g.Sentinels {
		m := g.ask(s, "master")
		votes[net.JoinHostPort(m["ip"], m["port"])]++
	}
	for _, s := range g.Servers {
		if votes[s.Addr] >= 2 {
			return s
		}
	}
	return nil
}

// Failover kills the master, waits until the sentinels have made a replica the
// new one, and returns the old one and the new one.
func (g *Sentinel) Failover() (old, promoted *Server) {
	g.t.Helper()
	old = g.Master()
	if old == nil {
		g.t.Fatal("redistest: the sentinels do not agree on a master to kill")
	}
	old.Kill()
	g.AwaitMaster(old)
	return old, g.Master()
}

// AwaitMaster waits until the sentinels agree on a master other than old, and
// it is one.
func (g *Sentinel) AwaitMaster(old *Server) {
	g.t.Helper()
	await(g.t, "the sentinels promote a replica", func() bool {
		m := g.Master()
		return m != nil && m != old && m.role() == "master"
	})
}

// role is "master", "slave", or "" if the server does not say.
func (s *Server) role() string {
	answer, err := s.try("role")
	list, ok := answer.([]any)
	if err != nil || !ok || len(list) == 0 {
		return ""
	}
	role, _ := list[0].(string)
	return role
}
