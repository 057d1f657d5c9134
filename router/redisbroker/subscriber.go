package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// subscriber keeps a subscription connection to one Redis: to the shard's, or in
// a Cluster to one of its masters.
type subscriber struct {
	// Static after construction.
	subs     *subscriptions
	address  string // of a Cluster's master; else ""
	endpoint endpoint
	ctx      context.Context // ends with close, or when the master has no partition any more
	cancel   context.CancelFunc
	wake     chan struct{} // holds one if queue or leaving may have something

	// Guarded by subscriptions.mu.
	conn     *connection // nil: none
	away     bool        // the last attempt to connect failed
	err      error       // why there is no connection, or the last probe failed
	restored bool        // everything has been subscribed on this connection
	before   bool        // there was a connection before this one
	probed   bool        // Redis has answered a probe's PING on this connection
	refusal  error       // of the last (un)subscription that Redis refused
	queue    []*topic    // to be subscribed
	leaving  []*topic    // to be unsubscribed
}

func newSubscriber(s *subscriptions, address string) *subscriber {
	l := &subscriber{subs: s, address: address, wake: make(chan struct{}, 1), err: errNotYet}
	l.ctx, l.cancel = context.WithCancel(s.ctx)
	l.endpoint.name = connectionName("subscriber", s.b.options.NodeID)
	if s.s.cluster != nil {
		o := s.s.cluster.Options()
		dial := o.Dialer
		if dial == nil {
			dial = redis.NewDialer(&redis.Options{DialTimeout: o.DialTimeout, TLSConfig: o.TLSConfig})
		}
		l.endpoint.username, l.endpoint.password = o.Username, o.Password
		l.endpoint.dial = func(ctx context.Context) (net.Conn, error) { return dial(ctx, "tcp", address) }
		return l
	}
	// The client's dialer knows TLS, and with Sentinel asks who the master is.
	o := s.s.client.(*redis.Client).Options()
	l.endpoint.username, l.endpoint.password = o.Username, o.Password
	l.endpoint.dial = func(ctx context.Context) (net.Conn, error) { return o.Dialer(ctx, o.Network, o.Addr) }
	return l
}

// connectionName is what CLIENT LIST shows of a connection for some purpose.
func connectionName(purpose, node string) string {
	for i := range len(node) {
		if node[i] <= ' ' || node[i] > '~' {
			return "sluice-" + purpose
		}
	}
	return "sluice-" + purpose + ":" + node
}

var errNotYet = errors.New("not connected yet")

// run connects, again and again, until the subscriber is told to end.
func (l *subscriber) run() {
	for attempt := 0; ; attempt++ {
		c, err := l.open(l.ctx)
		if err != nil {
			l.subs.unreachable(l, err)
		} else {
			stop := context.AfterFunc(l.ctx, func() { c.fail(errEnded) })
			l.subs.connected(l, c)
			err = c.serve()
			stop()
			if l.subs.disconnected(l, err) {
				attempt = 0 // it had worked: the first attempt comes soon
			}
		}
		notify(l.subs.stale)
		if !sleep(l.ctx, backoff(attempt, l.subs.b.options.MaxReconnect)) {
			return
		}
	}
}

// connected has all topics of the link subscribed to.
func (s *subscriptions) connected(l *subscriber, c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.conn, l.away, l.err, l.refusal, l.restored, l.probed = c, false, nil, nil, false, false
	l.queue, l.leaving = nil, nil
	for channel, t := range s.topics {
		if t.link != l {
			continue
		}
		t.state, t.leavings = topicOff, 0
		if t.refs.Load() == 0 {
			delete(s.topics, channel)
			continue
		}
		s.enqueueLocked(t)
	}
}

// disconnected reports whether the connection had worked.
func (s *subscriptions) disconnected(l *subscriber, err error) bool {
	s.mu.Lock()
	worked := l.probed
	l.conn, l.err = nil, err
	l.queue, l.leaving = nil, nil
	s.mu.Unlock()
	if s.ctx.Err() == nil && l.ctx.Err() == nil {
		s.b.count(connectionLost)
		s.b.log.Warn("a subscription connection to redis was lost", "redis", s.s.name, "address", l.address, "error", err)
	}
	return worked
}

// unreachable fails those who wait to subscribe.
func (s *subscriptions) unreachable(l *subscriber, err error) {
	s.mu.Lock()
	first := !l.away
	news := first || l.err == nil || l.err.Error() != err.Error()
	l.away, l.err = true, err
	if first {
		away := s.awayLocked(l)
		for _, t := range s.topics {
			if t.link == l && t.starting != nil {
				s.finishLocked(t, t.starting, router.Position{}, away)
			}
		}
	}
	s.mu.Unlock()
	if news && l.ctx.Err() == nil {
		s.b.log.Warn("redis cannot be reached to subscribe; trying again", "redis", s.s.name, "address", l.address, "error", err)
	}
}

// healthLocked is nil while the link's topics are subscribed and probes come back.
func (l *subscriber) healthLocked() error {
	var what string
	switch err := l.err; {
	case l.conn == nil:
		what = "the subscription connection is down: " + err.Error()
	case err != nil:
		what = "the subscription connection fails its probe: " + err.Error()
	case l.refusal != nil:
		what = "subscriptions are refused: " + l.refusal.Error()
	case !l.restored:
		what = "subscriptions are being restored"
	case !l.probed:
		what = "the subscription connection has not been probed yet"
	default:
		return nil
	}
	if l.address != "" {
		return fmt.Errorf("master %s: %s", l.address, what)
	}
	return errors.New(what)
}

// pending reports whether the link has something to send.
func (s *subscriptions) pending(l *subscriber) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(l.queue)+len(l.leaving) > 0
}

// take is what the link should send next; nil: nothing.
func (s *subscriptions) take(l *subscriber, number uint64) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &batch{}
	for len(l.leaving) > 0 && len(b.unsubscribe) < batchTopics {
		t := l.leaving[0]
		l.leaving = l.leaving[1:]
		if t.link == l && t.state == topicLeaving {
			t.state = topicLeft
			t.leavings++
			b.unsubscribe = append(b.unsubscribe, t)
		}
	}
	for len(l.queue) > 0 && len(b.unsubscribe)+len(b.subscribe) < batchTopics {
		t := l.queue[0]
		l.queue = l.queue[1:]
		if t.link != l || t.state != topicQueued {
			continue
		}
		if t.refs.Load() == 0 {
			t.state = topicOff
			continue
		}
		t.state, t.batch = topicSent, number
		b.subscribe = append(b.subscribe, t)
	}
	if len(b.unsubscribe)+len(b.subscribe) == 0 {
		l.queue, l.leaving = nil, nil
		return nil
	}
	byPartition := func(x, y *topic) int { return x.partition - y.partition }
	slices.SortStableFunc(b.unsubscribe, byPartition)
	slices.SortStableFunc(b.subscribe, byPartition)
	return b
}

// subscribed takes Redis's confirmation. What follows on the connection is
// delivered, or if the topic had been subscribed before, is caught up.
func (s *subscriptions) subscribed(l *subscriber, channel []byte) {
	s.mu.Lock()
	t := s.topics[string(channel)]
	// Before the answer to an UNSUBSCRIBE it confirms a subscription that ends with it.
	if t == nil || t.link != l || t.state != topicSent || t.leavings > 0 {
		s.mu.Unlock()
		return
	}
	t.state = topicOn
	i := item{kind: itemResumed, topic: t}
	if t.fresh {
		t.fresh = false
		i.kind, i.start = itemOpened, t.starting
	}
	s.mu.Unlock()
	t.worker.put(i)
}

// unsubscribed takes Redis's confirmation, or its notice that the slot has moved
// to another master.
func (s *subscriptions) unsubscribed(l *subscriber, channel []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[string(channel)]
	if t == nil || t.link != l {
		return
	}
	if t.leavings > 0 {
		t.leavings--
		s.leftLocked(t)
		return
	}
	if t.state != topicQueued && t.state != topicLeaving {
		t.state = topicOff
		s.retryLocked(t, errMoved)
		notify(s.stale)
	}
}

// leftLocked forgets a topic that has been unsubscribed and not wanted again.
func (s *subscriptions) leftLocked(t *topic) {
	if t.state == topicLeft && t.refs.Load() == 0 && s.topics[t.channel] == t {
		t.state = topicOff
		delete(s.topics, t.channel)
	}
}

// settled is called when everything that Redis says to a batch has been read.
func (s *subscriptions) settled(l *subscriber, b *batch) {
	if s.settle(l, b) {
		s.b.count(connectionRestored)
		s.b.log.Info("a subscription connection to redis was restored", "redis", s.s.name, "address", l.address)
	}
}

// settle reports whether a connection that had been lost is restored by it.
func (s *subscriptions) settle(l *subscriber, b *batch) (restored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range b.unsubscribe {
		if t.link == l && t.leavings > 0 {
			t.leavings = 0
			s.leftLocked(t)
		}
	}
	refused := false
	for _, t := range b.subscribe {
		if t.link == l && t.state == topicSent && t.batch == b.number {
			refused = true
			s.refusedLocked(t, b.err)
		}
	}
	if refused {
		l.refusal = b.err
		notify(s.stale)
	} else if len(s.refused)+len(s.redirected)+len(l.queue) == 0 && (l.conn == nil || !l.conn.subscribing()) {
		l.refusal = nil // nothing that was refused is still wanted
	}
	if l.restored || refused || len(l.queue) > 0 || l.conn == nil || l.conn.subscribing() {
		return false
	}
	l.restored = true
	restored, l.before = l.before, true
	return restored
}

// subscribing reports whether subscriptions are under way.
func (c *connection) subscribing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.sent, func(b *batch) bool { return len(b.subscribe) > 0 })
}

// refusedLocked has a topic tried again, unless somebody waits who can be told.
func (s *subscriptions) refusedLocked(t *topic, err error) {
	t.state = topicOff
	if err == nil {
		err = errMoved // not refused: the confirmation was taken for that of an earlier attempt
	}
	if t.starting != nil && !redirected(err) {
		s.finishLocked(t, t.starting, router.Position{}, fmt.Errorf("subscribing to %s: %w", t.channel, err))
		return
	}
	s.retryLocked(t, err)
}
