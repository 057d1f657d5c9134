package bench

import (
	"maps"
	"math"
	"runtime"
	"time"
)

// Result is what a run measured, or the median of several. docs/bench.md says
// what each field means; their names do not change.
type Result struct {
	Kind        string  `json:"kind"` // run or median
	Repeat      int     `json:"repeat"`
	Label       string  `json:"label"`
	Scenario    string  `json:"scenario"`
	URL         string  `json:"url"`
	Version     string  `json:"version"`
	Connections int     `json:"connections"`
	Rooms       int     `json:"rooms"`
	Slow        int     `json:"slow"`
	Rate        float64 `json:"rate"`
	Window      int     `json:"window"`
	Size        int     `json:"size"`
	Compressed  int     `json:"compressed"`
	Interrupted bool    `json:"interrupted"`

	Seconds             float64 `json:"seconds"`
	Published           int64   `json:"published"`
	PublishesPerSecond  float64 `json:"publishes_per_second"`
	Expected            int64   `json:"expected"`
	Delivered           int64   `json:"delivered"`
	DeliveriesPerSecond float64 `json:"deliveries_per_second"`
	Lost                int64   `json:"lost"`
	Duplicated          int64   `json:"duplicated"`
	Disordered          int64   `json:"disordered"`
	Misdelivered        int64   `json:"misdelivered"`

	Refused    map[string]int64  `json:"refused"`
	Closed     map[string]int64  `json:"closed"`
	SlowClosed map[string]int64  `json:"slow_closed"`
	Gaps       map[string]int64  `json:"gaps"`
	Reasons    map[string]string `json:"reasons"`

	Latency   LatencyResult            `json:"latency_us"`
	Late      LateResult               `json:"late_us"`
	Connect   ConnectResult            `json:"connect"`
	Pings     float64                  `json:"pings_per_second"`
	Processes map[string]ProcessResult `json:"processes"`
	Client    ClientResult             `json:"client"`
	Other     float64                  `json:"other_cpu_percent"`

	// For the text alone.
	order   []string // of the processes
	cores   int
	offered bool // compression was
}

// LatencyResult is in microseconds, from just before the publisher's write to
// just after the subscriber's read.
type LatencyResult struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// LateResult is how long after its time a message was published, in
// microseconds.
type LateResult struct {
	P99 float64 `json:"p99"`
}

// ConnectResult is what handshakes and joins took.
type ConnectResult struct {
	Joined    int     `json:"joined"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
}

// ProcessResult is what a process used.
type ProcessResult struct {
	PID           int     `json:"pid"`
	CPUSeconds    float64 `json:"cpu_seconds"`
	CPUPercent    float64 `json:"cpu_percent"`
	PerDelivery   float64 `json:"cpu_us_per_delivery"`
	PerPublish    float64 `json:"cpu_us_per_publish"`
	PerConnection float64 `json:"cpu_us_per_connection"`
	IdleCPU       float64 `json:"idle_cpu_us_per_connection_second"`
	RSS           int64   `json:"rss_bytes"`
	RSSPer        float64 `json:"rss_bytes_per_connection"`
}

// ClientResult is what this process used.
type ClientResult struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	CPUPercent float64 `json:"cpu_percent"`
}

func (r *run) newResult() *Result {
	o := r.o
	res := &Result{
		Kind: "run", Repeat: 1, Label: o.Label, Scenario: string(o.Scenario), URL: o.URL,
		Connections: o.Connections, Rooms: len(r.rooms), Slow: o.Slow,
		Processes: make(map[string]ProcessResult), cores: runtime.NumCPU(), offered: o.Compress,
	}
	if o.Scenario == Fanout || o.Scenario == Rooms {
		if res.Window = o.Window; o.Window == 0 {
			res.Rate = o.Rate
		}
		res.Size = len(r.content.before) + len(r.content.after) + markerSize
		if o.Payload == nil {
			res.Size = o.Size
		}
	}
	return res
}

// connected fills in what connecting took.
func (res *Result) connected(r *run, took time.Duration, m *meter, a, b sample) {
	res.Connect = ConnectResult{
		Joined: r.members, Seconds: round(took.Seconds(), 4), PerSecond: round(perUnit(float64(r.members), took.Seconds()), 1),
		P50: micros(r.joins.quantile(0.5)), P99: micros(r.joins.quantile(0.99)),
	}
	for i, p := range m.processes {
		used := b.used(a, i)
		res.order = append(res.order, p.Name)
		pr := ProcessResult{PID: p.PID, PerConnection: round(perUnit(used*1e6, float64(r.members)), 2)}
		if r.o.Scenario == Connect {
			pr.CPUSeconds, pr.CPUPercent = round(used, 3), percent(used, a, b)
		}
		res.Processes[p.Name] = pr
	}
	if r.o.Scenario == Connect {
		res.Seconds = res.Connect.Seconds
		res.used(m, a, b)
	}
}

// used fills in what this process and the others used.
func (res *Result) used(m *meter, a, b sample) {
	own := b.own - a.own
	res.Client = ClientResult{CPUSeconds: round(own, 3), CPUPercent: percent(own, a, b)}
	res.Other = m.others(a, b)
}

// loaded fills in what the measured part of a load was.
func (res *Result) loaded(published, delivered int64, m *meter, a, b sample) {
	res.Seconds = round(b.at.Sub(a.at).Seconds(), 4)
	res.PublishesPerSecond = round(perUnit(float64(published), res.Seconds), 1)
	res.DeliveriesPerSecond = round(perUnit(float64(delivered), res.Seconds), 1)
	for i, p := range m.processes {
		used := b.used(a, i)
		pr := res.Processes[p.Name]
		pr.CPUSeconds, pr.CPUPercent = round(used, 3), percent(used, a, b)
		pr.PerDelivery = round(perUnit(used*1e6, float64(delivered)), 3)
		pr.PerPublish = round(perUnit(used*1e6, float64(published)), 3)
		res.Processes[p.Name] = pr
	}
	res.used(m, a, b)
}

func (res *Result) idled(members, pings int, m *meter, a, b sample) {
	res.Seconds = round(b.at.Sub(a.at).Seconds(), 4)
	res.Pings = round(perUnit(float64(pings), res.Seconds), 2)
	for i, p := range m.processes {
		used := b.used(a, i)
		pr := res.Processes[p.Name]
		pr.CPUSeconds, pr.CPUPercent = round(used, 3), percent(used, a, b)
		pr.IdleCPU = round(perUnit(used*1e6/max(res.Seconds, 1e-9), float64(members)), 3)
		res.Processes[p.Name] = pr
	}
	res.used(m, a, b)
}

// finish fills in what was counted over the whole run.
func (res *Result) finish(r *run, m *meter, before sample) {
	after := m.sample()
	for i, p := range m.processes {
		pr := res.Processes[p.Name]
		if pr.RSS = after.rss[i]; pr.RSS > 0 { // it has not ended
			pr.RSSPer = round(perUnit(float64(pr.RSS-before.rss[i]), float64(res.Connect.Joined)), 1)
		}
		res.Processes[p.Name] = pr
	}
	res.Version, res.Compressed, res.Interrupted = r.version, r.compressed, r.stopped()
	res.Published, res.Expected, res.Delivered = r.published, r.expected-r.doubtful, r.delivered
	res.Lost = max(r.outstanding(), 0)
	res.Duplicated, res.Disordered, res.Misdelivered = r.duplicated, r.disordered, r.misdelivered
	l := &r.latency
	res.Latency = LatencyResult{
		P50: micros(l.quantile(0.5)), P90: micros(l.quantile(0.9)), P99: micros(l.quantile(0.99)), P999: micros(l.quantile(0.999)),
		Max: micros(l.max), Mean: round(l.mean()/1e3, 1),
	}
	res.Late.P99 = micros(r.late.quantile(0.99))
	t := &r.tally
	res.Reasons = make(map[string]string)
	for _, c := range []*causes{&t.slow, &t.gaps, &t.closed, &t.refused} {
		for cause, reason := range c.reasons {
			if reason != "" {
				res.Reasons[cause] = reason
			}
		}
	}
	copied := func(c *causes) map[string]int64 {
		if c.counts == nil {
			return map[string]int64{}
		}
		return maps.Clone(c.counts)
	}
	res.Refused, res.Closed, res.SlowClosed, res.Gaps = copied(&t.refused), copied(&t.closed), copied(&t.slow), copied(&t.gaps)
}

// Failed reports whether the server lost, repeated, reordered or refused
// anything, or ended a connection that reads.
func (res *Result) Failed() bool {
	return res.Lost+res.Duplicated+res.Disordered+res.Misdelivered > 0 || len(res.Refused)+len(res.Closed)+len(res.Gaps) > 0
}

func micros(ns int64) float64 { return round(float64(ns)/1e3, 1) }

func perUnit(v, n float64) float64 {
	if n <= 0 {
		return 0
	}
	return v / n
}

func round(v float64, digits int) float64 {
	f := math.Pow10(digits)
	return math.Round(v*f) / f
}
