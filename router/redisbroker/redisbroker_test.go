package redisbroker_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/brokertest"
	"sluice/router/redisbroker"
	"sluice/router/redisbroker/redistest"
)

// clusters counts the clusters of brokers that tests have had: each has a prefix
// of its own, so that they share a deployment and no message.
var clusters atomic.Int64

// nodesOn makes clusters of brokers on one deployment.
func nodesOn(shards ...redisbroker.Shard) brokertest.NewCluster {
	return func(t *testing.T, nodes int) []router.Broker {
		prefix := fmt.Sprint("test", clusters.Add(1))
		brokers := make([]router.Broker, nodes)
		for i := range brokers {
			b, err := redisbroker.New(redisbroker.Options{
				Shards: shards, Prefix: prefix, NodeID: fmt.Sprint("node", i), UnsubscribeDelay: 10 * time.Millisecond,
				Timeout: brokertest.Patience, // a loaded machine is not a Redis that is away
			})
			if err != nil {
				t.Fatal(err)
			}
			brokers[i] = b
		}
		return brokers
	}
}

func TestBrokerContractOnOneRedis(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, nodesOn(redisbroker.Shard{Addresses: []string{redistest.Start(t).Addr}}))
}

func TestBrokerContractOnSeveralShards(t *testing.T) {
	t.Parallel()
	var shards []redisbroker.Shard
	for range 3 {
		shards = append(shards, redisbroker.Shard{Addresses: []string{redistest.Start(t).Addr}})
	}
	brokertest.Run(t, nodesOn(shards...))
}

func TestBrokerContractUnderSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	brokertest.Run(t, nodesOn(redisbroker.Shard{Mode: redisbroker.Sentinel, Addresses: s.Addrs(), Master: redistest.MasterName}))
}

func TestBrokerContractOnACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	brokertest.Run(t, nodesOn(redisbroker.Shard{Mode: redisbroker.Cluster, Addresses: c.Addrs()}))
}
