package redisbroker

import (
	"context"
	_ "embed"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

//go:embed presence.lua
var presenceSource string

var presenceScript = redis.NewScript(presenceSource)

// presence is who is in which room by a connection of this node, and the writing
// of that to Redis.
//
// What is written is the state of a user on this node: how many connections he
// has in the room, and an info. Whoever is behind writes the state of now, not
// the changes since; so a write may be repeated, and a room that was lost is
// written again. Of one room one write is under way at a time, and what changes
// meanwhile goes together with the next.
//
//	presence.go   Enter, Leave and what they wait for; the refresh
//	occupancy.go  what this node knows of a room, and which of it Redis lacks
//	flight.go     one write of one room
//	outbox.go     which rooms are to be written; what happens while Redis is away
//	present.go    reading
//
// Goroutines: the refresher, one heart per shard (nodes.go), and workers of
// outboxes while something is to be written. Locks: occupancy.mu, then outbox.mu.
type presence struct {
	// Static after construction.
	b        *Broker
	run      string // this node, since this start: 16 hexadecimal digits
	seed     maphash.Seed
	parts    [presenceParts]occupancy
	outboxes [][]*outbox // by shard, and by partition of a Cluster
	registry *registry
	rooms    *roomLister
	ctx      context.Context // of writes; cancelled when Close has waited long enough
	cancel   context.CancelFunc
	done     chan struct{} // closed by close, when it begins

	refresher sync.WaitGroup
	work      sync.WaitGroup // goroutines of outboxes
}

// presenceParts is into how many parts the rooms are divided: each has a lock,
// and they are refreshed one after the other.
const presenceParts = 64

func newPresence(b *Broker) *presence {
	p := &presence{b: b, run: fmt.Sprintf("%016x", rand.Uint64()), seed: maphash.MakeSeed(), done: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for i := range p.parts {
		p.parts[i].rooms = make(map[string]*occupied)
	}
	for _, s := range b.shards {
		partitions := max(1, len(s.keys.tags))
		boxes := make([]*outbox, partitions)
		for i := range boxes {
			boxes[i] = &outbox{p: p, s: s, most: max(presenceFlights/partitions, 8)}
		}
		p.outboxes = append(p.outboxes, boxes)
	}
	p.registry = newRegistry(b, p.run)
	p.rooms = newRoomLister(b)
	return p
}

func (p *presence) start() {
	p.registry.start()
	p.refresher.Go(p.refreshAll)
}

// health is an error if this node should not be there.
func (p *presence) health() error { return p.registry.health() }

// close takes back what this node wrote, as far as Redis lets it within Timeout;
// the rest expires.
func (p *presence) close() {
	close(p.done)
	var registry sync.WaitGroup
	registry.Go(p.registry.close)
	p.refresher.Wait()
	for _, boxes := range p.outboxes {
		for _, box := range boxes {
			box.close()
		}
	}
	enough := time.AfterFunc(p.b.options.Timeout, p.cancel)
	for i := range p.parts {
		p.parts[i].close()
	}
	p.work.Wait()
	enough.Stop()
	p.cancel()
	registry.Wait()
}

func (p *presence) part(room string) *occupancy {
	return &p.parts[maphash.String(p.seed, room)%presenceParts]
}

// boxOf is where the writes of a room go.
func (p *presence) boxOf(room string) *outbox {
	t := router.Topic{Name: room}
	s := p.b.shardOf(t)
	return p.outboxes[s.index][s.keys.partition(t)]
}

// Enter implements router.Broker. It returns when other nodes can see it. While
// Redis is away, or once ctx or Timeout has ended, it returns at once: the
// occupant is kept and written later, and first says what this node knows.
func (b *Broker) Enter(ctx context.Context, room string, o router.Occupant) (first bool, err error) {
	if err := b.usable(ctx); err != nil {
		return false, err
	}
	return b.presence.change(ctx, room, o, true)
}

// Leave implements router.Broker. It does nothing for an occupant who is not
// there; else it returns as Enter does.
func (b *Broker) Leave(ctx context.Context, room string, o router.Occupant) (last bool, err error) {
	if err := b.usable(ctx); err != nil {
		return false, err
	}
	return b.presence.change(ctx, room, o, false)
}

// change notes that an occupant enters or leaves, and waits until that is
// written. edge reports that it was the first or last of the user's connections.
func (p *presence) change(ctx context.Context, room string, o router.Occupant, enters bool) (edge bool, err error) {
	part := p.part(room)
	part.mu.Lock()
	if part.closed {
		part.mu.Unlock()
		return false, router.ErrBrokerClosed
	}
	r, edge, w := part.changeLocked(p, room, o, enters)
	if w != nil {
		r.pushLocked()
	}
	part.mu.Unlock()
	if w == nil {
		return false, nil // he was not there
	}
	if r.box.away.Load() {
		return edge, nil
	}
	timer := time.NewTimer(p.b.options.Timeout)
	defer timer.Stop()
	select {
	case <-w.done:
		return edge && !w.elsewhere, nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return edge, nil
}

// refreshAll refreshes all rooms in a third of PresenceTTL, one part after the
// other.
func (p *presence) refreshAll() {
	ticker := time.NewTicker(max(p.b.options.PresenceTTL/3/presenceParts, time.Millisecond))
	defer ticker.Stop()
	for i := 0; ; i = (i + 1) % presenceParts {
		select {
		case <-ticker.C:
		case <-p.done:
			return
		}
		p.parts[i].refresh(func(*outbox) bool { return true })
	}
}

// refresh refreshes the rooms of some outboxes now.
func (p *presence) refresh(these func(*outbox) bool) {
	for i := range p.parts {
		p.parts[i].refresh(these)
	}
}

// suspect refreshes what a shard has: it was away, or has lost something.
func (p *presence) suspect(s *shard) { p.refresh(func(box *outbox) bool { return box.s == s }) }

// script calls presence.lua for a room.
func (p *presence) script(ctx context.Context, s *shard, room string, bytes int, args ...any) ([]any, error) {
	return s.run(ctx, s.reads, presenceScript, presenceSource, bytes, s.keys.presence(room), args...)
}

// number reads an integer of a script's answer.
func number(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	return 0, false
}
