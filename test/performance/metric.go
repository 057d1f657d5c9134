package main

import (
	"fmt"
	"math"
	"strconv"
)

// metric is one figure of a run. Of is NaN where the run does not have it.
type metric struct {
	Name string
	Unit string
	Of   func(*Report) float64
	High bool // more is better
}

func perServer(figure func(Process) float64) func(*Report) float64 {
	return func(r *Report) float64 { return zeroIsNone(r.server(figure)) }
}

func perRedis(figure func(Process) float64) func(*Report) float64 {
	return func(r *Report) float64 {
		p, ok := r.Processes[redisProcess]
		if !ok {
			return math.NaN()
		}
		return figure(p)
	}
}

func zeroIsNone(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}

var (
	cpuPerDelivery   = metric{Name: "CPU per delivery", Unit: "µs", Of: perServer(func(p Process) float64 { return p.CPUMicrosPerDelivery })}
	cpuPerPublish    = metric{Name: "CPU per publish", Unit: "µs", Of: perServer(func(p Process) float64 { return p.CPUMicrosPerPublish })}
	cpuPerConnection = metric{Name: "CPU per connection", Unit: "µs", Of: perServer(func(p Process) float64 { return p.CPUMicrosPerConnection })}
	idleCPU          = metric{Name: "CPU per second of a connection", Unit: "µs", Of: perServer(func(p Process) float64 { return p.IdleMicrosPerConnectionSecond })}
	rssPerConnection = metric{Name: "RSS per connection", Unit: "KiB", Of: perServer(func(p Process) float64 { return p.RSSBytesPerConnection / 1024 })}
	rss              = metric{Name: "RSS", Unit: "MiB", Of: perServer(func(p Process) float64 { return p.RSSBytes / (1 << 20) })}
	redisPerPublish  = metric{Name: "CPU of Redis per publish", Unit: "µs", Of: perRedis(func(p Process) float64 { return p.CPUMicrosPerPublish })}
	deliveries       = metric{Name: "deliveries per second", High: true, Of: func(r *Report) float64 { return zeroIsNone(r.DeliveriesPerSecond) }}
	p50              = metric{Name: "p50", Unit: "µs", Of: func(r *Report) float64 { return zeroIsNone(r.Latency.P50) }}
	p99              = metric{Name: "p99", Unit: "µs", Of: func(r *Report) float64 { return zeroIsNone(r.Latency.P99) }}
)

// values are a metric's of several runs; a run that failed is nil.
func (m metric) values(runs []*Report) []float64 {
	v := make([]float64, len(runs))
	for i, r := range runs {
		v[i] = math.NaN()
		if r != nil {
			v[i] = m.Of(r)
		}
	}
	return v
}

// text writes a spread with the unit: the median, and what it lies between if
// there are several.
func (m metric) text(s spread) string {
	if math.IsNaN(s.Median) {
		return "–"
	}
	out := number(s.Median)
	if m.Unit != "" {
		out += " " + m.Unit
	}
	if s.Min != s.Max {
		out += fmt.Sprintf(" (%s–%s)", number(s.Min), number(s.Max))
	}
	return out
}

// number has three significant digits, and groups of thousands.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case v == 0:
		return "0"
	case a < 999.5:
		digits := 2 - int(math.Floor(math.Log10(a)))
		return strconv.FormatFloat(v, 'f', min(max(digits, 0), 4), 64)
	}
	return count(int(math.Round(v)))
}

// count has groups of thousands.
func count(n int) string {
	if n < 0 {
		return "-" + count(-n)
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
