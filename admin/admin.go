package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
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

	// Profiling says whether profiles of the process are served below /debug/pprof/. nil:
	// they are not.
	Profiling *Profiling

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
	mux := http.NewServeMux()
	var there []string
	for _, route := range o.routes(time.Now()) {
		handler := route.handler
		if route.method == http.MethodPost {
			handler = changing(handler)
		} else {
			handler = reading(handler)
		}
		if !route.public {
			handler = authorized(o.Token, handler)
		}
		mux.Handle(route.path, handler)
		there = append(there, route.path)
	}
	mux.Handle(pprofPath, authorized(o.Token, o.pprof()))
	there = append(there, pprofPath)
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "not_found", "there are "+strings.Join(there, ", "))
	}))
	return guard(o.Loopback, mux)
}

// route is one path of the listener, which openapi.json describes. GET includes HEAD.
type route struct {
	method, path string
	public       bool // without the token
	handler      http.Handler
}

func (o Options) routes(born time.Time) []route {
	counts := newAPICounts()
	all := []route{
		{http.MethodGet, "/healthz", true, Liveness()},
		{http.MethodGet, "/readyz", true, Readiness(o.Ready)},
		{http.MethodGet, "/stats", false, o.stats(born, counts)},
		{http.MethodGet, "/metrics", false, o.metrics(counts)},
		{http.MethodGet, "/api/openapi.json", true, openAPI()},
	}
	for i := range operations {
		op := &operations[i]
		method := http.MethodPost
		if op.reads {
			method = http.MethodGet
		}
		all = append(all, route{method, "/api/" + op.name, false, o.serveOperation(op, counts)})
	}
	all = append(all, route{http.MethodPost, "/api/batch", false, o.batch(counts)})
	if o.Reloader != nil {
		all = append(all,
			route{http.MethodGet, "/api/filters", false, o.filters()},
			route{http.MethodPost, "/api/reload", false, o.reload()},
			route{http.MethodPost, "/api/rollback", false, o.rollback()})
	}
	return all
}

// refuse answers with an error, in the form that clients of the node know.
func refuse(w http.ResponseWriter, status int, code, reason string) {
	writeJSON(w, status, struct {
		Code   string `json:"code"`
		Reason string `json:"reason"`
	}{code, reason})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body := mustMarshal(v)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that has gone needs no answer.
	_, _ = w.Write(append(body, '\n'))
}

// mustMarshal is the JSON of a value of this package, which has one.
func mustMarshal(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic("admin: " + err.Error())
	}
	return body
}
