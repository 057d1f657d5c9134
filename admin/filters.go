package admin

import (
	"time"

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
	Version   string            `json:"version"` // the first 12 digits of the digest
	Digest    string            `json:"digest"`  // of the module: SHA-256, in hex
	Loaded    time.Time         `json:"loaded"`
	Age       int64             `json:"age_seconds"`
	InFlight  int               `json:"in_flight"`
	Hooks     []string          `json:"hooks"`
	Rooms     []string          `json:"rooms,omitempty"`
	From      string            `json:"from"`                // builtin, file, fetched, cached, or last_good: its source was away
	SignedBy  string            `json:"signed_by,omitempty"` // the trusted key that signed it
	Calls     uint64            `json:"calls"`
	Verdicts  map[string]uint64 `json:"verdicts"`
	Failures  map[string]uint64 `json:"failures"`
	Instances int               `json:"instances"`
	Created   uint64            `json:"created"`
	Memory    uint64            `json:"memory_bytes"`
	AverageNS int64             `json:"average_ns"`
	LogLost   uint64            `json:"log_lost"`
	Lookup    *lookupStats      `json:"lookup,omitempty"`
	Kept      keptStats         `json:"kept"`
	Metrics   map[string]int64  `json:"metrics,omitempty"` // sums of metric_add
	Role      string            `json:"role"`              // active, canary or shadow
	Share     float64           `json:"share,omitempty"`   // of a candidate: of connections, or of events, 0 to 1
	Shadow    *shadowStats      `json:"shadow,omitempty"`
	Candidate *filterStats      `json:"candidate,omitempty"` // what is tried out beside it
}

func filterAnswers(r *router.Router) []filterStats {
	answers := []filterStats{}
	for _, s := range filtersOf(r) {
		answer := filterAnswer(&s)
		if s.Candidate != nil {
			candidate := filterAnswer(s.Candidate)
			candidate.Share, candidate.Shadow = s.Candidate.Share, shadowAnswer(s.Candidate)
			answer.Candidate = &candidate
		}
		answers = append(answers, answer)
	}
	return answers
}

func filterAnswer(s *plugins.Stats) filterStats {
	return filterStats{
		Name: s.Name, File: s.File, Version: s.Version, Digest: s.Digest, Role: s.Role,
		Loaded: s.Loaded.UTC(), Age: int64(time.Since(s.Loaded).Seconds()), InFlight: s.InFlight, Hooks: s.Hooks, Rooms: s.Rooms, From: s.From, SignedBy: s.SignedBy,
		Calls: s.Calls, Verdicts: s.Verdicts, Failures: s.Failures,
		Instances: s.Instances, Created: s.Created, Memory: s.Memory, AverageNS: s.Average.Nanoseconds(), LogLost: s.LogLost,
		Lookup: lookupAnswer(s),
		Kept:   keptAnswer(s), Metrics: s.Series,
	}
}

// lookupStats is a filter's lookup in the answer of /stats.
type lookupStats struct {
	Target   string            `json:"target"` // scheme and host, or Redis
	Results  map[string]uint64 `json:"results"`
	InFlight int               `json:"in_flight"`
	Breaker  string            `json:"breaker,omitempty"`
	Entries  int               `json:"cache_entries"`
	Bytes    int               `json:"cache_bytes"`
}

func lookupAnswer(f *plugins.Stats) *lookupStats {
	s := f.Lookup
	if s == nil {
		return nil
	}
	return &lookupStats{s.Target, s.Results, s.InFlight, s.Breaker, s.Entries, s.Bytes}
}

// filterCollector reads the filters' counters when it is scraped. Its series
// are bounded by the configured filters: a reload takes those of a version
// that it replaced away. A candidate is a version beside the active one.
type filterCollector struct{ router *router.Router }

func filterDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sluice_filter_"+name, help, append([]string{"filter", "version", "role"}, labels...), nil)
}

var (
	filterCalls     = filterDesc("calls_total", "Calls of a filter, by the digest of its module and whether that is the active version, or a candidate as canary or shadow.")
	filterVerdicts  = filterDesc("verdicts_total", "Verdicts of a filter.", "verdict")
	filterFailures  = filterDesc("failures_total", "Events on which a filter failed, by cause.", "cause")
	filterInFlight  = filterDesc("in_flight", "Calls of a filter under way for longer than about 50 microseconds, and questions of its lookup on their way.")
	filterLoaded    = filterDesc("loaded_timestamp_seconds", "When a filter was loaded.")
	filterInstances = filterDesc("instances", "Instances of a filter that are open.")
	filterCreated   = filterDesc("instances_created_total", "Instances of a filter since it was loaded.")
	filterMemory    = filterDesc("memory_bytes", "Linear memory of a filter, over all instances.")
	filterAverage   = filterDesc("call_seconds_average", "Average time of a call; one in 64 is timed.")
	filterLogLost   = filterDesc("log_lost_total", "Lines of a filter that were not logged, because there were too many.")

	lookupResults = prometheus.NewDesc("sluice_lookups_total",
		"Lookups of a filter, by result; failures by cause.", []string{"filter", "result"}, nil)
	lookupInFlight = prometheus.NewDesc("sluice_lookups_in_flight",
		"Questions of a filter's lookup that are on their way.", []string{"filter"}, nil)
	lookupBreaker = prometheus.NewDesc("sluice_lookup_breaker_state",
		"Breaker of a filter's lookup: 0 closed, 1 half-open, 2 open.", []string{"filter"}, nil)
	lookupCache = prometheus.NewDesc("sluice_lookup_cache_bytes",
		"What the answers take that a filter's lookup keeps, about.", []string{"filter"}, nil)

	keyVerifications = prometheus.NewDesc("sluice_key_verifications_total",
		"Signatures that a filter had verified, by result.", []string{"filter", "result"}, nil)
	keyFetchFailures = prometheus.NewDesc("sluice_key_fetch_failures_total",
		"Fetches of a filter's keys that failed, over all its URLs, by cause.", []string{"filter", "cause"}, nil)
)

// Describe implements prometheus.Collector.
func (c *filterCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		filterCalls, filterVerdicts, filterFailures, filterInFlight, filterLoaded, filterInstances, filterCreated, filterMemory, filterAverage, filterLogLost,
		keyVerifications, keyFetchFailures, lookupResults, lookupInFlight, lookupBreaker, lookupCache,
		filterMetric, filterKept, filterKeptBytes, filterKeepCalls, filterQuotaRefused,
		candidateShare, shadowDrawn, shadowCompared, shadowDropped, shadowDifferences,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *filterCollector) Collect(out chan<- prometheus.Metric) {
	for _, s := range filtersOf(c.router) {
		collectVersion(out, &s)
		collectKept(out, &s)
		if s.Keys != nil {
			collectKeys(out, &s)
		}
		if s.Lookup != nil {
			collectLookup(out, &s)
		}
		if s.Candidate != nil {
			collectVersion(out, s.Candidate)
			collectShadow(out, s.Candidate)
		}
	}
}

// collectVersion shows what one version of a filter has done.
func collectVersion(out chan<- prometheus.Metric, s *plugins.Stats) {
	emit := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, append([]string{s.Name, s.Version, s.Role}, labels...)...)
	}
	emit(filterCalls, prometheus.CounterValue, float64(s.Calls))
	for verdict, n := range s.Verdicts {
		emit(filterVerdicts, prometheus.CounterValue, float64(n), verdict)
	}
	for cause, n := range s.Failures {
		emit(filterFailures, prometheus.CounterValue, float64(n), cause)
	}
	emit(filterInFlight, prometheus.GaugeValue, float64(s.InFlight))
	emit(filterLoaded, prometheus.GaugeValue, float64(s.Loaded.Unix()))
	emit(filterInstances, prometheus.GaugeValue, float64(s.Instances))
	emit(filterCreated, prometheus.CounterValue, float64(s.Created))
	emit(filterMemory, prometheus.GaugeValue, float64(s.Memory))
	emit(filterAverage, prometheus.GaugeValue, s.Average.Seconds())
	emit(filterLogLost, prometheus.CounterValue, float64(s.LogLost))
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

var breakerStates = map[string]float64{"closed": 0, "half-open": 1, "open": 2}

// collectLookup shows what came of a filter's lookups. A lookup has all results
// from the start.
func collectLookup(out chan<- prometheus.Metric, f *plugins.Stats) {
	filter, s := f.Name, f.Lookup
	for result, n := range s.Results {
		out <- prometheus.MustNewConstMetric(lookupResults, prometheus.CounterValue, float64(n), filter, result)
	}
	out <- prometheus.MustNewConstMetric(lookupInFlight, prometheus.GaugeValue, float64(s.InFlight), filter)
	out <- prometheus.MustNewConstMetric(lookupCache, prometheus.GaugeValue, float64(s.Bytes), filter)
	if state, ok := breakerStates[s.Breaker]; ok {
		out <- prometheus.MustNewConstMetric(lookupBreaker, prometheus.GaugeValue, state, filter)
	}
}
