package redisbroker

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// once is a command that the Cluster's client redirects, but never sends again
// for another reason.
type once struct{ redis.Cmder }

func (once) NoRetry() bool { return true }

const (
	redirectsAtOnce = 16
	maxTryAgain     = 20 // times 20 ms
)

// redirect sends what a master of a Cluster has sent elsewhere.
func (q *batcher) redirect(batch []*call) {
	defer q.running.Done()
	_ = q.s.reload(q.ctx) // so that what comes goes to the right master
	slots := make(chan struct{}, redirectsAtOnce)
	for _, c := range batch {
		slots <- struct{}{}
		q.running.Add(1)
		go func() {
			defer q.running.Done()
			defer func() { <-slots }()
			q.follow(c)
		}()
	}
}

func (q *batcher) follow(c *call) {
	ctx, cancel := context.WithTimeout(q.ctx, q.s.b.options.Timeout)
	defer cancel()
	var err error
	cmd := c.cmder(ctx)
	for range maxTryAgain {
		cmd.SetErr(nil)
		err = q.s.cluster.Process(ctx, once{cmd})
		if err == nil || !redis.IsTryAgainError(err) || !sleep(ctx, 20*time.Millisecond) {
			break
		}
	}
	if answered(err) {
		q.replied(c, err)
	} else {
		q.failed(c, err)
	}
}
