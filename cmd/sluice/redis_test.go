package main

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

// redisLog counts what the client library logs.
type redisLog struct{ lines atomic.Int64 }

func (l *redisLog) Printf(context.Context, string, ...any) { l.lines.Add(1) }

func TestTheRedisClientLogsNothingBesideTheNode(t *testing.T) {
	var log redisLog
	redis.SetLogger(&log)
	c := Config{}
	c.Lookups.Redis.Address = freeAddress(t)
	r := c.lookupRedis()
	defer r.Close()
	if _, _, err := r.Get(t.Context(), "a", 10); err == nil {
		t.Fatal("a port on which nobody listens answers")
	}
	if n := log.lines.Load(); n > 0 {
		t.Errorf("it logs %d lines by itself", n)
	}
}
