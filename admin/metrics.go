package admin

import (
	"net/http"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sluice/router"
)

// maxScrapes bounds the scrapes that are answered at one time.
const maxScrapes = 4

// metrics serves the counters to Prometheus.
func (o Options) metrics(requests *apiCounts) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&nodeCollector{o.Router, o.Version},
		&filterCollector{o.Router},
		&sourceCollector{o.Router},
		requests,
	)
	if o.Reloader != nil {
		registry.MustRegister(reloadCollector{o.Reloader})
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// nodeCollector reads the router's counters when it is scraped. Its series are
// bounded: the values of each label are fixed by the router.
type nodeCollector struct {
	router  *router.Router
	version string
}

// single is a metric without a label.
type single struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*router.Stats) float64
}

// family is a counter for each value of its labels; a key of the router's map
// holds them, separated by slashes.
type family struct {
	desc   *prometheus.Desc
	labels int
	read   func(*router.Stats) map[string]uint64 // by the labels' values, with / between
}

func gauge(name, help string, read func(*router.Stats) float64) single {
	return single{prometheus.NewDesc("sluice_"+name, help, nil, nil), prometheus.GaugeValue, read}
}

func counter(name, help string, read func(*router.Stats) uint64) single {
	return single{prometheus.NewDesc("sluice_"+name, help, nil, nil), prometheus.CounterValue,
		func(s *router.Stats) float64 { return float64(read(s)) }}
}

func counters(name, help string, read func(*router.Stats) map[string]uint64, labels ...string) family {
	return family{prometheus.NewDesc("sluice_"+name, help, labels, nil), len(labels), read}
}

var buildInfo = prometheus.NewDesc("sluice_build_info", "The version that runs; always 1.", []string{"version", "go"}, nil)

var singles = []single{
	gauge("connections", "Connections that are open.", func(s *router.Stats) float64 { return float64(s.Connections) }),
	gauge("users", "Users with a connection to this node.", func(s *router.Stats) float64 { return float64(s.Users) }),
	gauge("rooms", "Rooms with a member on this node.", func(s *router.Stats) float64 { return float64(s.Rooms) }),
	gauge("generation", "Number of the configuration in force.", func(s *router.Stats) float64 { return float64(s.Generation) }),
	counter("connections_accepted_total", "Connections that were admitted.", func(s *router.Stats) uint64 { return s.Accepted }),
	counter("memberships_removed_total", "Memberships ended by a refreshed identity without a grant for the room, or by an order.", func(s *router.Stats) uint64 { return s.Removed }),
	counter("commands_slowed_total", "Commands that waited for limits.commands_per_second.", func(s *router.Stats) uint64 { return s.Slowed }),
	counter("events_delivered_total", "Events queued for connections.", func(s *router.Stats) uint64 { return s.Delivered }),
	counter("sockets_blocked_total", "Times that a socket was full and its queue had to wait.", func(s *router.Stats) uint64 { return s.Blocked }),
	counter("control_floods_total", "Pauses of connections that sent too many pings, pongs and tiny fragments.", func(s *router.Stats) uint64 { return s.Floods }),
	counter("events_rejudged_total", "Events judged anew because the filters had been replaced.", func(s *router.Stats) uint64 { return s.Retired }),
	counter("panics_total", "Connections ended by a fault of this program.", func(s *router.Stats) uint64 { return s.Panics }),
	counter("broker_failures_total", "Calls of the broker that failed.", func(s *router.Stats) uint64 { return s.Broker }),
	counter("messages_repeated_total", "Messages that were not published again, for their idempotency key was known.", func(s *router.Stats) uint64 { return s.Repeated }),
}

var families = []family{
	counters("connections_refused_total", "Connections that were refused, by cause.", func(s *router.Stats) map[string]uint64 { return s.Refused }, "cause"),
	counters("connections_refused_by_filter_total", "Connections that filters refused, by the reason they gave.", func(s *router.Stats) map[string]uint64 { return s.Reasons }, "filter", "reason"),
	counters("connections_closed_total", "Connections that ended, by close code.", func(s *router.Stats) map[string]uint64 { return s.Closed }, "code"),
	counters("connections_lost_total", "Sockets that were given up, by cause.", func(s *router.Stats) map[string]uint64 { return s.Lost }, "cause"),
	counters("refreshes_total", "Answers to refresh, by result.", func(s *router.Stats) map[string]uint64 { return s.Refreshes }, "result"),
	counters("connections_revoked_total", "Connections closed by a revocation, by what it named.", func(s *router.Stats) map[string]uint64 { return s.Revoked }, "by"),
	counters("commands_total", "Well-formed commands, by type.", func(s *router.Stats) map[string]uint64 { return s.Commands }, "type"),
	counters("frames_malformed_total", "Frames that were refused, by what was wrong.", func(s *router.Stats) map[string]uint64 { return s.Malformed }, "cause"),
	counters("errors_total", "Commands answered by an error, by code.", func(s *router.Stats) map[string]uint64 { return s.Errors }, "code"),
	counters("messages_published_total", "Messages that the broker accepted, by kind.", func(s *router.Stats) map[string]uint64 { return s.Published }, "kind"),
	counters("messages_received_total", "Messages that the broker delivered, by kind.", func(s *router.Stats) map[string]uint64 { return s.Received }, "kind"),
	counters("dropped_total", "Events and messages that were not delivered, by reason.", func(s *router.Stats) map[string]uint64 { return s.Dropped }, "reason"),
	counters("slow_consumers_total", "Full queues, by the policy applied.", func(s *router.Stats) map[string]uint64 { return s.Slow }, "policy"),
	counters("verdicts_total", "Refusals of the chain of filters.", func(s *router.Stats) map[string]uint64 { return s.Verdicts }, "hook", "action"),
	counters("recoveries_total", "Joins that asked for what was missed, by result.", func(s *router.Stats) map[string]uint64 { return s.Recoveries }, "result"),
	counters("gaps_total", "Gaps that connections were told of, by reason.", func(s *router.Stats) map[string]uint64 { return s.Gaps }, "reason"),
	counters("broker_events_total", "What happened within the broker, by event.", func(s *router.Stats) map[string]uint64 { return s.BrokerEvents }, "event"),
	counters("frames_compressed_total", "Frames that were compressed, each once for all its receivers, by result: smaller, or plain for those sent as they are.", func(s *router.Stats) map[string]uint64 { return s.Compressed }, "result"),
	counters("compression_bytes_total", "Bytes of text in those frames (in), and what each receiver is sent for them (out).", func(s *router.Stats) map[string]uint64 { return s.CompressionBytes }, "side"),
	counters("orders_total", "Orders between nodes that reached this one, by what was done, and why not.", func(s *router.Stats) map[string]uint64 { return s.Orders }, "order"),
}

// Describe implements prometheus.Collector.
func (c *nodeCollector) Describe(out chan<- *prometheus.Desc) {
	out <- buildInfo
	for _, m := range singles {
		out <- m.desc
	}
	for _, m := range families {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *nodeCollector) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(buildInfo, prometheus.GaugeValue, 1, c.version, runtime.Version())
	s := c.router.Stats()
	for _, m := range singles {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.read(&s))
	}
	for _, m := range families {
		for key, n := range m.read(&s) {
			metric, err := prometheus.NewConstMetric(m.desc, prometheus.CounterValue, float64(n), strings.SplitN(key, "/", m.labels)...)
			if err != nil {
				metric = prometheus.NewInvalidMetric(m.desc, err)
			}
			out <- metric
		}
	}
}
