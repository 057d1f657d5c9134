package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	batchTopics = 1000 // topics in one batch of (un)subscriptions at most
	batchWindow = 8    // batches that Redis has not answered yet, at most
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

// batch is what leaves at once. It is the writer's until it has been sent, then
// the reader's.
type batch struct {
	number      uint64
	probe       string // channel to subscribe to; "": none
	unsubscribe []*topic
	subscribe   []*topic
	err         error         // the first that Redis answered
	answered    chan struct{} // closed when the pong is there; nil: nobody waits
	windowed    bool          // it has a place in the window
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

// answered ends the batches up to the one with that number.
func (c *connection) answered(text string) {
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return
	}
	for {
		c.mu.Lock()
		if len(c.sent) == 0 || c.sent[0].number > number {
			c.mu.Unlock()
			return
		}
		b := c.sent[0]
		c.sent = slices.Delete(c.sent, 0, 1)
		c.mu.Unlock()
		if b.windowed {
			<-c.window
		}
		c.of.subs.settled(c.of, b)
		if b.answered != nil {
			close(b.answered)
		}
	}
}

// write sends what waits until the connection ends.
func (c *connection) write() error {
	var buffer []byte
	for number := uint64(1); ; number++ {
		b, err := c.nextBatch(number)
		if err != nil {
			return err
		}
		b.number = number
		c.mu.Lock()
		c.sent = append(c.sent, b)
		c.mu.Unlock()
		buffer = c.of.subs.appendBatch(buffer[:0], b)
		_ = c.net.SetWriteDeadline(time.Now().Add(c.timeout))
		if _, err := c.net.Write(buffer); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		if cap(buffer) > 1<<20 {
			buffer = nil
		}
	}
}

var errEnded = errors.New("the connection was closed")

// nextBatch awaits what is to be sent next: a fence, or changes as soon as there
// is a place in the window.
func (c *connection) nextBatch(number uint64) (*batch, error) {
	wake, place := c.of.wake, chan<- struct{}(nil)
	if c.of.subs.pending(c.of) {
		wake, place = nil, c.window
	}
	for {
		select {
		case <-c.ended:
			return nil, errEnded
		case b := <-c.fences:
			return b, nil
		case <-wake:
			wake, place = nil, c.window
		case place <- struct{}{}:
			if b := c.of.subs.take(c.of, number); b != nil {
				b.windowed = true
				return b, nil
			}
			<-c.window
			wake, place = c.of.wake, nil
		}
	}
}

// appendBatch appends a batch's commands. In a Cluster one command may name
// channels of one slot only.
func (s *subscriptions) appendBatch(dst []byte, b *batch) []byte {
	subscribe, unsubscribe := "SUBSCRIBE", "UNSUBSCRIBE"
	if s.s.cluster != nil {
		subscribe, unsubscribe = "SSUBSCRIBE", "SUNSUBSCRIBE"
	}
	if b.probe != "" {
		dst = appendWord(appendCommand(dst, 2, subscribe), b.probe)
	}
	dst = appendTopics(dst, unsubscribe, b.unsubscribe)
	dst = appendTopics(dst, subscribe, b.subscribe)
	dst = appendCommand(dst, 2, "PING")
	return appendWord(dst, strconv.FormatUint(b.number, 10))
}

func appendTopics(dst []byte, command string, topics []*topic) []byte {
	for len(topics) > 0 {
		n := 1
		for n < len(topics) && topics[n].partition == topics[0].partition {
			n++
		}
		dst = appendCommand(dst, n+1, command)
		for _, t := range topics[:n] {
			dst = appendWord(dst, t.channel)
		}
		topics = topics[n:]
	}
	return dst
}

// refusal is an error that Redis answered.
type refusal string

func (r refusal) Error() string { return "redis refused: " + string(r) }

// errMoved stands for a slot that has left its master.
const errMoved = refusal("MOVED")

// redirected reports an error that passes when the Cluster's slots have settled,
// or Redis has loaded its data or ended a script.
func redirected(err error) bool {
	var r refusal
	if !errors.As(err, &r) {
		return false
	}
	word, _, _ := strings.Cut(string(r), " ")
	switch word {
	case "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "BUSY", "MASTERDOWN":
		return true
	}
	return false
}
