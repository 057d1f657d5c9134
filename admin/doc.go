// Package admin is what operators and their programs see of a node over HTTP: health,
// statistics and metrics, the configuration in force, and the server API, by which
// messages are sent, connections closed and rooms read. Its only state is a count of
// requests: every answer is the router's, the filters' or the Reloader's.
//
// A request passes guard (the Host header on loopback), authorized (the token), reading or
// changing (the method, and that no web page is behind it), and then one of the routes of
// admin.go:
//
//	/healthz   health.go    the process answers
//	/readyz    health.go    the node takes connections: 200, else 503
//	/stats     stats.go     counters as JSON
//	/metrics   metrics.go   the same for Prometheus
//	/debug/pprof/   pprof.go   profiles of the process, while admin.pprof is on
//	/api/filters, /api/reload, /api/rollback   reload.go   what is in force, and to replace it
//	/api/openapi.json   openapi.go   what describes all of them, without the token
//	/api/…     api.go       the operations of the server API
//
// An operation is a command (api_messages.go, api_orders.go, api_reads.go) that is decoded
// from a body or a query (decode.go: strictly, for what a program sends by mistake should
// be told to it), carried out by the router, and counted (api_counts.go). A batch
// (api_batch.go) does so for each of its commands, one after the other.
//
// The two probes are served on the listener of the clients as well. The package starts
// no goroutine. Its locks (pprof_contention.go) are held for as long as it takes to set a
// rate of the runtime, and nothing else is called under them.
package admin
