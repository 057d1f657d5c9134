package main

import (
	"slices"
	"time"
)

// scenario is one comparison: a load, under which subjects run in turn.
type scenario struct {
	Key      string // for -only and raw results
	Title    string
	Note     string // below the table
	Load     load
	Subjects []subject // the first is the one that aims are about
	Against  []string  // opponents, of which the best at a figure counts for it
	Kind     kind      // of the comparison
	Metrics  []metric
	Aims     []aim
	Rounds   int  // at most; 0: those of the plan
	Redis    bool // needs redis-server
	Sweep    *sweep
}

// load is that of a subject.
func (s *scenario) load(subject int) *load {
	if own := s.Subjects[subject].Load; own != nil {
		return own
	}
	return &s.Load
}

func (s *scenario) index(subject string) int {
	return slices.Index(names(s.Subjects), subject)
}

// plan says how long and how often.
type plan struct {
	Rounds   int
	Duration time.Duration // measured, of a load
	Warmup   time.Duration
	Beat     time.Duration // heartbeat, and measured time, of idle connections
}

var (
	standardPlan = plan{Rounds: 3, Duration: 3 * time.Second, Warmup: time.Second, Beat: 25 * time.Second}
	quickPlan    = plan{Rounds: 1, Duration: 1500 * time.Millisecond, Warmup: 500 * time.Millisecond, Beat: 5 * time.Second}
)

const (
	withPolicy = "Sluice"
	authOnly   = "auth only"
	noFilters  = "no filters"
)

func floors(ways ...string) (subjects []subject) {
	for _, way := range ways {
		subjects = append(subjects, subject{Name: floorName(way), Floor: way})
	}
	return subjects
}

func floorName(way string) string { return "floor, " + way }

func names(subjects []subject) (n []string) {
	for _, s := range subjects {
		n = append(n, s.Name)
	}
	return n
}

// scenarios are those of the standard run.
func scenarios(p plan) []scenario {
	sluice := subject{Name: withPolicy, Settings: settings{Filters: fullPolicy()}}
	against := func(s scenario, ways ...string) scenario {
		f := floors(ways...)
		s.Against = names(f)
		s.Subjects = append([]subject{sluice}, f...)
		s.Load.Duration, s.Load.Warmup = p.Duration, p.Warmup
		return s
	}
	list := []scenario{
		against(scenario{
			Key: "fanout", Title: "Fan-out to 1,000 members, 100 messages a second",
			Load:    load{Scenario: "fanout", Connections: 1000, Rate: 100},
			Metrics: []metric{cpuPerDelivery, p50, p99},
			Aims:    []aim{{Metric: cpuPerDelivery, Bound: 1.10}, {Metric: p99, Bound: 1.2}},
		}, "shard", "inline"),
		against(scenario{
			Key: "fanout-saturated", Title: "Fan-out to 1,000 members, as fast as it goes",
			Load:    load{Scenario: "fanout", Connections: 1000, Window: 64},
			Metrics: []metric{cpuPerDelivery, deliveries, p99},
			Aims:    []aim{{Metric: cpuPerDelivery, Bound: 1.10}},
		}, "shard", "prepared"),
		against(scenario{
			Key: "rooms", Title: "500 rooms of 4, 2,000 messages a second",
			Load:    load{Scenario: "rooms", Connections: 2000, Rooms: 500, Rate: 2000},
			Metrics: []metric{cpuPerPublish, p50, p99},
			Aims:    []aim{{Metric: cpuPerPublish, Bound: 1.10}},
		}, "inline", "shard"),
		against(scenario{
			Key: "rooms-saturated", Title: "500 rooms of 4, as fast as it goes",
			Load:    load{Scenario: "rooms", Connections: 2000, Rooms: 500, Window: 512},
			Metrics: []metric{deliveries, cpuPerPublish, p99},
			Aims:    []aim{{Metric: deliveries, Bound: 0.9}},
		}, "inline", "shard"),
		connectScenario(sluice),
		idleScenario(sluice, p),
	}
	return slices.Concat(list, policyScenarios(p), []scenario{slowScenario(p)}, redisScenarios(p))
}

func connectScenario(sluice subject) scenario {
	f := floors("inline")
	return scenario{
		Key: "connect", Title: "Connect and join, 5,000 connections",
		Note:     "Sluice verifies a token of its own for each connection and greets it; the floor does neither.",
		Load:     load{Scenario: "connect", Connections: 5000},
		Subjects: []subject{sluice, f[0]}, Against: names(f),
		Metrics: []metric{cpuPerConnection},
		Aims:    []aim{{Metric: cpuPerConnection, Bound: 1.3}},
	}
}

// idleScenario measures for one heartbeat, so that each connection has one.
func idleScenario(sluice subject, p plan) scenario {
	sluice.Settings.Ping = p.Beat
	f := floors("inline")
	f[0].Ping = p.Beat
	return scenario{
		Key: "idle", Title: "4,000 idle connections, each in a room, with a heartbeat every " + p.Beat.String(),
		Load:     load{Scenario: "idle", Connections: 4000, Duration: p.Beat},
		Subjects: []subject{sluice, f[0]}, Against: names(f),
		Metrics: []metric{rssPerConnection, idleCPU},
		Aims:    []aim{{Metric: rssPerConnection, Bound: 1.15}, {Metric: rssPerConnection, Kind: asValue, Bound: 12}, {Metric: idleCPU, Bound: 1.2}},
		Rounds:  2,
	}
}

// policyScenarios have rooms of one member, so that a publish costs little beside
// its filters: as fast as it goes for the processor's time, which would
// otherwise be that of waking up, and at a rate for the latency.
func policyScenarios(p plan) []scenario {
	full := subject{Name: "auth and three filters", Settings: settings{Filters: fullPolicy()}}
	auth := subject{Name: authOnly, Settings: settings{Filters: []object{authFilter()}}}
	cpu := scenario{
		Key: "policy", Title: "What a policy costs: 500 rooms of 1, as fast as it goes",
		Load:     load{Scenario: "rooms", Connections: 500, Rooms: 500, Window: 256, Duration: p.Duration, Warmup: p.Warmup},
		Subjects: []subject{full, auth, {Name: noFilters}},
		Against:  []string{authOnly}, Kind: asDifference,
		Metrics: []metric{cpuPerPublish},
		Aims:    []aim{{Metric: cpuPerPublish, Kind: asDifference, Bound: 3}},
	}
	latency := scenario{
		Key: "policy-latency", Title: "What a policy delays: 500 rooms of 4, 2,000 messages a second",
		Load:     load{Scenario: "rooms", Connections: 2000, Rooms: 500, Rate: 2000, Duration: p.Duration, Warmup: p.Warmup},
		Subjects: []subject{full, auth},
		Against:  []string{authOnly}, Kind: asDifference,
		Metrics: []metric{p99, p50},
		Aims:    []aim{{Metric: p99, Kind: asDifference, Bound: 10}},
	}
	return []scenario{cpu, latency}
}

// slowScenario lets what waits for a member that does not read run over before
// anything is measured: the kernel holds some megabytes of it, then the queue is
// full. It keeps the member, which is harder than to disconnect it.
func slowScenario(p plan) scenario {
	s := settings{Filters: fullPolicy(), Limits: object{"queue": "64KiB"}, Rooms: object{"slow": "drop_oldest"}}
	return scenario{
		Key: "slow", Title: "Fan-out to 1,000 members, of whom 10 never read",
		Note: "4,000 bytes, 100 messages a second, for 8 s before it is measured; the queue of a member is 64 KiB, of which the oldest is dropped. The figures are those of the members that read.",
		Load: load{Scenario: "fanout", Connections: 1000, Rate: 100, Size: 4000, Duration: p.Duration, Warmup: 8 * time.Second},
		Subjects: []subject{
			{Name: "10 never read", Settings: s, Slow: 10},
			{Name: "all read", Settings: s},
		},
		Against: []string{"all read"},
		Metrics: []metric{p99, p50, cpuPerDelivery},
		Aims:    []aim{{Metric: p99, Bound: 1.2}},
	}
}

// redisScenarios have two nodes: the first member of each room is on one, the
// others on the other.
func redisScenarios(p plan) []scenario {
	s := settings{Filters: fullPolicy()}
	subjects := []subject{{Name: "two nodes on Redis", Settings: s, Redis: true}, {Name: "one node, embedded", Settings: s}}
	base := scenario{Subjects: subjects, Against: []string{"one node, embedded"}, Redis: true, Rounds: 2,
		Note: "CPU of both nodes together."}
	fan, rooms := base, base
	fan.Key, fan.Title = "redis-fanout", "Two nodes on Redis: fan-out to 1,000 members, 100 messages a second"
	fan.Load = load{Scenario: "fanout", Connections: 1000, Rate: 100, Duration: p.Duration, Warmup: p.Warmup}
	fan.Metrics = []metric{cpuPerDelivery, redisPerPublish, p99}
	rooms.Key, rooms.Title = "redis-rooms", "Two nodes on Redis: 500 rooms of 4, 2,000 messages a second"
	rooms.Load = load{Scenario: "rooms", Connections: 2000, Rooms: 500, Rate: 2000, Duration: p.Duration, Warmup: p.Warmup}
	rooms.Metrics = []metric{cpuPerPublish, redisPerPublish, p99}
	return []scenario{fan, rooms}
}
