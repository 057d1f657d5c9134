package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
)

// Report is what `sluice bench --json` writes of one run: the part of it that is
// used here. Times are in the unit of their name, sizes in bytes.
type Report struct {
	Kind        string `json:"kind"`
	Label       string `json:"label"`
	Scenario    string `json:"scenario"`
	Connections int    `json:"connections"`
	Rooms       int    `json:"rooms"`
	Slow        int    `json:"slow"` // members that never read

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
	Interrupted         bool    `json:"interrupted"`

	Refused map[string]int64  `json:"refused"`
	Closed  map[string]int64  `json:"closed"`
	Gaps    map[string]int64  `json:"gaps"`
	Reasons map[string]string `json:"reasons"`

	Latency Latency `json:"latency_us"`
	Connect struct {
		Seconds   float64 `json:"seconds"`
		PerSecond float64 `json:"per_second"`
	} `json:"connect"`
	Processes map[string]Process `json:"processes"`
	Client    struct {
		CPUPercent float64 `json:"cpu_percent"`
	} `json:"client"`
	OtherCPUPercent float64 `json:"other_cpu_percent"`

	raw json.RawMessage // all of it
}

// Latency is a distribution, in microseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Process is what a watched process used. What a scenario does not have is 0.
type Process struct {
	CPUSeconds                    float64 `json:"cpu_seconds"`
	CPUMicrosPerDelivery          float64 `json:"cpu_us_per_delivery"`
	CPUMicrosPerPublish           float64 `json:"cpu_us_per_publish"`
	CPUMicrosPerConnection        float64 `json:"cpu_us_per_connection"`
	CPUPercent                    float64 `json:"cpu_percent"`
	RSSBytes                      float64 `json:"rss_bytes"`
	RSSBytesPerConnection         float64 `json:"rss_bytes_per_connection"`
	IdleMicrosPerConnectionSecond float64 `json:"idle_cpu_us_per_connection_second"`
}

// Names of watched processes: a node of Sluice, or a floor, begins with server.
const (
	serverProcess = "server"
	redisProcess  = "redis"
)

// server adds up a figure of the processes under test.
func (r *Report) server(figure func(Process) float64) float64 {
	sum, found := 0.0, false
	for name, p := range r.Processes {
		if strings.HasPrefix(name, serverProcess) {
			sum += figure(p)
			found = true
		}
	}
	if !found {
		return math.NaN()
	}
	return sum
}

// errUnsound is of a run whose figures say nothing: messages are missing, or the
// server was not measured.
var errUnsound = errors.New("the run does not count")

// check refuses a run in which the server lost, doubled or reordered messages,
// refused or ended anything, or was not measured. Gaps are what members that
// never read are meant to get.
func (r *Report) check() error {
	var why []string
	for _, w := range []struct {
		n    int64
		what string
	}{{r.Lost, "lost"}, {r.Duplicated, "duplicated"}, {r.Disordered, "out of order"}, {r.Misdelivered, "delivered to others"}} {
		if w.n != 0 {
			why = append(why, fmt.Sprintf("%d messages %s", w.n, w.what))
		}
	}
	gaps := r.Gaps
	if r.Slow > 0 {
		gaps = nil
	}
	for _, w := range []struct {
		causes map[string]int64
		what   string
	}{{r.Refused, "refused"}, {r.Closed, "connections ended"}, {gaps, "gaps"}} {
		for _, cause := range slices.Sorted(maps.Keys(w.causes)) {
			why = append(why, fmt.Sprintf("%d %s: %s", w.causes[cause], w.what, strings.TrimSpace(cause+" "+r.Reasons[cause])))
		}
	}
	if loads := r.Scenario == "fanout" || r.Scenario == "rooms"; loads && r.Delivered == 0 {
		why = append(why, "nothing was delivered")
	}
	if r.Interrupted {
		why = append(why, "it was interrupted")
	}
	if cpu := r.server(func(p Process) float64 { return p.CPUSeconds }); math.IsNaN(cpu) {
		why = append(why, "no process of the server was measured")
	}
	if len(why) > 0 {
		return fmt.Errorf("%w: %s", errUnsound, strings.Join(why, "; "))
	}
	return nil
}

// parseReport takes the run out of what was written: lines of JSON, of which
// those that summarise several runs are left out.
func parseReport(text []byte) (*Report, json.RawMessage, error) {
	var found *Report
	var raw json.RawMessage
	dec := json.NewDecoder(strings.NewReader(string(text)))
	for dec.More() {
		var line json.RawMessage
		if err := dec.Decode(&line); err != nil {
			return nil, nil, fmt.Errorf("the report is not JSON: %w", err)
		}
		var r Report
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, nil, fmt.Errorf("the report is not as expected: %w", err)
		}
		if r.Kind != "" && r.Kind != "run" {
			continue
		}
		if found != nil {
			return nil, nil, errors.New("the report has several runs, where one was asked for")
		}
		found, raw = &r, line
	}
	if found == nil {
		return nil, nil, errors.New("the report has no run")
	}
	return found, raw, nil
}

func readReport(file string) (*Report, json.RawMessage, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	return parseReport(text)
}
