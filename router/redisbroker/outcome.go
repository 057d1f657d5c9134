package redisbroker

import (
	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// The four ways in which a call ends.

// replied ends a call that Redis has answered.
func (q *batcher) replied(c *call, err error) {
	if err != nil && err != redis.Nil && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		q.s.b.count(q.pick(publishRefused, readRefused))
	}
	c.done <- err
}

// notSent ends a call that Redis has not seen.
func (q *batcher) notSent(c *call, cause error) {
	q.s.b.count(q.pick(publishUnavailable, readUnavailable))
	c.done <- q.s.unavailable(cause)
}

// inDoubt ends a call that Redis may have executed.
func (q *batcher) inDoubt(c *call, cause error) {
	if q.lane == readLane {
		q.notSent(c, cause)
		return
	}
	q.countDoubt(c)
	c.done <- q.s.unknown(cause)
}

// countDoubt counts a publish that may have been accepted: once, though its caller may
// have given up before its connection fails.
func (q *batcher) countDoubt(c *call) {
	if c.doubted.CompareAndSwap(false, true) {
		q.s.b.count(publishUnknown)
	}
}

// failed ends a call by an error of its connection.
func (q *batcher) failed(c *call, err error) {
	if unsent(err) {
		q.notSent(c, err)
	} else {
		q.inDoubt(c, err)
	}
}

// turnedAway is the error of a call that did not get into a queue.
func (q *batcher) turnedAway(err error) error {
	switch {
	case err == router.ErrBrokerClosed:
		return err
	case err == errFull:
		q.s.b.count(q.pick(publishQueueFull, readQueueFull))
	default:
		q.s.b.count(q.pick(publishUnavailable, readUnavailable))
	}
	return q.s.unavailable(err)
}

func (q *batcher) pick(publish, read event) event {
	if q.lane == readLane {
		return read
	}
	return publish
}
