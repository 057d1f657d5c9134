// Package admin is what operators see of a node over HTTP: health, statistics
// and metrics, and the one thing that they change, its configuration. It keeps no
// state of its own: every answer is read from the router, the filters and the
// Reloader when it is asked for.
//
// A request passes guard (the Host header on loopback), authorized (the token), reading or changing
// (the method, and that no web page is behind it) and then one of
//
//	/healthz   health.go    the process answers
//	/readyz    health.go    the node takes connections: 200, else 503
//	/stats     stats.go     counters as JSON
//	/metrics   metrics.go   the same for Prometheus
//	/api/filters, /api/reload   reload.go   what is in force, and to replace it
//
// The two probes need no token, and are served on the listener of the clients
// as well. The package starts no goroutine and takes no lock.
package admin
