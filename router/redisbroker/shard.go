package redisbroker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// shard is one deployment of Redis.
type shard struct {
	// Static after construction.
	b         *Broker
	name      string // for errors and metrics; has no credentials
	index     int    // in Broker.shards
	mode      Mode
	master    string // Sentinel: what the sentinels call the group
	seed      uint64 // of rendezvous hashing: of the name
	keys      keys
	dialTime  time.Duration         // for which a connection may be in the making
	client    redis.UniversalClient // sends no command twice; in a Cluster only through the batchers
	cluster   *redis.ClusterClient  // nil but for Cluster
	publishes *batcher
	reads     *batcher
	subs      *subscriptions

	moves     atomic.Uint64 // under Sentinel: connections that the client has given up
	loaded    atomic.Bool   // the owners of a Cluster's slots are known
	searching atomic.Bool   // they were not at the start, and its masters have not been checked
	reloading sync.Mutex
	reloaded  time.Time // guarded by reloading
}

// sortedShards does not depend on the order in which shards were configured.
func sortedShards(shards []Shard) []Shard {
	return slices.SortedFunc(slices.Values(shards), func(a, b Shard) int { return cmp.Compare(a.Name, b.Name) })
}

func newShard(b *Broker, o Shard, index int) *shard {
	s := &shard{b: b, name: o.Name, index: index, mode: o.Mode, master: o.Master, seed: xxhash.Sum64String(o.Name)}
	partitions := 0
	if o.Mode == Cluster {
		partitions = b.options.Partitions
	}
	s.keys = newKeys(b.options.Prefix, partitions)
	s.dialTime = dialTime(o.Mode, b.options.Timeout)
	s.client = newClient(b.options, o)
	if o.Mode == Sentinel {
		s.client.AddHook(watchMoves{markDials{}, s})
	}
	s.cluster, _ = s.client.(*redis.ClusterClient)
	s.publishes = newBatcher(s, publishLane)
	s.reads = newBatcher(s, readLane)
	s.subs = newSubscriptions(b, s)
	return s
}

func (s *shard) start() {
	if s.cluster != nil && !s.loaded.Load() {
		s.searching.Store(true)
		s.publishes.running.Add(1)
		go func() {
			defer s.publishes.running.Done()
			s.discover(s.publishes.ctx)
			s.searching.Store(false)
		}()
	}
	s.subs.start()
}

// ready waits until messages flow and broadcasts arrive, unless Redis is away.
func (s *shard) ready() {
	ctx, cancel := context.WithTimeout(s.publishes.ctx, s.b.options.Timeout)
	defer cancel()
	hears := s != s.b.home()
	for s.publishes.health() == nil && !(hears && s.health() == nil) {
		if !hears {
			if _, err := s.subs.subscribe(ctx, router.Topic{}, router.Keep{}); err == nil {
				s.subs.unsubscribe(router.Topic{})
				hears = true
				continue
			}
		}
		if !sleep(ctx, 5*time.Millisecond) {
			return
		}
	}
}

// health is nil while messages flow.
func (s *shard) health() error {
	if s.cluster != nil && (!s.loaded.Load() || s.searching.Load()) {
		return errNoTopology
	}
	return joined(s.publishes.health(), s.reads.health(), s.subs.health())
}

// close ends everything that start, and the calls of others, have begun.
func (s *shard) close(started bool) {
	if started {
		s.subs.close()
	}
	s.publishes.shut()
	s.reads.shut()
	_ = s.client.Close() // ends what is under way
	s.publishes.wait()
	s.reads.wait()
}

// shardOf is where a topic lives: where its hash together with the shard's name
// is largest (rendezvous hashing). Another shard takes over its own share of the
// topics, and no other moves.
func (b *Broker) shardOf(t router.Topic) *shard {
	if len(b.shards) == 1 || t == (router.Topic{}) {
		return b.home()
	}
	h := hashTopic(t)
	best, most := b.shards[0], uint64(0)
	for _, s := range b.shards {
		if score := mix(h ^ s.seed); score >= most {
			best, most = s, score
		}
	}
	return best
}

// home is the shard of broadcasts and orders.
func (b *Broker) home() *shard { return b.shards[0] }
