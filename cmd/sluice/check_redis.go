package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sluice/router"
)

// connectRedis connects to the Redis of the configuration as a node would, waits until
// messages flow, and leaves again. It is an error if there is none.
func (l *loaded) connectRedis(ctx context.Context, log *slog.Logger) (err error) {
	if l.Broker != "redis" {
		return fmt.Errorf("--connect: there is nothing to connect to, for broker is %s", l.Broker)
	}
	id := l.nodeID()
	if l.NodeID != "" {
		id = "check-" + id[:min(len(id), 26)] // the node itself may be running
	}
	b, err := newBroker(l, id, log)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Start(visitor{router.NodeInfo{ID: id, Version: nodeVersion(), Started: time.Now()}}); err != nil {
		return l.redisError(err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.Redis.Timeout+2*l.Redis.ProbeInterval)
	defer cancel()
	for last := error(nil); ; {
		err := b.Health(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil || last == nil:
			last = err
		}
		select {
		case <-ctx.Done():
			errs, _ := l.redisError(last).(configErrors)
			errs.add(l.placeOf("redis"), "redis", "%s", l.whatToSee())
			return errs
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// whatToSee says what to look at when Redis does not answer as it should.
func (l *loaded) whatToSee() string {
	how := "without TLS (tls.enabled is false)"
	if l.Redis.TLS.Enabled || slices.ContainsFunc(l.Redis.Shards, func(c RedisConnection) bool { return c.TLS.Enabled }) {
		how = "with TLS where tls.enabled is true"
	}
	return "see that Redis runs there, that this machine can reach it, and that it answers on that port " + how
}

// visitor is a node without clients.
type visitor struct{ info router.NodeInfo }

func (visitor) Deliver(*router.Message) {}

func (v visitor) Describe() router.NodeInfo { return v.info }
