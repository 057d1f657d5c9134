package redisbroker

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// round is a batch that has been sent, and what came of it.
type round struct {
	batch   []*call
	fenced  bool
	refusal error // of the fence
	answers int   // that have come
	cause   error // why no more come
	unsent  bool  // nothing of the batch has left
}

// send makes one pipeline of the calls and answers each. It reports whether until
// was over before: receive has to follow then.
func (k *queue) send(client *redis.Client, batch []*call, until time.Time) (late bool) {
	if err := k.connect(client); err != nil {
		k.trip(err)
		for _, c := range batch {
			k.q.notSent(c, err)
		}
		return false
	}
	l := &k.link
	k.round = round{batch: batch}
	l.out = l.out[:0]
	if k.q.lane == publishLane {
		l.out = k.appendFence(l.out, batch)
		k.round.fenced = len(l.out) > 0
	}
	for _, c := range batch {
		l.out = appendCall(l.out, c)
	}
	l.bound(time.Now(), k.q.s.b.options.Timeout)
	n, err := l.conn.Write(l.out)
	if cap(l.out) > mostKept {
		l.out = nil
	}
	if err != nil {
		k.round.cause, k.round.unsent = err, n == 0
		k.answer()
		return false
	}
	return k.receive(until)
}

// appendFence appends the batch's fence, if it needs one.
func (k *queue) appendFence(dst []byte, batch []*call) []byte {
	key := k.q.s.fenceOf(batch)
	if key == "" {
		return dst
	}
	if k.fenceAt != key {
		k.fence, k.fenceAt = appendArgs(nil, []any{"del", key}), key
	}
	return append(dst, k.fence...)
}

// receive takes the answers of a round. It reports whether until was over before.
func (k *queue) receive(until time.Time) (late bool) {
	l, r := &k.link, &k.round
	for r.cause == nil && (r.fenced || r.answers < len(r.batch)) {
		if !until.IsZero() {
			if err := l.await(until); errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(l.deadline) {
				return true
			} else if err != nil {
				r.cause = err
				break
			}
		}
		v, err := l.reader.value(0)
		switch {
		case err != nil:
			r.cause = noEOF(err)
		case r.fenced:
			r.fenced = false
			if a, ok := v.(answer); ok {
				r.refusal = a
			}
		case !r.batch[r.answers].fits(v):
			r.cause = protocolError("a value of type %T answers a publish", v)
		default:
			c := r.batch[r.answers]
			c.err = c.accept(v)
			r.answers++
		}
	}
	l.used = time.Now()
	k.answer()
	return false
}

// astray reports that a command was refused for the connection does not lead any more to
// where its address does: a replica answers, or a node that names this very address as
// the one to ask.
func (r *round) astray(address string) bool {
	return slices.ContainsFunc(r.batch[:r.answers], func(c *call) bool {
		return c.err != nil && (redis.IsReadOnlyError(c.err) || movedTo(c.err.Error(), address))
	})
}

// answer answers the calls of a round.
func (k *queue) answer() {
	r := k.round
	k.round = round{}
	if r.cause != nil {
		k.disconnect()
		k.trip(r.cause)
	} else if r.refusal != nil && notAlive(r.refusal) {
		k.disconnect()
		k.trip(r.refusal)
	} else if r.astray(k.address) {
		k.disconnect() // the address may lead to the master by now
	}
	var elsewhere []*call
	for i, c := range r.batch {
		switch {
		case i >= r.answers && r.unsent:
			k.q.notSent(c, r.cause)
		case i >= r.answers:
			k.q.inDoubt(c, r.cause)
		case k.q.s.cluster != nil && redirects(c.err):
			elsewhere = append(elsewhere, c)
		case c.err == nil && r.refusal != nil && c.publish && !redirects(r.refusal):
			k.q.s.b.count(fenced)
			k.q.inDoubt(c, r.refusal)
		default:
			k.q.replied(c, c.err)
		}
	}
	if len(elsewhere) > 0 {
		k.q.running.Add(1)
		go k.q.redirect(elsewhere)
	}
}
