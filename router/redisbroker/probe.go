package redisbroker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// probe is what a connection knows of the messages that the node publishes to
// itself.
type probe struct {
	mu       sync.Mutex
	channel  string // that the next probe goes to; guarded by mu, as what follows
	nonce    string
	ready    bool // Redis has confirmed the subscription to channel
	number   uint64
	returned uint64        // the last that came back
	changed  chan struct{} // holds one if returned has changed
}

func (p *probe) init() { p.changed = make(chan struct{}, 1) }

// newNonce is drawn once per process and shard: two nodes that are called the
// same by mistake, or two runs of one, do not take each other's probes for their own.
func newNonce() string { return rand.Text()[:12] }

// received reports whether a message was a probe.
func (p *probe) received(channel, payload []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if string(channel) != p.channel {
		return false
	}
	nonce, number, _ := strings.Cut(string(payload), ":")
	if n, err := strconv.ParseUint(number, 10, 64); err == nil && nonce == p.nonce && n <= p.number && n > p.returned {
		p.returned = n
		notify(p.changed)
	}
	return true
}

// subscribed and unsubscribed report whether the channel is the probes'.
func (p *probe) subscribed(channel []byte) bool { return p.set(channel, true) }

func (p *probe) unsubscribed(channel []byte) bool { return p.set(channel, false) }

func (p *probe) set(channel []byte, ready bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if string(channel) != p.channel {
		return false
	}
	p.ready = ready
	return true
}

// aim has the next probes go to a channel, and reports whether it has to be
// subscribed to.
func (p *probe) aim(channel, nonce string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.channel != channel {
		p.channel, p.nonce, p.ready = channel, nonce, false
	}
	return !p.ready
}

// begin is the next probe's number and payload.
func (p *probe) begin() (uint64, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	return p.number, p.nonce + ":" + strconv.FormatUint(p.number, 10)
}

func (p *probe) isReady() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

func (p *probe) back(number uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.returned >= number
}

// Why a connection that gives no error is replaced.
var (
	errProbeLost = errors.New("a probe was published and did not come back, although Redis answers on the connection")
	errSilent    = errors.New("nothing has come on the connection for a probe interval, although it was asked for")
	errAstray    = errors.New("redis says that the address to ask is the one that the connection was made to: it leads to another node by now")
	errProbeLate = errors.New("a probe has not come back yet: the connection is behind")
)

// watch probes the connection, at once and then every ProbeInterval, until it
// ends or has to be replaced: the error says why.
//
// A probe is published through the shard's client, as messages are, and has the
// rest of its interval to come back. A PING goes over the connection itself before
// it, and another one behind it, so that what is lost can be told from what is
// late: behind a backlog the pongs are late, too, and bytes flow.
func (c *connection) watch() error {
	for {
		over := time.NewTimer(c.of.subs.b.options.ProbeInterval)
		err := c.probeOnce(over.C, time.Now().Add(c.of.subs.b.options.ProbeInterval))
		if err == nil {
			select {
			case <-c.ended:
				err = errEnded
			case <-over.C:
			}
		}
		over.Stop()
		if err != nil && err != errProbeLate {
			return err
		}
	}
}

// probeOnce makes one probe. It returns when it came back, or when over fires.
func (c *connection) probeOnce(over <-chan time.Time, end time.Time) error {
	s := c.of.subs
	partition := s.probePartition(c.of)
	if partition < 0 {
		return nil // its last partition is moving away, and it will be closed
	}
	channel := s.s.keys.probe(partition, s.b.options.NodeID)
	fence := &batch{answered: make(chan struct{})}
	if c.probe.aim(channel, s.nonce) {
		fence.probe = channel
	}
	if err := c.await(fence, over); err != nil {
		return err
	}
	if !c.probe.isReady() {
		if r, ok := fence.err.(refusal); ok && movedTo(string(r), c.of.address) {
			return c.lost(errAstray)
		}
		s.probed(c.of, fmt.Errorf("the probe's channel cannot be subscribed to: %w", fence.err), false)
		return nil
	}
	number, payload := c.probe.begin()
	began := time.Now()
	if err := c.publishProbe(channel, payload, end); err != nil {
		s.probed(c.of, fmt.Errorf("the probe cannot be published: %w", err), true)
		return nil
	}
	fence = &batch{answered: make(chan struct{})}
	late := c.await(fence, over)
	for late == nil && !c.probe.back(number) {
		select {
		case <-c.ended:
			return errEnded
		case <-c.probe.changed:
		case <-over:
			return c.lost(errProbeLost)
		}
	}
	if late == nil {
		s.b.count(probeReturned)
		s.b.counters.add(probeMicroseconds, int(time.Since(began).Microseconds()))
		s.probed(c.of, nil, true)
	}
	return late
}

// await sends a batch of the prober's, and awaits the answer.
func (c *connection) await(b *batch, over <-chan time.Time) error {
	before, fences := c.received.Load(), c.fences
	for {
		select {
		case <-c.ended:
			return errEnded
		case fences <- b:
			fences = nil
		case <-b.answered:
			return nil
		case <-over:
			if c.received.Load() == before {
				return c.lost(errSilent)
			}
			c.of.subs.b.count(probeFailed)
			c.of.subs.probed(c.of, errProbeLate, false)
			return errProbeLate
		}
	}
}

// lost counts that the connection has to be replaced.
func (c *connection) lost(cause error) error {
	c.of.subs.b.count(probeFailed)
	c.of.subs.b.count(connectionReplaced)
	return cause
}

// publishProbe tries twice: the client may have kept a connection that has ended.
func (c *connection) publishProbe(channel, payload string, end time.Time) error {
	s := c.of.subs
	ctx, cancel := context.WithDeadline(s.ctx, end)
	defer cancel()
	defer context.AfterFunc(c.of.ctx, cancel)()
	for again := true; ; again = false {
		var err error
		if s.s.cluster != nil {
			err = s.s.cluster.SPublish(ctx, channel, payload).Err()
		} else {
			err = s.s.client.Publish(ctx, channel, payload).Err()
		}
		if err == nil || !again || ctx.Err() != nil {
			return err
		}
	}
}

// probed notes what a probe of the link's connection has shown: err is nil if it
// came back; alive says that Redis answers on the connection.
func (s *subscriptions) probed(l *subscriber, err error, alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.err = err
	l.probed = l.probed || alive
}
