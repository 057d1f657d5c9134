package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"sluice/plugins"
	"sluice/router"
)

// sourceCollector shows what came of reading filters. Its series are bounded:
// the values of each label are fixed by plugins/source.
type sourceCollector struct{ router *router.Router }

var (
	sourceReads = prometheus.NewDesc("sluice_filter_source_reads_total",
		"Modules of filters that were read, by where they came from (file, fetched, cached, last_good), or that they were refused or could not be had.", []string{"result"}, nil)
	sourceFailures = prometheus.NewDesc("sluice_filter_source_failures_total",
		"Modules of filters that could not be fetched, were refused, or could not be kept on disk, by reason.", []string{"reason"}, nil)
	sourceStale = prometheus.NewDesc("sluice_filter_source_away",
		"1 for a filter whose module is the last good one, because its source was away when it was loaded.", []string{"filter"}, nil)
)

// Describe implements prometheus.Collector.
func (c *sourceCollector) Describe(out chan<- *prometheus.Desc) {
	out <- sourceReads
	out <- sourceFailures
	out <- sourceStale
}

// Collect implements prometheus.Collector.
func (c *sourceCollector) Collect(out chan<- prometheus.Metric) {
	chain, ok := c.router.Generation().Filters.(*plugins.Chain)
	if !ok {
		return
	}
	s := chain.Sources()
	for result, n := range s.Reads {
		out <- prometheus.MustNewConstMetric(sourceReads, prometheus.CounterValue, float64(n), result)
	}
	for reason, n := range s.Failures {
		out <- prometheus.MustNewConstMetric(sourceFailures, prometheus.CounterValue, float64(n), reason)
	}
	for _, f := range chain.Info() {
		stale := 0.0
		if f.From == plugins.FromLastGood {
			stale = 1
		}
		out <- prometheus.MustNewConstMetric(sourceStale, prometheus.GaugeValue, stale, f.Name)
	}
}
