package main

import (
	"fmt"
	"math"
	"syscall"
	"time"
)

// ownDescriptors are those of a process beside those of connections.
const ownDescriptors = 300

// mostConnections is how many a process may hold, up to a bound: its
// descriptors limit it, the server's as well as the client's.
func mostConnections(bound int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max > math.MaxInt32 {
		return bound
	}
	return max(min(bound, int(limit.Max)-ownDescriptors), 1000)
}

// growth is how costs grow.
func growth(p plan) []scenario {
	return []scenario{growthOfConnections(p), growthOfRooms(p), growthOfMembers(p), growthOfPayload(p), growthOfFilters(p)}
}

func (l load) timed(p plan) *load {
	l.Duration, l.Warmup = p.Duration, p.Warmup
	return &l
}

func growthOfConnections(p plan) scenario {
	s := scenario{
		Key: "growth-connections", Title: "Connections, held and loaded: rooms of 4, 2,000 messages a second",
		Metrics: []metric{rss, rssPerConnection, cpuPerDelivery, p50, p99},
		Sweep:   &sweep{Of: "connections", Units: []unitCost{itself(rssPerConnection), itself(cpuPerDelivery)}},
	}
	for _, n := range []int{1000, 5000, mostConnections(20000)} {
		s.Subjects = append(s.Subjects, subject{
			Name: count(n), Settings: settings{Filters: fullPolicy()},
			Load: load{Scenario: "rooms", Connections: n, Rooms: n / 4, Rate: 2000}.timed(p),
		})
		s.Sweep.Amounts = append(s.Sweep.Amounts, float64(n))
	}
	return s
}

// growthOfRooms loads the same rooms each time, beside those that are held.
func growthOfRooms(p plan) scenario {
	s := scenario{
		Key: "growth-rooms", Title: "Rooms, held by connections that are in 1,000 each, beside 250 rooms of 4 with 2,000 messages a second",
		Metrics: []metric{rss, cpuPerPublish, p99},
		Sweep: &sweep{Of: "rooms", Units: []unitCost{
			beyondFirst(rss, "memory of a room", "B", 1<<20, 10_000),
			itself(cpuPerPublish),
		}},
	}
	for _, n := range []int{1, 1000, 100_000} {
		s.Subjects = append(s.Subjects, subject{
			Name: count(n), Rooms: n,
			Settings: settings{Limits: object{"rooms_per_connection": roomsEach}},
			Load:     load{Scenario: "rooms", Connections: 1000, Rooms: 250, Rate: 2000}.timed(p),
		})
		s.Sweep.Amounts = append(s.Sweep.Amounts, float64(n))
	}
	return s
}

func growthOfMembers(p plan) scenario {
	s := scenario{
		Key: "growth-members", Title: "Members of one room",
		Metrics: []metric{cpuPerDelivery, cpuPerPublish, p50, p99},
		Sweep: &sweep{Of: "members", Units: []unitCost{itself(cpuPerDelivery)},
			Why: "With one member, reading, filters and encoding fall to a single delivery, and each finds the processor asleep."},
	}
	for _, row := range []struct {
		members int
		rate    int
	}{{1, 5000}, {100, 500}, {min(10_000, mostConnections(10_000)), 10}} {
		s.Subjects = append(s.Subjects, subject{
			Name:     fmt.Sprintf("%s, %s messages/s", count(row.members), count(row.rate)),
			Settings: settings{Filters: fullPolicy()},
			Load:     load{Scenario: "fanout", Connections: row.members, Rate: float64(row.rate)}.timed(p),
		})
		s.Sweep.Amounts = append(s.Sweep.Amounts, float64(row.members))
	}
	return s
}

func growthOfPayload(p plan) scenario {
	s := scenario{
		Key: "growth-payload", Title: "Size of the content: fan-out to 100 members, 50 messages a second",
		Metrics: []metric{cpuPerDelivery, cpuPerPublish, p50, p99},
		Sweep: &sweep{Of: "bytes", Units: []unitCost{
			beyondFirst(cpuPerDelivery, "CPU per delivery of each KiB more", "µs", 1024, 4096),
		}, Why: "Below 4 KiB the cost of a write hides that of its bytes; from there it is copying, in the kernel and once in the filters."},
	}
	const most = 64 << 10
	filters := []object{authFilter(), validateFilter(2 * most), sizeFilter(2 * most), wordsFilter()} // content is JSON: larger than its text
	for _, n := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, most} {
		s.Subjects = append(s.Subjects, subject{
			Name:     sizeText(n),
			Settings: settings{Filters: filters, Limits: object{"frame": "128KiB", "queue": "8MiB"}},
			Load:     load{Scenario: "fanout", Connections: 100, Rate: 50, Size: n}.timed(p),
		})
		s.Sweep.Amounts = append(s.Sweep.Amounts, float64(n))
	}
	return s
}

func sizeText(n int) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%d KiB", n/1024)
}

// growthOfFilters has no auth: a chain of n is n filters on each message.
func growthOfFilters(p plan) scenario {
	s := scenario{
		Key: "growth-filters", Title: "Filters on each message: 500 rooms of 1, as fast as it goes",
		Metrics: []metric{cpuPerPublish, p50, p99},
		Sweep:   &sweep{Of: "filters", Units: []unitCost{beyondFirst(cpuPerPublish, "CPU of a filter", "µs", 1, 1)}},
	}
	for _, n := range []int{0, 1, 3, 10} {
		s.Subjects = append(s.Subjects, subject{
			Name: count(n), Settings: settings{Filters: chain(n)},
			Load: load{Scenario: "rooms", Connections: 500, Rooms: 500, Window: 256}.timed(p),
		})
		s.Sweep.Amounts = append(s.Sweep.Amounts, float64(n))
	}
	return s
}

// chain is n filters: validate, size and words, again and again.
func chain(n int) (filters []object) {
	kinds := []object{validateFilter(4096), sizeFilter(4096), wordsFilter()}
	for i := range n {
		f := kinds[i%len(kinds)]
		filters = append(filters, named(fmt.Sprintf("%s-%d", f["name"], i/len(kinds)+1), f))
	}
	return filters
}

// collectors is what the settings of Go's garbage collector do to a node that
// holds many connections and serves some load.
func collectors(p plan) scenario {
	n := mostConnections(10_000)
	limit := fmt.Sprintf("%dMiB", n*24/1024)
	s := scenario{
		Key: "gc", Title: fmt.Sprintf("Garbage collector: %s connections in rooms of 4, 2,000 messages a second", count(n)),
		Metrics: []metric{rss, rssPerConnection, cpuPerPublish, p50, p99},
		Sweep:   &sweep{Of: "settings"},
	}
	for _, env := range [][]string{
		{"GOGC=50"}, {"GOGC=100"}, {"GOGC=200"}, {"GOGC=400"},
		{"GOGC=100", "GOMEMLIMIT=" + limit}, {"GOGC=400", "GOMEMLIMIT=" + limit}, {"GOGC=off", "GOMEMLIMIT=" + limit},
	} {
		// The load has to last for some collections.
		l := load{Scenario: "rooms", Connections: n, Rooms: n / 4, Rate: 2000}.timed(p)
		l.Duration = max(l.Duration, 4*time.Second)
		name := env[0]
		for _, e := range env[1:] {
			name += " " + e
		}
		s.Subjects = append(s.Subjects, subject{Name: name, Env: env, Settings: settings{Filters: fullPolicy()}, Load: l})
	}
	return s
}
