package redisbroker

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// Rooms implements router.Broker. The cursor is the last room of the page
// before. It is for operators, not for the path of messages: a page costs every
// master a walk over all channels that somebody is subscribed to (PUBSUB
// CHANNELS; about 3 µs each, 0.3 s for 100,000, in which it serves nobody else), and
// this node the memory of one master's answer after the other; so large pages are cheaper than
// many. One call is made at a time. A shard that cannot be reached is an error, for the
// rest would look like all.
func (b *Broker) Rooms(ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
	if err := b.usable(ctx); err != nil {
		return router.RoomsPage{}, err
	}
	if limit < 1 {
		return router.RoomsPage{}, fmt.Errorf("redisbroker: a page of rooms needs a limit of at least 1, not %d", limit)
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	page, err := b.presence.rooms.page(ctx, limit, cursor)
	return page, b.outcome(err)
}

// roomLister lists the rooms that nodes are subscribed to.
type roomLister struct {
	b    *Broker
	turn chan struct{} // holds one: who takes it may list
}

func newRoomLister(b *Broker) *roomLister {
	l := &roomLister{b: b, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

func (l *roomLister) page(ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
	select {
	case <-l.turn:
		defer func() { l.turn <- struct{}{} }()
	case <-l.b.done:
		return router.RoomsPage{}, router.ErrBrokerClosed
	case <-ctx.Done():
		return router.RoomsPage{}, fmt.Errorf("redisbroker: another listing of rooms is under way: %w: %w", router.ErrUnavailable, ctx.Err())
	}
	names := smallest{after: cursor, keep: min(limit, 1<<30) + 1}
	for _, s := range l.b.shards {
		if err := s.eachRoom(ctx, names.add); err != nil {
			return router.RoomsPage{}, err
		}
	}
	var page router.RoomsPage
	page.Rooms = names.sorted()
	if len(page.Rooms) == names.keep {
		page.Rooms = page.Rooms[:limit]
		page.Cursor = page.Rooms[limit-1]
	}
	return page, nil
}

// eachRoom calls f for every room that somebody is subscribed to on this shard,
// for some twice: a Cluster's slot that moves is on two masters.
func (s *shard) eachRoom(ctx context.Context, f func(room string)) error {
	masters, err := s.masters(ctx)
	if err != nil {
		return fmt.Errorf("redis %s: finding its masters: %w: %w", s.name, router.ErrUnavailable, err)
	}
	for _, m := range masters {
		list := (*redis.Client).PubSubChannels
		if s.cluster != nil {
			list = (*redis.Client).PubSubShardChannels
		}
		channels, err := list(m, ctx, s.keys.rooms()).Result()
		if err != nil {
			if !answered(err) {
				return fmt.Errorf("redis %s: listing its channels: %w: %w", s.name, router.ErrUnavailable, err)
			}
			return s.refusal(err, "listing its channels")
		}
		for _, channel := range channels {
			if t, ok := s.keys.topic(channel); ok && !t.User && t.Name != "" {
				f(t.Name)
			}
		}
	}
	return nil
}

// smallest gathers the first keep of the names behind after.
type smallest struct {
	after string
	keep  int
	names []string
	most  string // of names, once pruned to keep: what is not smaller does not count
}

func (g *smallest) add(name string) {
	if name <= g.after || g.most != "" && name >= g.most {
		return
	}
	if g.names = append(g.names, name); len(g.names) >= 2*g.keep {
		g.prune()
	}
}

func (g *smallest) prune() {
	slices.Sort(g.names)
	g.names = slices.Compact(g.names)
	if len(g.names) >= g.keep {
		g.names = slices.Delete(g.names, g.keep, len(g.names))
		g.most = g.names[g.keep-1]
	}
}

func (g *smallest) sorted() []string {
	g.prune()
	return g.names
}
