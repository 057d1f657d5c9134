package redisbroker

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// From a failure until Redis answers again: a queue that is away takes nothing, and its
// prober asks.

// trip makes everything fail at once until a probe succeeds.
func (k *queue) trip(cause error) {
	cause = k.q.s.explained(cause)
	k.mu.Lock()
	if k.closed || k.gone || k.away != nil {
		k.mu.Unlock()
		return
	}
	k.away = cause
	waiting := k.waiting
	k.waiting, k.bytes = nil, 0
	k.q.running.Add(1)
	k.mu.Unlock()
	for _, c := range waiting {
		if c.state.CompareAndSwap(callWaits, callSent) {
			k.q.notSent(c, cause)
		}
	}
	s := k.q.s
	s.b.count(tripped)
	k.warn(cause)
	go k.probe()
}

func (k *queue) warn(cause error) {
	k.q.s.b.log.Warn("redis is away", "redis", k.q.s.name, "address", k.address, "lane", k.q.lane.String(), "error", cause)
}

// probe asks until Redis answers as it should.
func (k *queue) probe() {
	defer k.q.running.Done()
	s := k.q.s
	for attempt := 0; ; attempt++ {
		if !sleep(k.q.ctx, backoff(attempt, s.b.options.MaxReconnect)) {
			return
		}
		err := k.alive()
		if err == nil {
			err = k.vet()
		}
		if err == nil {
			err = k.reconnect()
		}
		if err == nil {
			break
		}
		err = s.explained(err)
		k.mu.Lock()
		changed := k.away.Error() != err.Error()
		k.away = err
		k.mu.Unlock()
		if changed {
			k.warn(err)
		}
		if s.cluster != nil {
			_ = s.reload(k.q.ctx)
			if _, ok := s.partitionAt(k.q.ctx, k.address); !ok {
				k.q.drop(k)
				return
			}
		}
	}
	k.mu.Lock()
	k.away = nil
	k.mu.Unlock()
	s.b.count(returned)
	s.b.log.Info("redis is back", "redis", s.name, "address", k.address, "lane", k.q.lane.String())
}

// alive is nil if Redis does what the lane needs.
func (k *queue) alive() error {
	s := k.q.s
	k.mu.Lock()
	client := k.client
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(k.q.ctx, s.b.options.Timeout+s.dialTime)
	defer cancel()
	cmd := redis.NewCmd(ctx, "ping")
	if partition, ok := s.partitionAt(ctx, k.address); ok && k.q.lane == publishLane {
		cmd = redis.NewCmd(ctx, "del", s.keys.in(partition)+"f")
	}
	pipeline := client.Pipeline()
	_ = pipeline.Process(ctx, cmd)
	sent, err := pipeline.Exec(ctx)
	if setupFailed(sent, err) || !answered(err) || err != nil && notAlive(err) {
		return err
	}
	return nil // it lives, whatever else it has against the command
}

// reconnect makes the connection for what comes next. That the client library has one
// which lives does not say that Redis lets another in.
func (k *queue) reconnect() error {
	k.mu.Lock()
	client, busy := k.client, k.sending
	if !busy {
		k.sending = true
		k.q.running.Add(1)
	}
	k.mu.Unlock()
	if busy {
		return nil // who sends still will find out
	}
	defer k.rest()
	return k.connect(client)
}

// vet checks a Redis that was away when it was to be checked, as at the start.
func (k *queue) vet() error {
	k.mu.Lock()
	client, due := k.client, k.check
	k.mu.Unlock()
	if !due {
		return nil
	}
	s := k.q.s
	ctx, cancel := context.WithTimeout(k.q.ctx, s.b.options.Timeout+s.dialTime)
	defer cancel()
	if err := s.checkMaster(ctx, client); err != nil {
		return err
	}
	k.mu.Lock()
	k.check = false
	k.mu.Unlock()
	return nil
}

// setupFailed reports that the client library could not make a connection ready
// (AUTH, SELECT): it then leaves the commands as they were, unsent and without an error.
func setupFailed(sent []redis.Cmder, err error) bool {
	return err != nil && !slices.ContainsFunc(sent, func(c redis.Cmder) bool { return c.Err() != nil })
}
