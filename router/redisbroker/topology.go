package redisbroker

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// silence is in place of the client's own log, which writes to standard error
// whatever the node's log is. The broker logs what fails itself.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

var silenceOnce sync.Once

const (
	poolSize       = 64               // connections to one Redis, at most; a node at rest has three or four
	maxIdle        = 5 * time.Minute  // of a connection
	clusterRefresh = 10 * time.Second // of the slots' owners, without another reason
)

// newClient makes the client of a shard; it connects when it is used. It sends no
// command twice. RESP2: nothing needs more, and RESP3 looks for push messages
// before every answer.
//
// Pipelines share the pool of single commands: with one of their own every
// failed connection would be tried twice.
func newClient(o Options, s Shard) redis.UniversalClient {
	silenceOnce.Do(func() { redis.SetLogger(silence{}) })
	t := o.Timeout
	noNotices := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	var secure *tls.Config
	if s.TLS != nil {
		secure = s.TLS.Clone()
	}
	switch s.Mode {
	case Cluster:
		c := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: s.Addresses, Username: s.Username, Password: s.Password, TLSConfig: secure, Protocol: 2,
			MaxRetries: -1, DialerRetries: 1, MaxRedirects: 5, DisableRoutingPolicies: true, ClusterStateReloadInterval: clusterRefresh,
			ContextTimeoutEnabled: true, DialTimeout: t, ReadTimeout: t, WriteTimeout: t, PoolTimeout: t,
			PoolSize: poolSize, PipelinePoolSize: -1, ConnMaxIdleTime: maxIdle, DisableIdentity: true, MaintNotificationsConfig: noNotices,
		})
		c.OnNewNode(func(node *redis.Client) { node.AddHook(markDials{}) })
		return c
	case Sentinel:
		dialer := &net.Dialer{Timeout: t, KeepAlive: 30 * time.Second}
		c := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: s.Master, SentinelAddrs: s.Addresses, SentinelUsername: s.SentinelUsername, SentinelPassword: s.SentinelPassword,
			Username: s.Username, Password: s.Password, DB: s.Database, TLSConfig: secure, Protocol: 2,
			MaxRetries: -1, DialerRetries: 1, Dialer: sentinelDialer(dialer, secure),
			ContextTimeoutEnabled: true, DialTimeout: dialTime(s.Mode, t), ReadTimeout: t, WriteTimeout: t, PoolTimeout: t,
			PoolSize: poolSize, PipelinePoolSize: -1, ConnMaxIdleTime: maxIdle, DisableIdentity: true,
		})
		c.AddHook(markDials{})
		return c
	}
	c := redis.NewClient(&redis.Options{
		Addr: s.Addresses[0], Username: s.Username, Password: s.Password, DB: s.Database, TLSConfig: secure, Protocol: 2,
		MaxRetries: -1, DialerRetries: 1,
		ContextTimeoutEnabled: true, DialTimeout: t, ReadTimeout: t, WriteTimeout: t, PoolTimeout: t,
		PoolSize: poolSize, PipelinePoolSize: -1, ConnMaxIdleTime: maxIdle, DisableIdentity: true, MaintNotificationsConfig: noNotices,
	})
	c.AddHook(markDials{})
	return c
}

// sentinelDialer connects to sentinels and to the master that they name.
func sentinelDialer(d *net.Dialer, secure *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if secure == nil {
		return d.DialContext
	}
	return (&tls.Dialer{NetDialer: d, Config: secure}).DialContext
}

// dialTime is how long it may take to have a connection. Under Sentinel the
// client asks the sentinel it knows, twice, then all, then connects; it gives a
// dead sentinel up only if there is time left then.
func dialTime(m Mode, timeout time.Duration) time.Duration {
	if m == Sentinel {
		return 4 * timeout
	}
	return timeout
}

// errNoTopology is that nobody has told yet which master has which slots.
var errNoTopology = errors.New("no node of the Cluster has answered yet")

// masters are the clients of the shard's masters, one but in a Cluster, as of now
// (a Cluster is asked). They belong to the shard: nobody else closes them.
func (s *shard) masters(ctx context.Context) ([]*redis.Client, error) {
	if s.cluster == nil {
		return []*redis.Client{s.client.(*redis.Client)}, nil
	}
	var mu sync.Mutex
	var all []*redis.Client
	err := s.cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
		return nil
	})
	if err == nil {
		s.loaded.Store(true)
	}
	return all, err
}

// masterOf is the client of the master that has a key or channel. It does not
// wait for Redis.
func (s *shard) masterOf(ctx context.Context, key string) (*redis.Client, error) {
	if s.cluster == nil {
		return s.client.(*redis.Client), nil
	}
	if !s.loaded.Load() {
		return nil, errNoTopology
	}
	return s.cluster.MasterForKey(ctx, key)
}

// partitionAt is a partition that the master at an address has. Without a Cluster
// there is one, and one master.
func (s *shard) partitionAt(ctx context.Context, address string) (int, bool) {
	if s.cluster == nil {
		return 0, true
	}
	for i := range s.keys.tags {
		if c, err := s.masterOf(ctx, s.keys.in(i)); err == nil && c.Options().Addr == address {
			return i, true
		}
	}
	return 0, false
}

// reload asks the Cluster who has which slots, unless it was asked just now.
func (s *shard) reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if time.Since(s.reloaded) < 50*time.Millisecond {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.b.options.Timeout)
	defer cancel()
	_, err := s.masters(ctx)
	s.reloaded = time.Now()
	return err
}

// discover asks until a node of the Cluster has answered once, and then checks
// each master as Start does.
func (s *shard) discover(ctx context.Context) {
	for attempt := 0; !s.loaded.Load(); attempt++ {
		if attempt > 0 && !sleep(ctx, backoff(attempt, s.b.options.MaxReconnect)) {
			return
		}
		_ = s.reload(ctx)
	}
	masters, _ := s.masters(ctx)
	for _, c := range masters {
		if err := s.checkMaster(ctx, c); err != nil {
			s.publishes.tripUnchecked(c, err)
		}
	}
}

// backoff is how long to wait before an attempt, the first one being 0: from
// 20 ms on doubled each time up to most, of which a random half is left out so that
// nodes do not come all at once.
func backoff(attempt int, most time.Duration) time.Duration {
	d := min(20*time.Millisecond<<min(attempt, 20), most)
	return d/2 + rand.N(d/2+1)
}

// sleep waits; it reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
