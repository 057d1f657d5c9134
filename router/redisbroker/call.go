package redisbroker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// mostPooled is the bytes of a call's payload whose memory is kept.
const mostPooled = 4 << 10

// call is one command on its way.
type call struct {
	cmd     redis.Cmder // nil: command publishes payload on the channel key
	command string
	payload []byte
	key     string // or the channel, that it goes by in a Cluster
	publish bool   // it is a PUBLISH or SPUBLISH
	bytes   int
	since   time.Time
	state   atomic.Int32
	doubted atomic.Bool // that it is in doubt has been counted
	err     error       // what Redis answered; of who sends
	done    chan error  // has room for one; who sends the command sends its error
}

// newCall is a call outside of the pool.
func newCall(cmd redis.Cmder, bytes int) *call {
	c := &call{done: make(chan error, 1)}
	c.set(cmd, bytes)
	return c
}

func (c *call) set(cmd redis.Cmder, bytes int) {
	name := cmd.Name()
	c.cmd, c.bytes, c.since = cmd, bytes, time.Now()
	c.key, c.publish = keyOf(name, cmd), name == "publish" || name == "spublish"
	c.err = nil
	c.state.Store(callWaits)
	c.doubted.Store(false)
}

// setPublish makes the call a publish of a message without a position.
func (c *call) setPublish(command, channel string, m *router.Message) {
	c.cmd, c.command, c.key, c.publish = nil, command, channel, true
	c.payload = appendMessage(append(c.payload[:0], '-'), m)
	c.bytes, c.since, c.err = len(c.payload), time.Now(), nil
	c.state.Store(callWaits)
	c.doubted.Store(false)
}

// cmder is the call as a command of the client library.
func (c *call) cmder(ctx context.Context) redis.Cmder {
	if c.cmd != nil {
		return c.cmd
	}
	return redis.NewIntCmd(ctx, c.command, c.key, c.payload)
}

// release gives a call back that nobody else has any more.
func (c *call) release() {
	c.cmd, c.key, c.err = nil, "", nil
	if cap(c.payload) > mostPooled {
		c.payload = nil
	}
	calls.Put(c)
}

// States of a call.
const (
	callWaits   int32 = iota
	callSent          // or about to be
	callGivenUp       // its caller's context ended before
)

var calls = sync.Pool{New: func() any { return &call{done: make(chan error, 1)} }}

// fits reports whether an answer is of a kind that the call can have. What a command of
// the client library takes is for accept to say.
func (c *call) fits(v any) bool {
	switch v.(type) {
	case int64, answer:
		return true
	}
	return c.cmd != nil
}

// accept takes the answer, which fits.
func (c *call) accept(v any) error {
	if c.cmd != nil {
		return accept(c.cmd, v)
	}
	if a, ok := v.(answer); ok {
		return a
	}
	return nil
}

// appendCall appends what a call sends.
func appendCall(dst []byte, c *call) []byte {
	if c.cmd != nil {
		return appendArgs(dst, c.cmd.Args())
	}
	dst = appendCommand(dst, 3, c.command)
	dst = appendWord(dst, c.key)
	return appendWord(dst, c.payload)
}
