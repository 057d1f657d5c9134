// Package admin is what operators see of a node over HTTP: health, statistics
// and metrics. It keeps no state of its own: every answer is read from the
// router and the filters when it is asked for, and nothing can be changed.
//
// A request passes guard (the Host header on loopback, the method, the token)
// and then one of
//
//	/healthz   health.go    the process answers
//	/readyz    health.go    the node takes connections: 200, else 503
//	/stats     stats.go     counters as JSON
//	/metrics   metrics.go   the same for Prometheus
//
// The two probes need no token, and are served on the listener of the clients
// as well. The package starts no goroutine and takes no lock.
package admin
