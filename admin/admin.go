package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"sluice/router"
)

// Options are what the handler reads from.
type Options struct {
	// Router is the node, whose filters, if it has any, are a *plugins.Chain.
	// Required.
	Router *router.Router

	// Ready is nil while the node should receive connections, else says why
	// not. Nil: Router.Health.
	Ready func(ctx context.Context) error

	// Token is the bearer token that statistics and metrics want; "": none. A
	// listener that others can reach needs one.
	Token string

	// Loopback says that the listener is on loopback. Requests must then name
	// it as such in their Host header, so that no web page can reach it under a
	// name of its own.
	Loopback bool

	// Reloader replaces the configuration; nil: it cannot be replaced.
	Reloader Reloader

	// Version is the node's version. Default: "dev".
	Version string
}

// Handler serves the admin listener.
func Handler(o Options) http.Handler {
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Ready == nil {
		o.Ready = o.Router.Health
	}
	born := time.Now()
	mux := http.NewServeMux()
	mux.Handle("/healthz", reading(Liveness()))
	mux.Handle("/readyz", reading(Readiness(o.Ready)))
	mux.Handle("/stats", reading(authorized(o.Token, o.stats(born))))
	mux.Handle("/metrics", reading(authorized(o.Token, o.metrics())))
	there := "there are /healthz, /readyz, /stats and /metrics"
	if o.Reloader != nil {
		mux.Handle("/api/filters", authorized(o.Token, reading(o.filters())))
		mux.Handle("/api/reload", authorized(o.Token, o.reload()))
		mux.Handle("/api/rollback", authorized(o.Token, o.rollback()))
		there = "there are /healthz, /readyz, /stats, /metrics, /api/filters, /api/reload and /api/rollback"
	}
	mux.Handle("/", reading(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "not_found", there)
	})))
	return guard(o.Loopback, mux)
}

// refuse answers with an error, in the form that clients of the node know.
func refuse(w http.ResponseWriter, status int, code, reason string) {
	writeJSON(w, status, struct {
		Code   string `json:"code"`
		Reason string `json:"reason"`
	}{code, reason})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		// Only values of this package come here, and they all have a JSON form.
		panic("admin: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that has gone needs no answer.
	_, _ = w.Write(append(body, '\n'))
}
