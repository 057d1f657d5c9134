package admin

import (
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/router/wire"
)

// apiCodes are the results that requests of the server API are counted under.
var apiCodes = []string{codeOK, string(wire.BadRequest), string(wire.Unauthorized), string(wire.Forbidden), string(wire.NotFound), string(wire.Conflict),
	string(wire.TooLarge), string(wire.Invalid), string(wire.RateLimited), string(wire.Unavailable), string(wire.Unsupported), codeFilter}

const (
	codeOK     = "ok"
	codeFilter = "filter" // a filter's own code
)

// apiCounts are the requests of the server API, and the commands of batches, since
// the handler was made. What the listener's token or the method kept out is not among them.
type apiCounts struct {
	// Static after construction.
	operations []string
	counts     map[string]*atomic.Uint64 // by operation/code
}

func newAPICounts() *apiCounts {
	c := &apiCounts{operations: []string{"batch"}, counts: make(map[string]*atomic.Uint64)}
	for _, op := range operations {
		c.operations = append(c.operations, op.name)
	}
	for _, op := range c.operations {
		for _, code := range apiCodes {
			c.counts[op+"/"+code] = new(atomic.Uint64)
		}
	}
	return c
}

// add counts a request that ended so; nil: well.
func (c *apiCounts) add(operation string, p *problem) {
	code := codeOK
	if p != nil {
		code = p.Code
	}
	if strings.HasPrefix(code, "filter_") {
		code = codeFilter
	}
	c.counts[operation+"/"+code].Add(1)
}

// counting serves an operation, answers with its problem, and counts it.
func (c *apiCounts) counting(operation string, serve func(http.ResponseWriter, *http.Request) *problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := serve(w, r)
		c.add(operation, p)
		if p != nil {
			p.write(w)
		}
	})
}

// snapshot is what /stats shows, by operation and code.
func (c *apiCounts) snapshot() map[string]map[string]uint64 {
	all := make(map[string]map[string]uint64, len(c.operations))
	for _, op := range c.operations {
		all[op] = make(map[string]uint64, len(apiCodes))
		for _, code := range apiCodes {
			all[op][code] = c.counts[op+"/"+code].Load()
		}
	}
	return all
}

var apiRequests = prometheus.NewDesc("sluice_api_requests_total",
	"Requests of the server API, those of batches included, by what came of them.", []string{"operation", "code"}, nil)

// Describe implements prometheus.Collector.
func (c *apiCounts) Describe(out chan<- *prometheus.Desc) { out <- apiRequests }

// Collect implements prometheus.Collector.
func (c *apiCounts) Collect(out chan<- prometheus.Metric) {
	for op, codes := range c.snapshot() {
		for code, n := range codes {
			out <- prometheus.MustNewConstMetric(apiRequests, prometheus.CounterValue, float64(n), op, code)
		}
	}
}
