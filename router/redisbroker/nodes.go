package redisbroker

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

//go:embed nodes.lua
var nodesSource string

var nodesScript = redis.NewScript(nodesSource)

const (
	beatInterval = 3 * time.Second  // between a node's writes of its own entry
	nodeTTL      = 10 * time.Second // for which it is seen after the last
)

// registry writes this node's entry in the list of nodes of every shard, and
// reads those lists.
type registry struct {
	// Static after construction.
	b    *Broker
	run  string          // distinguishes this node from another one of the same id
	ctx  context.Context // cancelled when Close begins
	stop context.CancelFunc
	work sync.WaitGroup // one heart per shard

	mu sync.Mutex
	// Guarded by mu.
	closed bool
	calls  sync.WaitGroup // of the sink; added to while not closed
	rivals map[int]rival  // by shard
}

// rival is another node that runs under this node's id.
type rival struct {
	seen  time.Time
	older bool // it was there before this one
}

func newRegistry(b *Broker, run string) *registry {
	g := &registry{b: b, run: run, rivals: make(map[int]rival)}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g
}

func (g *registry) start() {
	for _, s := range g.b.shards {
		g.work.Go(func() { (&heart{g: g, s: s}).beat() })
	}
}

// close removes this node's entries, and returns after the last call of the sink.
func (g *registry) close() {
	g.stop()
	g.work.Wait()
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.calls.Wait()
}

// describe asks the sink, unless the broker has closed.
func (g *registry) describe() (info router.NodeInfo, ok bool) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return info, false
	}
	g.calls.Add(1)
	g.mu.Unlock()
	defer g.calls.Done()
	if info = g.b.sink.Describe(); info.ID == "" {
		info.ID = g.b.options.NodeID
	}
	return info, true
}

// health is an error while another node, which was there before, has this
// one's id.
func (g *registry) health() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.rivals {
		if r.older && time.Since(r.seen) < nodeTTL {
			return fmt.Errorf("another running node has the id %q too, and was there first: give each node an id of its own", g.b.options.NodeID)
		}
	}
	return nil
}

// heart writes this node's entry to one shard.
type heart struct {
	g *registry
	s *shard
	// Owned by beat.
	id     string // under which the last entry was written
	first  string // when the first one was, by the shard's clock; "": not yet
	failed bool
}

// beat writes the entry every beatInterval, and removes it at the end.
func (h *heart) beat() {
	ticker := time.NewTicker(beatInterval)
	defer ticker.Stop()
	for {
		h.write()
		select {
		case <-ticker.C:
		case <-h.g.ctx.Done():
			h.leave()
			return
		}
	}
}

func (h *heart) write() {
	b := h.g.b
	info, ok := h.g.describe()
	if !ok {
		return
	}
	text, err := json.Marshal(info)
	if err != nil {
		b.log.Error("this node's entry in the list of nodes cannot be encoded", "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(h.g.ctx, b.options.Timeout)
	defer cancel()
	reply, err := h.g.script(ctx, h.s, "beat", info.ID, h.g.run, h.first, millis(nodeTTL), text)
	var now int64
	var before string
	if err == nil {
		var counted, isText bool
		if len(reply) == 2 {
			now, counted = number(reply[0])
			before, isText = reply[1].(string)
		}
		if !counted || !isText {
			err = errReply
		}
	}
	if err != nil {
		b.count(nodeFailed)
		if !h.failed && h.g.ctx.Err() == nil {
			b.log.Warn("this node cannot be written to the list of nodes now", "redis", h.s.name, "error", err)
		}
		h.failed = true
		return
	}
	if h.first == "" {
		h.first = strconv.FormatInt(now, 10) // what is there is from a node that has ended, for all one can know
	} else {
		h.compare(info.ID, before)
		if h.failed || before == "" && h.id == info.ID {
			b.presence.suspect(h.s)
		}
	}
	h.id, h.failed = info.ID, false
}

// compare looks at the entry that was there: only this node should have written
// it, as it has written since it started.
func (h *heart) compare(id, before string) {
	if before == "" || h.id != id {
		return
	}
	e, err := parseNode(id, before)
	if err != nil {
		h.g.b.count(malformedNode)
		return
	}
	if e.run == h.g.run {
		return
	}
	mine, _ := strconv.ParseInt(h.first, 10, 64)
	older := cmp.Or(cmp.Compare(e.first, mine), cmp.Compare(e.run, h.g.run)) < 0
	g := h.g
	g.mu.Lock()
	last, again := g.rivals[h.s.index]
	g.rivals[h.s.index] = rival{time.Now(), older}
	g.mu.Unlock()
	g.b.count(duplicateNode)
	if !again || time.Since(last.seen) > nodeTTL {
		g.b.log.Error("another running node has this node's id: give each node an id of its own", "node", id, "redis", h.s.name, "other_was_first", older)
	}
}

func (h *heart) leave() {
	if h.id == "" || h.failed {
		return // it expires
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.g.b.options.Timeout)
	defer cancel()
	if _, err := h.g.script(ctx, h.s, "leave", h.id, h.g.run); err != nil {
		h.g.b.log.Info("this node's entry in the list of nodes could not be removed; it expires", "redis", h.s.name, "error", err)
	}
}

// script calls nodes.lua. Keys of another type are removed: the nodes write them
// again.
func (g *registry) script(ctx context.Context, s *shard, args ...any) ([]any, error) {
	reply, err := s.run(ctx, s.reads, nodesScript, nodesSource, 512, s.keys.nodes(), args...)
	if err == nil || !foreign(err) {
		return reply, err
	}
	g.b.count(malformedNode)
	unlink := []any{"unlink"}
	for _, k := range s.keys.nodes() {
		unlink = append(unlink, k)
	}
	if err := s.reads.do(ctx, redis.NewIntCmd(ctx, unlink...), 0); err != nil {
		return nil, err
	}
	return s.run(ctx, s.reads, nodesScript, nodesSource, 512, s.keys.nodes(), args...)
}

// nodeEntry is what a node wrote of itself.
type nodeEntry struct {
	run         string
	first, last int64 // milliseconds of the shard's clock
	info        router.NodeInfo
}

func parseNode(id, text string) (e nodeEntry, err error) {
	fields := strings.SplitN(text, " ", 4)
	if len(fields) != 4 {
		return e, errors.New("it has too few fields")
	}
	var firstErr, lastErr error
	e.run = fields[0]
	e.first, firstErr = strconv.ParseInt(fields[1], 10, 64)
	e.last, lastErr = strconv.ParseInt(fields[2], 10, 64)
	if err = errors.Join(firstErr, lastErr, json.Unmarshal([]byte(fields[3]), &e.info)); err == nil && e.info.ID != id {
		err = fmt.Errorf("it is of %q", e.info.ID)
	}
	return e, err
}

// Nodes implements router.Broker: the nodes that any shard that can be reached
// knows of. This node's entry is what it says now.
func (b *Broker) Nodes(ctx context.Context) ([]router.NodeInfo, error) {
	if err := b.usable(ctx); err != nil {
		return nil, err
	}
	return b.presence.registry.nodes(ctx)
}

func (g *registry) nodes(ctx context.Context) ([]router.NodeInfo, error) {
	own, ok := g.describe()
	if !ok {
		return nil, router.ErrBrokerClosed
	}
	ctx, cancel := context.WithTimeout(ctx, g.b.options.Timeout)
	defer cancel()
	lists := make([]map[string]seenNode, len(g.b.shards))
	failures := make([]error, len(g.b.shards))
	var work sync.WaitGroup
	for i, s := range g.b.shards {
		work.Go(func() { lists[i], failures[i] = g.list(ctx, s) })
	}
	work.Wait()
	if !slices.Contains(failures, nil) {
		return nil, g.b.outcome(errors.Join(failures...))
	}
	freshest := make(map[string]seenNode)
	for _, list := range lists {
		for id, n := range list {
			if other, ok := freshest[id]; !ok || n.age < other.age {
				freshest[id] = n
			}
		}
	}
	freshest[own.ID] = seenNode{info: own}
	all := make([]router.NodeInfo, 0, len(freshest))
	for _, id := range slices.Sorted(maps.Keys(freshest)) {
		all = append(all, freshest[id].info)
	}
	return all, nil
}

// seenNode is a node as a shard has it. Ages of two shards can be compared, times
// cannot.
type seenNode struct {
	info router.NodeInfo
	age  int64 // milliseconds
}

// list reads one shard's list.
func (g *registry) list(ctx context.Context, s *shard) (map[string]seenNode, error) {
	reply, err := g.script(ctx, s, "all")
	if err != nil {
		return nil, err
	}
	if len(reply) != 3 {
		return nil, errReply
	}
	now, counted := number(reply[0])
	ids, values, ok := pairs(reply[1:])
	if !ok || !counted {
		return nil, errReply
	}
	list := make(map[string]seenNode, len(ids))
	for i, id := range ids {
		text, _ := values[i].(string)
		e, err := parseNode(id.(string), text)
		if err != nil {
			g.b.count(malformedNode)
			continue
		}
		list[e.info.ID] = seenNode{e.info, now - e.last}
	}
	return list, nil
}
