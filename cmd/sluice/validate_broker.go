package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds of what nodes keep and how they talk to Redis.
const (
	maxHistory       = 1_000_000 // messages of one room
	maxRecover       = 300       // messages of one recovery: the protocol's bound
	minHistoryMemory = 1 << 20
	maxHistoryMemory = 1 << 40
	maxRedisShards   = 64
	maxPartitions    = 16384 // slots of a Cluster
	minProbe         = 100 * time.Millisecond
	minPresenceTTL   = time.Second
	minQueueBytes    = 1 << 20
	maxQueueBytes    = 1 << 34
	maxQueued        = 1 << 24
	maxBatch         = 1 << 16
	maxWorkers       = 1024
	maxWorkerQueue   = 1 << 20
)

var (
	nodeName    = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,32}$`)
	redisName   = regexp.MustCompile(`^[A-Za-z0-9_.:-]{0,64}$`)
	redisPrefix = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)
)

// broker checks what carries messages. It opens no connection.
func (v *validator) broker() {
	c := &v.l.Config
	if !nodeName.MatchString(c.NodeID) {
		v.fail("node_id", "%q is not a node's name; use at most 32 letters, digits, '-', '_' and '.'", c.NodeID)
	}
	v.between("history.memory", c.History.Memory, minHistoryMemory, maxHistoryMemory)
	written := v.written("redis")
	if _, chosen := v.l.Places["broker"]; written && !chosen {
		v.fail("redis", "it is not used, for broker is not written; add broker: redis, or broker: embedded to leave it unused")
	}
	r := &c.Redis
	switch {
	case len(r.Shards) > 0:
		v.shards()
	case c.Broker == "redis" && len(r.Addresses) == 0:
		v.fail("broker", "redis needs redis.addresses, as in redis: {addresses: [\"127.0.0.1:6379\"]}, or the variable SLUICE_REDIS_ADDRESSES")
	case len(r.Addresses) > 0:
		v.connection("redis", &r.RedisConnection)
	}
	v.redisBounds()
}

// written reports that a key of the section was written somewhere.
func (v *validator) written(section string) bool {
	for path := range v.l.Places {
		if path == section || strings.HasPrefix(path, section+".") {
			return true
		}
	}
	return false
}

func (v *validator) shards() {
	shards := v.l.Redis.Shards
	if len(shards) > maxRedisShards {
		v.fail("redis.shards", "has %d entries; at most %d", len(shards), maxRedisShards)
		return
	}
	for _, k := range schema.child("redis").child("shards").Children {
		if path := "redis." + k.Name; v.written(path) {
			v.fail(path, "redis.shards has the deployments; write it in each of their entries, or leave shards out")
		}
	}
	first, named := make(map[string]int), make(map[string]int)
	for i := range shards {
		path := fmt.Sprintf("redis.shards[%d]", i)
		v.connection(path, &shards[i])
		if name := shards[i].Name; name != "" {
			if other, ok := named[name]; ok {
				v.fail(path+".name", "%s is the name of redis.shards[%d] already; each entry needs its own", name, other)
			}
			named[name] = i
		}
		for _, address := range shards[i].Addresses {
			key := fmt.Sprintf("%s/%s/%d", address, shards[i].Master, shards[i].Database)
			if other, ok := first[key]; ok && other != i {
				v.fail(path+".addresses", "%s is in redis.shards[%d] already; each entry is a deployment of its own", address, other)
				break
			}
			first[key] = i
		}
	}
}

// connection checks one deployment.
func (v *validator) connection(path string, c *RedisConnection) {
	if len(c.Addresses) == 0 {
		v.fail(path, "addresses is missing: write host:port of the Redis, of the sentinels, or of some nodes of the Cluster")
	}
	for i, address := range c.Addresses {
		if err := checkAddress(address); err != nil || strings.HasPrefix(address, ":") || strings.HasSuffix(address, ":0") {
			v.fail(fmt.Sprintf("%s.addresses[%d]", path, i), "%q is not an address; write host:port, as in 127.0.0.1:6379", address)
		}
	}
	if !redisName.MatchString(c.Name) {
		v.fail(path+".name", "%q is not a name; use at most 64 letters, digits, '-', '_', '.' and ':'", c.Name)
	}
	switch c.Mode {
	case "standalone":
		if len(c.Addresses) > 1 {
			v.fail(path+".addresses", "a standalone Redis has one address; several belong to mode: sentinel, to mode: cluster, or to redis.shards")
		}
	case "cluster":
		if c.Database != 0 {
			v.fail(path+".database", "a Cluster has only database 0")
		}
	}
	if c.Mode != "sentinel" {
		for _, only := range []struct{ key, value string }{
			{"master", c.Master}, {"sentinel_username", c.SentinelUsername}, {"sentinel_password", string(c.SentinelPassword)},
		} {
			if only.value != "" {
				v.fail(path+"."+only.key, "is for mode: sentinel, and the mode is %s", c.Mode)
			}
		}
	}
	if c.Username != "" && c.Password == "" {
		v.fail(path+".username", "needs %s.password", path)
	}
	if c.SentinelUsername != "" && c.SentinelPassword == "" {
		v.fail(path+".sentinel_username", "needs %s.sentinel_password", path)
	}
	if c.Database > 1<<16 {
		v.fail(path+".database", "%d is not a database", c.Database)
	}
	v.redisTLS(path+".tls", &c.TLS)
}

func (v *validator) redisTLS(path string, c *RedisTLSConfig) {
	if !c.Enabled {
		for _, only := range []struct{ key, value string }{{"ca", c.CA}, {"cert", c.Cert}, {"key", string(c.Key)}, {"server_name", c.ServerName}} {
			if only.value != "" {
				v.fail(path+"."+only.key, "has no effect without %s.enabled: true", path)
			}
		}
		return
	}
	if _, err := c.config(v.l.dirs(path)); err != nil {
		v.fail(path+"."+err.key, "%s", err.text)
	}
}

func (v *validator) redisBounds() {
	r := &v.l.Redis
	if !redisPrefix.MatchString(r.Prefix) {
		v.fail("redis.prefix", "%q is not a prefix; use 1 to 64 letters, digits, '-', '_', '.' and ':'", r.Prefix)
	}
	v.betweenNumbers("redis.partitions", r.Partitions, 1, maxPartitions)
	v.positive("redis.timeout", r.Timeout)
	v.positive("redis.unsubscribe_delay", r.UnsubscribeDelay)
	v.positive("redis.max_reconnect", r.MaxReconnect)
	v.atLeast("redis.probe_interval", r.ProbeInterval, minProbe)
	v.atLeast("redis.presence_ttl", r.PresenceTTL, minPresenceTTL)
	v.betweenNumbers("redis.queue_messages", r.QueueMessages, 1, maxQueued)
	v.between("redis.queue_bytes", r.QueueBytes, minQueueBytes, maxQueueBytes)
	v.betweenNumbers("redis.batch", r.Batch, 1, maxBatch)
	v.betweenNumbers("redis.workers", r.Workers, 1, maxWorkers)
	v.betweenNumbers("redis.worker_queue", r.WorkerQueue, 1, maxWorkerQueue)
}

func (v *validator) atLeast(path string, d, least time.Duration) {
	if d < least {
		v.fail(path, "%s is out of range; it must be at least %s", d, least)
	}
}

// history checks what a rule keeps.
func (v *validator) history(rule int) {
	h := &v.l.Rooms[rule].History
	path := fmt.Sprintf("rooms[%d].history", rule)
	v.betweenNumbers(path+".size", h.Size, 0, maxHistory)
	if h.Size == 0 {
		if i := slices.IndexFunc([]string{"ttl", "recover"}, func(key string) bool { return v.written(path + "." + key) }); i >= 0 {
			v.fail(path, "nothing is kept, for size is 0; write size, the number of messages, or leave history out")
		}
		return
	}
	v.atLeast(path+".ttl", h.TTL, time.Second)
	v.betweenNumbers(path+".recover", h.Recover, 1, maxRecover)
}
