package router_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

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
	presents    atomic.Int64 // calls of Present
	subscribed  atomic.Int64 // Subscribe minus Unsubscribe, of those that succeeded
	subscribes  atomic.Int64
	unbalanced  atomic.Bool
	occupations atomic.Int64 // Enter minus Leave
}

func (b *broker) Subscribe(ctx context.Context, t router.Topic) error {
	b.subscribes.Add(1)
	if b.subscribe != nil {
		if err := b.subscribe(ctx, t); err != nil {
			return err
		}
	}
	err := b.Broker.Subscribe(ctx, t)
	if err == nil {
		b.subscribed.Add(1)
	}
	return err
}

func (b *broker) Unsubscribe(t router.Topic) {
	if b.subscribed.Add(-1) < 0 {
		b.unbalanced.Store(true)
	}
	b.Broker.Unsubscribe(t)
}

func (b *broker) Enter(ctx context.Context, room string, o router.Occupant) error {
	if b.enter != nil {
		if err := b.enter(room); err != nil {
			return err
		}
	}
	b.occupations.Add(1)
	return b.Broker.Enter(ctx, room, o)
}

func (b *broker) Leave(ctx context.Context, room string, o router.Occupant) error {
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
