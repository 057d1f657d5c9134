package brokers

import (
	"fmt"
	"testing"
	"time"

	"sluice/router/redisbroker/redistest"
	"sluice/test/program"
)

// BenchmarkFanOut is one room of 1,000 members at 100 messages a second: what a
// delivery costs.
func BenchmarkFanOut(b *testing.B) {
	compare(b, load{rooms: 1, members: 1000, messages: 200, perSecond: 100, per: 1000})
}

// BenchmarkRooms is 500 rooms of 4 members at 2,000 messages a second: what a
// publish costs.
func BenchmarkRooms(b *testing.B) {
	compare(b, load{rooms: 500, members: 4, messages: 4000, perSecond: 2000, per: 1})
}

// BenchmarkRoomsWithHistory is the same with a history of each room.
func BenchmarkRoomsWithHistory(b *testing.B) {
	compare(b, load{rooms: 500, members: 4, messages: 4000, perSecond: 2000, per: 1, history: true})
}

// load is a number of messages in rooms.
type load struct {
	rooms, members      int
	messages, perSecond int // of one round
	per                 int // what a message's cost is divided by
	history             bool
}

// side is a node with one broker, and its load.
type side struct {
	node  *program.Process
	crowd *crowd
	took  time.Duration
}

// sides are a node with the embedded broker and one on the Redis, with the
// load's rooms and members.
func (l load) sides(t testing.TB, redisAddress string) []*side {
	rooms := "rooms: [{match: \"**\", announce: off}]\n"
	if l.history {
		rooms = "rooms: [{match: \"**\", announce: off, history: {size: 100, ttl: 5m}}]\n"
	}
	var sides []*side
	for _, broker := range []string{"broker: embedded\n", fmt.Sprintf("broker: redis\nredis: {addresses: [%q]}\n", redisAddress)} {
		n := startNode(t, broker+rooms)
		sides = append(sides, &side{node: n, crowd: gather(t, n, l.rooms, l.members)})
	}
	return sides
}

func TestBothBrokersCarryEveryMessage(t *testing.T) {
	l := load{rooms: 3, members: 4, messages: 60, perSecond: 1000}
	for _, l.history = range []bool{false, true} {
		for _, s := range l.sides(t, redistest.Start(t).Addr) {
			s.crowd.talk(t, l.messages, l.perSecond)
		}
	}
}

// compare makes rounds of the same load with each broker in turn.
func compare(b *testing.B, l load) {
	server := redistest.Start(b)
	client := server.Client(b)
	sides := l.sides(b, server.Addr)
	for _, s := range sides {
		s.crowd.talk(b, l.messages/4, l.perSecond) // warm
	}
	redisBefore := redisCPU(b, client)
	for b.Loop() {
		for _, s := range sides {
			before := cpu(b, s.node.PID)
			s.crowd.talk(b, l.messages, l.perSecond)
			s.took += cpu(b, s.node.PID) - before
		}
	}
	redisTook := redisCPU(b, client) - redisBefore
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(b.N*l.messages*l.per) }
	embedded, redis := per(sides[0].took), per(sides[1].took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(embedded, "embedded-µs")
	b.ReportMetric(redis, "redis-µs")
	b.ReportMetric(redis/embedded, "ratio")
	b.ReportMetric(per(redisTook), "in-redis-µs")
}
