package redisbroker

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connection is one subscription connection, from its handshake to its end.
//
// Changes leave in batches, each followed by a PING with the batch's number. The
// answers come in order, so at the pong everything about the batch is known.
type connection struct {
	// Static after construction.
	net     *rawConn
	of      *subscriber
	reader  *respReader
	timeout time.Duration
	ended   chan struct{} // closed by fail
	fences  chan *batch   // from the prober to the writer
	window  chan struct{} // holds one for each batch under way

	received atomic.Uint64 // bytes
	probe    probe
	relay    relay

	mu    sync.Mutex
	cause error    // why it ended; guarded by mu
	sent  []*batch // not answered yet, in order; guarded by mu
}

// counting counts what is read.
type counting struct {
	net.Conn
	n *atomic.Uint64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(uint64(n))
	return n, err
}

// endpoint is where and as whom a subscriber connects.
type endpoint struct {
	dial               func(ctx context.Context) (net.Conn, error)
	username, password string
	name               string // that Redis lists the connection by
}

// open connects and introduces itself.
func (l *subscriber) open(ctx context.Context) (*connection, error) {
	timeout := l.subs.b.options.Timeout
	ctx, cancel := context.WithTimeout(ctx, l.subs.s.dialTime)
	defer cancel()
	nc, err := l.endpoint.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	raw := newRawConn(nc)
	c := &connection{
		net: raw, of: l, timeout: timeout,
		ended: make(chan struct{}), fences: make(chan *batch), window: make(chan struct{}, batchWindow),
	}
	c.probe.init()
	c.relay.init(c)
	c.reader = newRESPReader(counting{raw, &c.received}, l.subs.b.options.QueueBytes)
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	_ = nc.SetDeadline(time.Now().Add(timeout))
	err = c.hello(l.endpoint)
	_ = nc.SetDeadline(time.Time{})
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("connecting to %s: %w", nc.RemoteAddr(), err)
	}
	return c, nil
}

func (c *connection) hello(e endpoint) error {
	words := []string{"HELLO", "3"}
	if e.password != "" {
		user := e.username
		if user == "" {
			user = "default"
		}
		words = append(words, "AUTH", user, e.password)
	}
	if e.name != "" {
		words = append(words, "SETNAME", e.name)
	}
	var b []byte
	for i, w := range words {
		if i == 0 {
			b = appendCommand(b, len(words), w)
		} else {
			b = appendWord(b, w)
		}
	}
	if _, err := c.net.Write(b); err != nil {
		return err
	}
	r, err := c.reader.next()
	if err != nil {
		return err
	}
	if r.kind == errorReply {
		return refusal(r.text)
	}
	return nil
}

// fail ends the connection; the first cause counts.
func (c *connection) fail(cause error) {
	c.mu.Lock()
	first := c.cause == nil
	if first {
		c.cause = cause
		close(c.ended)
	}
	c.mu.Unlock()
	if first {
		_ = c.net.Close()
	}
}

// serve reads until the connection ends, and says why it did. Its writer, its
// prober and all readers have ended when it returns.
func (c *connection) serve() error {
	var others sync.WaitGroup
	others.Go(func() { c.fail(c.write()) })
	others.Go(func() { c.fail(c.watch()) })
	c.relay.readers.Add(1)
	c.read()
	c.relay.readers.Wait()
	c.relay.stop()
	others.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// read reads until the connection ends, or another reader goes on.
func (c *connection) read() {
	defer c.relay.readers.Done()
	for {
		r, err := c.reader.next()
		if err != nil {
			c.fail(fmt.Errorf("the connection ended: %w", err))
			return
		}
		if !c.receive(r) {
			return
		}
	}
}

// receive takes what was read. It reports false if that took so long that another
// reader goes on.
func (c *connection) receive(r reply) bool {
	s := c.of.subs
	switch r.kind {
	case messageReply:
		if c.probe.received(r.channel, r.payload) {
			break
		}
		if c.reader.r.Buffered() > 0 {
			s.received(r, nil) // others deliver while the reader goes on
			break
		}
		return s.received(r, &c.relay)
	case subscribedReply:
		if !c.probe.subscribed(r.channel) {
			s.subscribed(c.of, r.channel)
		}
	case unsubscribedReply:
		if !c.probe.unsubscribed(r.channel) {
			s.unsubscribed(c.of, r.channel)
		}
	case errorReply:
		c.mu.Lock()
		if len(c.sent) > 0 && c.sent[0].err == nil {
			c.sent[0].err = refusal(r.text)
		}
		c.mu.Unlock()
	case pongReply:
		c.answered(r.text)
	}
	return true
}
