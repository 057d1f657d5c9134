package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"sluice/plugins"
	"sluice/router"
)

// filtersOf reads the counters of the filters in force, in their order.
func filtersOf(r *router.Router) []plugins.Stats {
	chain, ok := r.Generation().Filters.(*plugins.Chain)
	if !ok {
		return nil
	}
	return chain.Stats()
}

// filterStats is one filter in the answer of /stats.
type filterStats struct {
	Name      string            `json:"name"`
	File      string            `json:"file"`
	Version   string            `json:"version"` // of the module: the first 12 digits of its SHA-256
	Hooks     []string          `json:"hooks"`
	Rooms     []string          `json:"rooms,omitempty"`
	Calls     uint64            `json:"calls"`
	Verdicts  map[string]uint64 `json:"verdicts"`
	Failures  map[string]uint64 `json:"failures"`
	Instances int               `json:"instances"`
	Created   uint64            `json:"created"`
	Memory    uint64            `json:"memory_bytes"`
	AverageNS int64             `json:"average_ns"`
	LogLost   uint64            `json:"log_lost"`
}

func filterAnswers(r *router.Router) []filterStats {
	answers := []filterStats{}
	for _, s := range filtersOf(r) {
		answers = append(answers, filterStats{
			Name: s.Name, File: s.File, Version: s.Version, Hooks: s.Hooks, Rooms: s.Rooms,
			Calls: s.Calls, Verdicts: s.Verdicts, Failures: s.Failures,
			Instances: s.Instances, Created: s.Created, Memory: s.Memory, AverageNS: s.Average.Nanoseconds(), LogLost: s.LogLost,
		})
	}
	return answers
}

// filterCollector reads the filters' counters when it is scraped. Its series
// are bounded by the configured filters: a reload takes those of a version
// that it replaced away.
type filterCollector struct{ router *router.Router }

func filterDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sluice_filter_"+name, help, append([]string{"filter", "version"}, labels...), nil)
}

var (
	filterCalls     = filterDesc("calls_total", "Calls of a filter, by the digest of its module.")
	filterVerdicts  = filterDesc("verdicts_total", "Verdicts of a filter.", "verdict")
	filterFailures  = filterDesc("failures_total", "Events on which a filter failed, by cause.", "cause")
	filterInstances = filterDesc("instances", "Instances of a filter that are open.")
	filterCreated   = filterDesc("instances_created_total", "Instances of a filter since it was loaded.")
	filterMemory    = filterDesc("memory_bytes", "Linear memory of a filter, over all instances.")
	filterAverage   = filterDesc("call_seconds_average", "Average time of a call; one in 64 is timed.")
	filterLogLost   = filterDesc("log_lost_total", "Lines of a filter that were not logged, because there were too many.")

	keyVerifications = prometheus.NewDesc("sluice_key_verifications_total",
		"Signatures that a filter had verified, by result.", []string{"filter", "result"}, nil)
	keyFetchFailures = prometheus.NewDesc("sluice_key_fetch_failures_total",
		"Fetches of a filter's keys that failed, over all its URLs, by cause.", []string{"filter", "cause"}, nil)
)

// Describe implements prometheus.Collector.
func (c *filterCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		filterCalls, filterVerdicts, filterFailures, filterInstances, filterCreated, filterMemory, filterAverage, filterLogLost,
		keyVerifications, keyFetchFailures,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *filterCollector) Collect(out chan<- prometheus.Metric) {
	for _, s := range filtersOf(c.router) {
		emit := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, kind, value, append([]string{s.Name, s.Version}, labels...)...)
		}
		emit(filterCalls, prometheus.CounterValue, float64(s.Calls))
		for verdict, n := range s.Verdicts {
			emit(filterVerdicts, prometheus.CounterValue, float64(n), verdict)
		}
		for cause, n := range s.Failures {
			emit(filterFailures, prometheus.CounterValue, float64(n), cause)
		}
		emit(filterInstances, prometheus.GaugeValue, float64(s.Instances))
		emit(filterCreated, prometheus.CounterValue, float64(s.Created))
		emit(filterMemory, prometheus.GaugeValue, float64(s.Memory))
		emit(filterAverage, prometheus.GaugeValue, s.Average.Seconds())
		emit(filterLogLost, prometheus.CounterValue, float64(s.LogLost))
		if s.Keys != nil {
			collectKeys(out, &s)
		}
	}
}

// collectKeys shows what came of a filter's keys. Its sources are added up, so
// that no URL becomes a label; one that fetches has all causes from the start.
func collectKeys(out chan<- prometheus.Metric, s *plugins.Stats) {
	for result, n := range s.Keys.Results {
		out <- prometheus.MustNewConstMetric(keyVerifications, prometheus.CounterValue, float64(n), s.Name, result)
	}
	failures := make(map[string]uint64)
	for i := range s.Keys.Sources {
		for cause, n := range s.Keys.Sources[i].Failures {
			failures[cause] += n
		}
	}
	for cause, n := range failures {
		out <- prometheus.MustNewConstMetric(keyFetchFailures, prometheus.CounterValue, float64(n), s.Name, cause)
	}
}
