package redisbroker

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// lane says what a batcher's commands are. They do not delay each other.
type lane uint8

const (
	publishLane lane = iota // what changes something
	readLane
)

func (l lane) String() string {
	if l == readLane {
		return "reads"
	}
	return "publishes"
}

// batcher sends the commands of one lane of a shard: to each master through a
// queue of its own, so that one that is away does not delay the others.
type batcher struct {
	// Static after construction.
	s    *shard
	lane lane
	ctx  context.Context // ends with close
	end  context.CancelFunc

	running sync.WaitGroup // flushers, probes, redirections

	mu     sync.RWMutex
	queues map[string]*queue // guarded by mu; by address, "" but in a Cluster
	closed bool              // guarded by mu
}

func newBatcher(s *shard, l lane) *batcher {
	q := &batcher{s: s, lane: l, queues: make(map[string]*queue)}
	q.ctx, q.end = context.WithCancel(context.Background())
	return q
}

// do sends a command, together with what else waits, and returns its error: nil,
// the answer of Redis as it is, ctx's, or one that wraps router.ErrUnavailable and
// says whether the command may have been executed. No command is sent twice. If ctx
// ends the wait, the command may be executed all the same, so neither it nor what
// its arguments refer to may be used any more.
//
// While nothing else is under way the caller sends by itself, which takes a third
// of the time. He then notices that ctx was cancelled when Redis has answered or
// Options.Timeout is over; a deadline of ctx ends his wait at once.
//
// bytes are those of the command's arguments, or if that is more, of the expected
// answer: they bound what waits and what leaves at a time.
func (q *batcher) do(ctx context.Context, cmd redis.Cmder, bytes int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := calls.Get().(*call)
	c.set(cmd, bytes)
	return q.carry(ctx, c)
}

// publish is do for a message that no history keeps.
func (q *batcher) publish(ctx context.Context, command, channel string, m *router.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := calls.Get().(*call)
	c.setPublish(command, channel, m)
	return q.carry(ctx, c)
}

// carry queues a call, and awaits its answer.
func (q *batcher) carry(ctx context.Context, c *call) error {
	k, err := q.enqueue(ctx, c)
	if err != nil {
		c.release()
		return q.turnedAway(err)
	}
	if k != nil {
		until, _ := ctx.Deadline()
		k.lead(c, until)
		select {
		case err := <-c.done: // even if ctx has ended meanwhile
			c.release()
			return err
		default: // its time is over, or the Cluster has moved its slot
		}
	}
	select {
	case err := <-c.done:
		c.release()
		return err
	case <-ctx.Done():
		if c.state.CompareAndSwap(callWaits, callGivenUp) {
			return ctx.Err()
		}
		if q.lane == publishLane {
			q.countDoubt(c)
		}
		return fmt.Errorf("redis %s: %w while the answer was awaited; the command may have been executed", q.s.name, ctx.Err())
	}
}

// enqueue adds a call to the queue of its master. If that is idle the caller is
// to send by lead, of the queue that is returned then.
func (q *batcher) enqueue(ctx context.Context, c *call) (*queue, error) {
	_, hurried := ctx.Deadline()
	for {
		client, err := q.s.masterOf(ctx, c.key)
		if err != nil {
			return nil, err
		}
		k, err := q.queue(client)
		if err != nil {
			return nil, err
		}
		leads, err := k.add(c, client, hurried)
		if leads {
			return k, nil
		}
		if err != errGone {
			return nil, err
		}
	}
}

// queue is that of a master.
func (q *batcher) queue(client *redis.Client) (*queue, error) {
	address := ""
	if q.s.cluster != nil {
		address = client.Options().Addr
	}
	q.mu.RLock()
	k := q.queues[address]
	q.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, router.ErrBrokerClosed
	}
	if k = q.queues[address]; k == nil {
		k = &queue{q: q, address: address, client: client}
		q.queues[address] = k
	}
	return k, nil
}

// drop forgets the queue of a master that is none any more.
func (q *batcher) drop(k *queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = true
	if k.link.conn != nil {
		_ = k.link.conn.Close()
	}
	delete(q.queues, k.address)
}

// keyOf is the key, or the channel, that a command goes by in a Cluster.
func keyOf(name string, cmd redis.Cmder) string {
	at := 1
	switch name {
	case "eval", "evalsha", "fcall", "eval_ro", "evalsha_ro", "fcall_ro":
		at = 3
	}
	if args := cmd.Args(); at < len(args) {
		key, _ := args[at].(string)
		return key
	}
	return ""
}

// fenceOf is the key of the fence that a batch needs, "" if none: a write that
// changes nothing, which a replica refuses, and a master that must not take
// writes as it has lost its replicas. Without it a PUBLISH to a master that is none any
// more would succeed, and reach nobody.
func (s *shard) fenceOf(batch []*call) string {
	for _, c := range batch {
		if !c.publish {
			continue
		}
		if s.keys.tags != nil {
			rest := strings.TrimPrefix(c.key, s.keys.prefix)
			if end := strings.Index(rest, "}:"); end >= 0 {
				return s.keys.prefix + rest[:end+2] + "f" // in the slot of the channel
			}
		}
		return s.keys.prefix + "f"
	}
	return ""
}

// health is nil if no master is known to be away.
func (q *batcher) health() error {
	q.mu.RLock()
	defer q.mu.RUnlock()
	var ill []error
	for _, k := range q.queues {
		k.mu.Lock()
		away := k.away
		k.mu.Unlock()
		if away != nil && k.address != "" {
			away = fmt.Errorf("%s: %w", k.address, away)
		}
		if away != nil {
			ill = append(ill, away)
		}
	}
	return joined(ill...)
}

// trip says that a master was found away before anything was sent.
func (q *batcher) trip(master *redis.Client, cause error) {
	if k, err := q.queue(master); err == nil {
		k.trip(cause)
	}
}

// tripUnchecked is trip for a master that could not be checked either.
func (q *batcher) tripUnchecked(master *redis.Client, cause error) {
	k, err := q.queue(master)
	if err != nil {
		return
	}
	k.mu.Lock()
	k.check = true
	k.mu.Unlock()
	k.trip(cause)
}

// shut fails what waits and what comes with router.ErrBrokerClosed; what is under way ends
// with the client's connections.
func (q *batcher) shut() {
	q.mu.Lock()
	q.closed = true
	queues := q.queues
	q.queues = make(map[string]*queue)
	q.mu.Unlock()
	for _, k := range queues {
		k.shut()
	}
	q.end()
}

// wait returns when no goroutine is left.
func (q *batcher) wait() { q.running.Wait() }
