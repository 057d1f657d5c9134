package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"sluice/plugins"
)

// keptStats is what a filter keeps on the node, in the answer of /stats.
type keptStats struct {
	Counters int               `json:"counters"`
	Buckets  int               `json:"buckets"`
	Values   int               `json:"values"`
	Bytes    int64             `json:"bytes"` // of values, as their quota counts them
	Calls    map[string]uint64 `json:"calls"`
	Refused  map[string]uint64 `json:"refused"` // by the quota that was used up
}

func keptAnswer(s *plugins.Stats) keptStats {
	k := &s.Store
	return keptStats{k.Counters, k.Buckets, k.Values, k.Bytes, keepCalls(s), keepRefusals(s)}
}

func keepCalls(s *plugins.Stats) map[string]uint64 {
	c := &s.Store.Calls
	return map[string]uint64{"counter": c.Counters, "bucket": c.Buckets, "value": c.Values}
}

func keepRefusals(s *plugins.Stats) map[string]uint64 {
	r := &s.Store.Refused
	return map[string]uint64{"counters": r.Counters, "values": r.Values, "series": r.Series}
}

// These have no version: what a filter keeps survives a change of its module.
var (
	filterMetric = prometheus.NewDesc("sluice_filter_metric_total",
		"What a filter adds up itself, by metric_add.", []string{"filter", "name"}, nil)
	filterKept = prometheus.NewDesc("sluice_filter_kept",
		"Counters, buckets and values that a filter keeps on the node.", []string{"filter", "kind"}, nil)
	filterKeptBytes = prometheus.NewDesc("sluice_filter_kept_bytes",
		"What the values that a filter keeps take of their quota.", []string{"filter"}, nil)
	filterKeepCalls = prometheus.NewDesc("sluice_filter_keep_calls_total",
		"Calls of counter_add, bucket_take, and kv_get or kv_set.", []string{"filter", "kind"}, nil)
	filterQuotaRefused = prometheus.NewDesc("sluice_filter_quota_refused_total",
		"Calls of a filter that a used-up quota refused.", []string{"filter", "quota"}, nil)
)

// collectKept shows what a filter keeps. Its series are bounded by the filter's
// limits.series.
func collectKept(out chan<- prometheus.Metric, s *plugins.Stats) {
	emit := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, append([]string{s.Name}, labels...)...)
	}
	for name, sum := range s.Series {
		emit(filterMetric, prometheus.CounterValue, float64(sum), name)
	}
	for kind, n := range map[string]int{"counter": s.Store.Counters, "bucket": s.Store.Buckets, "value": s.Store.Values} {
		emit(filterKept, prometheus.GaugeValue, float64(n), kind)
	}
	emit(filterKeptBytes, prometheus.GaugeValue, float64(s.Store.Bytes))
	for kind, n := range keepCalls(s) {
		emit(filterKeepCalls, prometheus.CounterValue, float64(n), kind)
	}
	for quota, n := range keepRefusals(s) {
		emit(filterQuotaRefused, prometheus.CounterValue, float64(n), quota)
	}
}
