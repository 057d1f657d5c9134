package redisbroker

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

const (
	linkBuffer = 16 << 10              // bytes that are read at once
	mostKept   = 256 << 10             // bytes of a buffer for what is sent that is kept
	trusted    = 10 * time.Millisecond // for so long after an answer a connection is taken to live
)

// link is the connection on which a queue's commands leave, and their answers come.
// The client library dials; it is not in the way of a command.
//
// It belongs to who sends. Only conn is written under queue.mu as well, for shut
// to read.
type link struct {
	conn     *rawConn // nil: none
	reader   *respReader
	of       *redis.Client // whose address and credentials it has
	moves    uint64        // shard.moves when it was made
	used     time.Time     // when the last answer came
	deadline time.Time     // that is set on conn
	out      []byte
}

// connect has a connection that lives, as far as can be told. It tells errors of a
// Redis that refuses from those of the network by redis.Error.
func (k *queue) connect(client *redis.Client) error {
	l, s := &k.link, k.q.s
	if k.lives(client) {
		return nil
	}
	k.disconnect()
	ctx, cancel := context.WithTimeout(k.q.ctx, s.dialTime)
	defer cancel()
	l.moves = s.moves.Load()
	o := client.Options()
	conn, err := o.Dialer(ctx, o.Network, o.Addr)
	if err != nil {
		return &dialError{err}
	}
	raw := newRawConn(conn)
	if err := k.adopt(raw); err != nil {
		_ = conn.Close()
		return err
	}
	l.of, l.reader, l.deadline = client, newRESPReaderSize(raw, linkBuffer, 0), time.Time{}
	if err := k.introduce(o); err != nil {
		k.disconnect()
		return &dialError{err} // nothing else was sent
	}
	return nil
}

// adopt makes a connection the queue's, unless it may have none any more.
func (k *queue) adopt(conn *rawConn) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return router.ErrBrokerClosed
	case k.gone:
		return errGone
	}
	k.link.conn = conn
	return nil
}

// lives reports whether there is a connection to send on. An answer that nobody has
// asked for ends it: each command would be given the answer to the one before.
func (k *queue) lives(client *redis.Client) bool {
	l := &k.link
	return l.conn != nil && l.of == client && l.moves == k.q.s.moves.Load() && l.reader.r.Buffered() == 0 &&
		(time.Since(l.used) < trusted || l.conn.quiet())
}

// introduce makes a connection ready.
func (k *queue) introduce(o *redis.Options) error {
	l := &k.link
	hello := []any{"hello", 2}
	if o.Password != "" {
		user := o.Username
		if user == "" {
			user = "default"
		}
		hello = append(hello, "auth", user, o.Password)
	}
	hello = append(hello, "setname", connectionName(k.q.lane.String(), k.q.s.b.options.NodeID))
	b := appendArgs(nil, hello)
	answers := 1
	if o.DB != 0 {
		b = appendArgs(b, []any{"select", strconv.Itoa(o.DB)})
		answers++
	}
	l.bound(time.Now(), k.q.s.b.options.Timeout)
	if _, err := l.conn.Write(b); err != nil {
		return fmt.Errorf("connecting to %s: %w", l.conn.RemoteAddr(), err)
	}
	for range answers {
		v, err := l.reader.value(0)
		if refused, ok := v.(answer); ok && err == nil {
			err = refused
		}
		if err != nil {
			return fmt.Errorf("connecting to %s: %w", l.conn.RemoteAddr(), err)
		}
	}
	l.used = time.Now()
	return nil
}

// disconnect ends the connection.
func (k *queue) disconnect() {
	k.mu.Lock()
	conn := k.link.conn
	k.link.conn = nil
	k.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// bound has I/O end after a time, or up to a sixteenth of it later, so that a
// deadline is not set for every command.
func (l *link) bound(now time.Time, within time.Duration) {
	if l.deadline.Sub(now) < within {
		l.deadline = now.Add(within + within/16)
		_ = l.conn.SetDeadline(l.deadline)
	}
}

// await waits until an answer begins to come, but not beyond a time. Where I/O ends
// before that, reading the answer finds out.
func (l *link) await(until time.Time) error {
	if l.reader.r.Buffered() > 0 || !until.Before(l.deadline) {
		return nil
	}
	_ = l.conn.SetReadDeadline(until)
	_, err := l.reader.r.Peek(1)
	_ = l.conn.SetReadDeadline(l.deadline)
	return err
}

// watched and watchedTCP are connections of the client library's whose end is
// noticed. The library can look at the descriptor of the latter before it uses it.
type (
	watched struct {
		net.Conn
		s *shard
	}
	watchedTCP struct {
		*net.TCPConn
		s *shard
	}
)

// Close says that the library has given a connection up. Under Sentinel that is
// how it leaves a master that is none any more.
func (c *watched) Close() error {
	c.s.moves.Add(1)
	return c.Conn.Close()
}

// Close is that of watched.
func (c *watchedTCP) Close() error {
	c.s.moves.Add(1)
	return c.TCPConn.Close()
}

// watchMoves is a hook that notices when the library gives connections up.
type watchMoves struct {
	redis.Hook
	s *shard
}

// DialHook implements redis.Hook.
func (w watchMoves) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if t, ok := c.(*net.TCPConn); ok {
			return &watchedTCP{t, w.s}, nil
		}
		return &watched{c, w.s}, nil
	}
}
