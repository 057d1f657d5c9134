package membroker

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

// BenchmarkPublish is a publish and its deliveries to sinks that do nothing.
func BenchmarkPublish(b *testing.B) {
	for _, nodes := range []int{1, 4} {
		for _, rooms := range []int{1, 1000} {
			b.Run(fmt.Sprintf("nodes=%d/rooms=%d", nodes, rooms), func(b *testing.B) {
				n, messages := benchmarkRooms(b, nodes, rooms)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := n.Publish(context.Background(), messages[i%rooms]); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("nodes=%d/rooms=%d/parallel", nodes, rooms), func(b *testing.B) {
				n, messages := benchmarkRooms(b, nodes, rooms)
				b.ReportAllocs()
				var start atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					for i := int(start.Add(7919)); pb.Next(); i++ {
						if _, err := n.Publish(context.Background(), messages[i%rooms]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkPublishKept is a publish to a room with a history, and one with a key.
func BenchmarkPublishKept(b *testing.B) {
	n, messages := benchmarkRooms(b, 1, 1000)
	for _, m := range messages {
		m.Keep = router.Keep{Size: 100, TTL: time.Minute}
	}
	b.Run("history", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := n.Publish(context.Background(), messages[i%1000]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("history/parallel", func(b *testing.B) {
		b.ReportAllocs()
		var start atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for i := int(start.Add(7919)); pb.Next(); i++ {
				if _, err := n.Publish(context.Background(), messages[i%1000]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m := *messages[i%1000]
			m.Key = strconv.Itoa(i)
			if _, err := n.Publish(context.Background(), &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkRooms(b *testing.B, nodes, rooms int) (*Node, []*router.Message) {
	h := NewHub()
	var all []*Node
	for range nodes {
		all = append(all, started(b, h))
	}
	messages := make([]*router.Message, rooms)
	for i := range messages {
		m := &router.Message{Kind: router.RoomMessage, Room: fmt.Sprint("room ", i)}
		messages[i] = m
		for _, n := range all {
			if _, err := n.Subscribe(b.Context(), router.Topic{Name: m.Room}, router.Keep{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	return all[0], messages
}

// BenchmarkPresence is a page of 100 in a room of 10,000, and one user entering
// and leaving it.
func BenchmarkPresence(b *testing.B) {
	n := started(b, NewHub())
	for i := range 10_000 {
		if _, err := n.Enter(b.Context(), "lobby", router.Occupant{Conn: uint64(i), User: fmt.Sprintf("user %05d", i)}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			if _, err := n.Present(b.Context(), "lobby", 100, "user 05000"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("enter-leave", func(b *testing.B) {
		o := router.Occupant{Conn: 1 << 40, User: "user 05000x"}
		for b.Loop() {
			if _, err := n.Enter(b.Context(), "lobby", o); err != nil {
				b.Fatal(err)
			}
			if _, err := n.Leave(b.Context(), "lobby", o); err != nil {
				b.Fatal(err)
			}
		}
	})
}
