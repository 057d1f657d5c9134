package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"sluice/router"
	"sluice/router/wire"
)

// Broker is one node's broker on Redis.
type Broker struct {
	// Static after construction.
	options Options
	log     *slog.Logger
	shards  []*shard // in the order of their names, which is the same on every node

	// Static after Start.
	sink     router.Sink
	presence *presence

	mu       sync.Mutex    // serialises Start with Close
	state    atomic.Int32  // written under mu
	done     chan struct{} // closed by Close when it begins
	ended    chan struct{} // closed by Close when it ends
	counters counters
}

var _ router.Broker = (*Broker)(nil)

// States of a Broker.
const (
	isNew int32 = iota
	isOpen
	isClosed
)

var (
	errNotStarted = errors.New("redisbroker: used before Start")
	errStarted    = errors.New("redisbroker: Start was called before")
)

// New checks the options. It connects to nothing: Start does.
func New(o Options) (*Broker, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Broker{options: o, log: o.Log, done: make(chan struct{}), ended: make(chan struct{})}
	for _, s := range sortedShards(o.Shards) {
		b.shards = append(b.shards, newShard(b, s, len(b.shards)))
	}
	b.presence = newPresence(b)
	return b, nil
}

// Start implements router.Broker. It fails if a Redis gives an answer that no
// waiting changes: a wrong password, a missing permission, another mode, a
// version before 7. A Redis that is away is no error: Health says so, and the
// broker keeps trying.
func (b *Broker) Start(sink router.Sink) error {
	if sink == nil {
		return errors.New("redisbroker: Start needs a sink")
	}
	if err := b.open(sink); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, s := range b.shards {
		wg.Go(s.ready)
	}
	wg.Wait()
	return nil
}

// open begins everything that goes on until Close.
func (b *Broker) open(sink router.Sink) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state.Load() {
	case isOpen:
		return errStarted
	case isClosed:
		return router.ErrBrokerClosed
	}
	if err := b.checkDeployments(); err != nil {
		return err
	}
	b.sink = sink
	b.state.Store(isOpen)
	for _, s := range b.shards {
		s.start()
	}
	b.presence.start()
	return nil
}

// checkDeployments asks all shards at the same time.
func (b *Broker) checkDeployments() error {
	ctx, cancel := context.WithTimeout(context.Background(), b.options.Timeout)
	defer cancel()
	refusals := make([]error, len(b.shards))
	var wg sync.WaitGroup
	for i, s := range b.shards {
		wg.Go(func() { refusals[i] = s.check(ctx) })
	}
	wg.Wait()
	return errors.Join(refusals...)
}

// usable is nil if the broker is open and ctx goes on.
func (b *Broker) usable(ctx context.Context) error {
	switch b.state.Load() {
	case isNew:
		return errNotStarted
	case isClosed:
		return router.ErrBrokerClosed
	}
	return ctx.Err()
}

func (b *Broker) closed() bool { return b.state.Load() == isClosed }

// outcome is the error of a call: that Close ended it counts more than how.
func (b *Broker) outcome(err error) error {
	if err != nil && b.closed() {
		return router.ErrBrokerClosed
	}
	return err
}

// Subscribe implements router.Broker.
func (b *Broker) Subscribe(ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
	if err := b.usable(ctx); err != nil {
		return router.Position{}, err
	}
	p, err := b.shardOf(t).subs.subscribe(ctx, t, keep)
	return p, b.outcome(err)
}

// Unsubscribe implements router.Broker.
func (b *Broker) Unsubscribe(t router.Topic) {
	if b.state.Load() == isOpen {
		b.shardOf(t).subs.unsubscribe(t)
	}
}

// Publish implements router.Broker.
func (b *Broker) Publish(ctx context.Context, m *router.Message) (router.Receipt, error) {
	if err := b.usable(ctx); err != nil {
		return router.Receipt{}, err
	}
	t, ok := topicOf(m)
	if !ok {
		return router.Receipt{}, fmt.Errorf("redisbroker: message of kind %d without a room or target, or of an unknown kind", m.Kind)
	}
	if err := publishable(m); err != nil {
		return router.Receipt{}, err
	}
	r, err := b.shardOf(t).publish(ctx, m)
	return r, b.outcome(err)
}

// publishable refuses what decodeMessage would: the nodes would drop it.
func publishable(m *router.Message) error {
	switch {
	case m.ID == "" && m.Kind != router.ControlMessage || len(m.ID) > maxID || !plain([]byte(m.ID)):
		return fmt.Errorf("redisbroker: the message's id is %.200q; 1 to %d printable ASCII characters are allowed", m.ID, maxID)
	case len(m.Key) > maxKey:
		return fmt.Errorf("redisbroker: the message's key has %d bytes; at most %d are allowed", len(m.Key), maxKey)
	case m.From != "" && wire.CheckName([]byte(m.From)) != "":
		return fmt.Errorf("redisbroker: the sender %q is no user's name: %s", m.From, wire.CheckName([]byte(m.From)))
	}
	return nil
}

// History implements router.Broker.
func (b *Broker) History(ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
	if err := b.usable(ctx); err != nil {
		return router.HistoryPage{}, err
	}
	page, err := b.shardOf(router.Topic{Name: room}).history(ctx, room, q)
	return page, b.outcome(err)
}

// Health implements router.Broker.
func (b *Broker) Health(ctx context.Context) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	ill := []error{b.presence.health()}
	for _, s := range b.shards {
		if err := s.health(); err != nil {
			ill = append(ill, fmt.Errorf("redis %s: %w", s.name, err))
		}
	}
	return b.outcome(joined(ill...))
}

// Close implements router.Broker. It leaves no goroutine.
func (b *Broker) Close() error {
	b.mu.Lock()
	before := b.state.Load()
	if before == isClosed {
		b.mu.Unlock()
		<-b.ended
		return nil
	}
	b.state.Store(isClosed)
	b.mu.Unlock()
	close(b.done)
	defer close(b.ended)
	if before == isOpen {
		b.presence.close() // the last to need Redis: it takes back what this node wrote
	}
	var wg sync.WaitGroup
	for _, s := range b.shards {
		wg.Go(func() { s.close(before == isOpen) })
	}
	wg.Wait()
	return nil
}
