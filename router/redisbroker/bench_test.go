package redisbroker

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// BenchmarkPublish is the time of a publish through the batcher, beside one round
// trip per publish. "hurried" has a deadline.
//
//	go test ./router/redisbroker -run '^$' -bench 'Publish$' -benchtime 2s -count 5
//
// The CPU time of this process is in cpu-ns/op. Redis' own, of a publish with a
// history, is usec_per_call of evalsha in INFO commandstats.
func BenchmarkPublish(b *testing.B) {
	server := redistest.Start(b)
	_, s := queued(b, nil, Shard{Addresses: []string{server.Addr}})
	plain := redis.NewClient(&redis.Options{Addr: server.Addr, Protocol: 2, MaxRetries: -1, DisableIdentity: true, PoolSize: poolSize})
	defer plain.Close()
	m := messages[0]
	payload := string(payloadOf(&m))
	hurried, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	batched := func(ctx context.Context) error {
		return s.publishes.do(ctx, redis.NewIntCmd(ctx, "publish", "sluice:r:lobby", payload), len(payload))
	}
	for _, how := range []struct {
		name    string
		publish func() error
	}{
		{"batched", func() error { return batched(b.Context()) }},
		{"hurried", func() error { return batched(hurried) }},
		{"roundtrips", func() error { return plain.Publish(b.Context(), "sluice:r:lobby", payload).Err() }},
	} {
		for _, publishers := range []int{1, 10, 1000} {
			b.Run(fmt.Sprintf("%s/publishers=%d", how.name, publishers), func(b *testing.B) {
				b.ReportAllocs()
				var wg sync.WaitGroup
				before := cpuTime(b)
				for i := range publishers {
					n := b.N / publishers
					if i < b.N%publishers {
						n++
					}
					wg.Go(func() {
						for range n {
							if err := how.publish(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "publishes/s")
			})
		}
	}
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkEncode(b *testing.B) {
	m := messages[0]
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = appendMessage(appendHeader(buffer[:0], m.Position), &m)
	}
	b.SetBytes(int64(len(buffer)))
}

func BenchmarkDecode(b *testing.B) {
	m := messages[0]
	payload, topic := payloadOf(&m), router.Topic{Name: "lobby"}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeMessage(topic, payload); err != nil {
			b.Fatal(err)
		}
	}
}
