package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"sluice/plugins/lookup"
	"sluice/plugins/outbound"
)

// lookupRedis reads the keys of lookups. It connects when the first is read.
type lookupRedis struct {
	client *redis.Client
	prefix string
}

var _ lookup.RedisClient = (*lookupRedis)(nil)

// lookupRedis is a client for the node's lookups; nil: there is no Redis.
func (c *Config) lookupRedis() *lookupRedis {
	r := &c.Lookups.Redis
	if r.Address == "" {
		return nil
	}
	o := &redis.Options{
		Addr: r.Address, Username: r.Username, Password: string(r.Password), DB: r.Database,
		// A lookup's own time bounds it, and whoever asks decides about asking again.
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: lookup.MaxTimeout, ReadTimeout: lookup.MaxTimeout, WriteTimeout: lookup.MaxTimeout,
		PoolSize: lookup.DefaultConcurrency, ConnMaxIdleTime: time.Minute,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if r.TLS {
		host, _, _ := net.SplitHostPort(r.Address) // validated before
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	}
	redis.SetLogger(noRedisLog{})
	return &lookupRedis{redis.NewClient(o), r.Prefix}
}

// noRedisLog is in place of the client's own log, which writes to standard error
// whatever log.format is, the address included. The node logs what fails itself.
type noRedisLog struct{}

func (noRedisLog) Printf(context.Context, string, ...any) {}

// Get reads at most max bytes of a value: one that was not meant for lookups may
// have hundreds of megabytes.
func (r *lookupRedis) Get(ctx context.Context, key string, max int) (value []byte, found bool, err error) {
	pipeline := r.client.Pipeline()
	exists := pipeline.Exists(ctx, r.prefix+key)
	text := pipeline.GetRange(ctx, r.prefix+key, 0, int64(max)-1)
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, false, explainRedis(err)
	}
	return []byte(text.Val()), exists.Val() > 0, nil
}

// explainRedis gives an error a cause, and words that hold nothing of the
// configuration.
func explainRedis(err error) error {
	var (
		answer  redis.Error
		op      *net.OpError
		timeout net.Error
		bad     *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return &outbound.Error{Cause: outbound.Timeout, Text: "Redis did not answer in time"}
	case errors.As(err, &bad):
		return &outbound.Error{Cause: outbound.TLS, Text: "the certificate of Redis is not trusted for its name"}
	case errors.As(err, &op):
		return &outbound.Error{Cause: outbound.Connect, Text: "Redis cannot be reached"}
	case errors.As(err, &answer):
		word, _, _ := strings.Cut(answer.Error(), " ")
		return &outbound.Error{Cause: lookup.CauseSource, Text: "Redis answers with the error " + word}
	}
	return &outbound.Error{Cause: outbound.Protocol, Text: "what answers is not Redis, or ended early"}
}

// Close closes the connections; the filters' host does so.
func (r *lookupRedis) Close() error { return r.client.Close() }
