package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"sluice/router"
	"sluice/router/membroker"
	"sluice/router/redisbroker"
)

var redisModes = map[string]redisbroker.Mode{
	"standalone": redisbroker.Standalone, "sentinel": redisbroker.Sentinel, "cluster": redisbroker.Cluster,
}

// newBroker makes what carries messages. It connects to nothing yet: the router
// starts it.
func newBroker(l *loaded, nodeID string, log *slog.Logger) (router.Broker, error) {
	if l.Broker != "redis" {
		return membroker.New(membroker.Options{HistoryBytes: int(l.History.Memory)}), nil
	}
	o, err := l.redisOptions(nodeID, log)
	if err != nil {
		return nil, err
	}
	b, err := redisbroker.New(o)
	if err != nil {
		return nil, l.redisError(err)
	}
	return b, nil
}

// redisOptions are the section redis as the broker has it.
func (l *loaded) redisOptions(nodeID string, log *slog.Logger) (redisbroker.Options, error) {
	r := &l.Redis
	o := redisbroker.Options{
		Prefix: r.Prefix, Partitions: r.Partitions, NodeID: nodeID, Log: log,
		QueueMessages: r.QueueMessages, QueueBytes: int(r.QueueBytes), Batch: r.Batch, Workers: r.Workers, WorkerQueue: r.WorkerQueue,
		Timeout: r.Timeout, ProbeInterval: r.ProbeInterval, UnsubscribeDelay: r.UnsubscribeDelay,
		PresenceTTL: r.PresenceTTL, MaxReconnect: r.MaxReconnect,
	}
	connections, paths := r.Shards, []string(nil)
	for i := range connections {
		paths = append(paths, fmt.Sprintf("redis.shards[%d]", i))
	}
	if len(connections) == 0 {
		connections, paths = []RedisConnection{r.RedisConnection}, []string{"redis"}
	}
	for i := range connections {
		c := &connections[i]
		secured, wrong := c.TLS.config(l.dirs(paths[i] + ".tls"))
		if wrong != nil { // validated before: the file has changed since
			return o, l.redisError(fmt.Errorf("tls.%s: %s", wrong.key, wrong.text))
		}
		o.Shards = append(o.Shards, redisbroker.Shard{
			Name: c.Name, Mode: redisModes[c.Mode], Addresses: c.Addresses, Master: c.Master,
			Username: c.Username, Password: string(c.Password), SentinelUsername: c.SentinelUsername, SentinelPassword: string(c.SentinelPassword),
			Database: c.Database, TLS: secured,
		})
	}
	return o, nil
}

// redisError adds to an error of Redis where the configuration has it.
func (l *loaded) redisError(err error) error {
	if l.Broker != "redis" {
		return err
	}
	var several interface{ Unwrap() []error }
	all := []error{err}
	if errors.As(err, &several) {
		all = several.Unwrap()
	}
	var errs configErrors
	for _, one := range all {
		text := strings.TrimPrefix(one.Error(), "router: starting the broker: ")
		errs.add(l.placeOf("redis"), "redis", "%s", unrepeated(strings.TrimPrefix(text, "redisbroker: ")))
	}
	return errs
}

// unrepeated puts the causes in a text, one a line, behind each other. The connections to one Redis
// often fail for the same one.
func unrepeated(text string) string {
	var parts []string
	said := ""
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && !strings.HasSuffix(said, line) {
			parts = append(parts, line)
			said = line
		}
	}
	return strings.Join(parts, "; ")
}

// nodeID is the node's name, which the broker and the router share.
func (c *Config) nodeID() string {
	if c.NodeID != "" {
		return c.NodeID
	}
	return "n" + strings.ToLower(rand.Text()[:10])
}
