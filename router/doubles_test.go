package router_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

// filters is a chain whose answers the test writes.
type filters struct {
	hooks   map[router.Hook]func(*router.Event) // fixed once in use
	retired atomic.Bool
	judged  atomic.Int64
}

func newFilters() *filters { return &filters{hooks: make(map[router.Hook]func(*router.Event))} }

func (f *filters) on(h router.Hook, answer func(*router.Event)) *filters {
	f.hooks[h] = answer
	return f
}

func (f *filters) Handles(h router.Hook) bool { return f.hooks[h] != nil }

func (f *filters) Judge(e *router.Event) error {
	if f.retired.Load() {
		return router.ErrRetired
	}
	f.judged.Add(1)
	e.Verdict = router.Verdict{}
	f.hooks[e.Hook](e)
	return nil
}

func withFilters(f router.Filters) setup {
	return func(_ *router.Options, g *router.Generation) { g.Filters = f }
}

func withLimits(change func(*router.Limits)) setup {
	return func(_ *router.Options, g *router.Generation) { change(&g.Limits) }
}

func withRule(match string, change func(*router.RoomRule)) setup {
	return func(_ *router.Options, g *router.Generation) {
		p, err := router.ParsePattern(match)
		if err != nil {
			panic(err)
		}
		r := router.RoomRule{Match: p}
		change(&r)
		g.Rooms = append(g.Rooms, r)
	}
}

func withPresence(match string) setup {
	return withRule(match, func(r *router.RoomRule) { r.Presence = true })
}

// keeping keeps that many messages of the rooms, and announces nothing in them.
func keeping(match string, size int) setup {
	return withRule(match, func(r *router.RoomRule) {
		r.History = router.Keep{Size: size, TTL: time.Hour}
		r.Announce = router.AnnounceOff
	})
}

// silent turns announcements of connections off.
func silent(o *router.Options, _ *router.Generation) { o.AnnounceConnections = router.AnnounceOff }

// recorded is what a hook saw, kept beyond the event.
type recorded struct {
	mu     sync.Mutex
	events []router.Event
}

func (r *recorded) hook(e *router.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := *e
	kept.Payload = append([]byte(nil), e.Payload...)
	kept.Scratch, kept.States, kept.Request = nil, nil, nil
	r.events = append(r.events, kept)
}

func (r *recorded) all() []router.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]router.Event(nil), r.events...)
}

// broker is a real one whose calls the test may fail, hold or watch.
type broker struct {
	router.Broker
	subscribe   func(ctx context.Context, t router.Topic) error
	enter       func(room string) error
	publish     func(m *router.Message) error
	history     func(room string, q router.HistoryQuery) error // called before the real one
	histories   atomic.Int64
	presents    atomic.Int64 // calls of Present
	subscribed  atomic.Int64 // Subscribe minus Unsubscribe, of those that succeeded
	subscribes  atomic.Int64
	unbalanced  atomic.Bool
	occupations atomic.Int64 // Enter minus Leave
}

func (b *broker) Subscribe(ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
	b.subscribes.Add(1)
	if b.subscribe != nil {
		if err := b.subscribe(ctx, t); err != nil {
			return router.Position{}, err
		}
	}
	p, err := b.Broker.Subscribe(ctx, t, keep)
	if err == nil {
		b.subscribed.Add(1)
	}
	return p, err
}

func (b *broker) Unsubscribe(t router.Topic) {
	if b.subscribed.Add(-1) < 0 {
		b.unbalanced.Store(true)
	}
	b.Broker.Unsubscribe(t)
}

func (b *broker) Enter(ctx context.Context, room string, o router.Occupant) (first bool, err error) {
	if b.enter != nil {
		if err := b.enter(room); err != nil {
			return false, err
		}
	}
	b.occupations.Add(1)
	return b.Broker.Enter(ctx, room, o)
}

func (b *broker) Leave(ctx context.Context, room string, o router.Occupant) (last bool, err error) {
	b.occupations.Add(-1)
	return b.Broker.Leave(ctx, room, o)
}

func (b *broker) Publish(ctx context.Context, m *router.Message) (router.Receipt, error) {
	if b.publish != nil {
		if err := b.publish(m); err != nil {
			return router.Receipt{}, err
		}
	}
	return b.Broker.Publish(ctx, m)
}

func (b *broker) History(ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
	b.histories.Add(1)
	if b.history != nil {
		if err := b.history(room, q); err != nil {
			return router.HistoryPage{}, err
		}
	}
	return b.Broker.History(ctx, room, q)
}

func (b *broker) Present(ctx context.Context, room string, limit int, cursor string) (router.PresencePage, error) {
	b.presents.Add(1)
	return b.Broker.Present(ctx, room, limit, cursor)
}

func startNodeWith(t testing.TB, b *broker, inner router.Broker, setups ...setup) *node {
	t.Helper()
	b.Broker = inner
	t.Cleanup(func() { inner.Close() })
	return startNodeOn(t, b, setups...)
}
