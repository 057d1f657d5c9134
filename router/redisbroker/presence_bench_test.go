package redisbroker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// BenchmarkPresence is a page of 100 in a room of 10,000, and users who enter and
// leave it, one after the other and 64 at a time.
func BenchmarkPresence(b *testing.B) {
	const room, users = "lobby", 10_000
	server := redistest.Start(b)
	n := openNode(b, "a", func(o *Options) { o.PresenceTTL = time.Minute }, server.Addr)
	enter := func(user string, conn uint64) {
		if _, err := n.Enter(context.Background(), room, router.Occupant{Conn: conn, User: user, Info: []byte(`{"name":"somebody"}`)}); err != nil {
			b.Error(err)
		}
	}
	var wg sync.WaitGroup
	for w := range 100 {
		wg.Go(func() {
			for i := w; i < users; i += 100 {
				enter(fmt.Sprintf("user %05d", i), uint64(i))
			}
		})
	}
	wg.Wait()
	if page, err := n.Present(b.Context(), room, 1, ""); err != nil || page.Total != users {
		b.Fatalf("%d users, %v", page.Total, err)
	}
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			if _, err := n.Present(b.Context(), room, 100, "user 05000"); err != nil {
				b.Fatal(err)
			}
		}
	})
	enterLeave := func(conn uint64) {
		user := fmt.Sprintf("visitor %d", conn)
		enter(user, conn)
		if _, err := n.Leave(context.Background(), room, router.Occupant{Conn: conn, User: user}); err != nil {
			b.Error(err)
		}
	}
	b.Run("enter-leave", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			enterLeave(1 << 40)
		}
	})
	b.Run("enter-leave/parallel", func(b *testing.B) {
		b.ReportAllocs()
		var conns atomic.Uint64
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			conn := 1<<41 + conns.Add(1)
			for pb.Next() {
				enterLeave(conn)
			}
		})
	})
}
