package admin

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"strings"
)

const (
	pprofPath = "/debug/pprof/"

	// maxProfileSeconds is the longest that one request may have the node observed.
	maxProfileSeconds = 300
	// blockSeconds is for how long blocked goroutines are sampled if the request does not say.
	blockSeconds = 10
)

// profile is one of the profiles below /debug/pprof/.
type profile struct {
	name    string
	about   string
	costs   string
	seconds int           // over which it is taken unless the request says; 0: it is the state of the moment
	delta   bool          // it may be taken over a time
	alone   chan struct{} // holds a token while it is not being taken; nil: several may take it at one time
	serve   http.Handler
}

// newProfiles are those that are served. The command line is not among them: no tool
// needs it, and what a wrapper put there may be a secret.
func newProfiles() []*profile {
	alone := func() chan struct{} {
		token := make(chan struct{}, 1)
		token <- struct{}{}
		return token
	}
	return []*profile{
		{name: "profile", about: "where processor time goes; ?seconds=30", costs: "100 interrupts a second and processor while it runs",
			seconds: 30, delta: true, alone: alone(), serve: http.HandlerFunc(pprof.Profile)},
		{name: "heap", about: "what live memory was allocated where; ?gc=1 collects before, ?seconds=N is what was added meanwhile", costs: "a short stop of the node",
			delta: true, serve: pprof.Handler("heap")},
		{name: "allocs", about: "the same of all memory since the start; ?seconds=N of that time", costs: "as heap",
			delta: true, serve: pprof.Handler("allocs")},
		{name: "goroutine", about: "where goroutines are; ?debug=1 as text, ?debug=2 each by itself", costs: "with debug=2 the node stands still until all are written to memory, at most 64 MiB",
			delta: true, serve: pprof.Handler("goroutine")},
		{name: "mutex", about: "who held locks that others waited for, since profiles were enabled; ?seconds=N of that time", costs: "a stack for one in 100 such waits, for as long as profiles are enabled",
			delta: true, serve: pprof.Handler("mutex")},
		{name: "block", about: "where goroutines waited for channels and locks, over ?seconds=10", costs: "a stack for each 10 µs waited, during these seconds",
			seconds: blockSeconds, delta: true, serve: blockSampling.while(pprof.Handler("block"))},
		{name: "threadcreate", about: "what led to new threads", costs: "nothing to speak of",
			delta: true, serve: pprof.Handler("threadcreate")},
		{name: "trace", about: "everything that the scheduler and the collector do, for go tool trace; ?seconds=1", costs: "more than the others, and megabytes a second",
			seconds: 1, delta: true, alone: alone(), serve: http.HandlerFunc(pprof.Trace)},
		{name: "symbol", about: "functions at addresses, ?0x…+0x…; no profile of today needs it", costs: "nothing",
			serve: http.HandlerFunc(pprof.Symbol)},
	}
}

// pprof serves the profiles while they are enabled.
func (o Options) pprof() http.Handler {
	profiles := newProfiles()
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.name
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, pprofPath)
		at := slices.Index(names, name)
		switch {
		case !o.Profiling.Enabled():
			refuse(w, http.StatusNotFound, "not_found", "profiles are not enabled; set admin.pprof: true, which needs no restart")
		case r.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			refuse(w, http.StatusMethodNotAllowed, "bad_request", "use GET")
		case foreign(r):
			// It could not read the answer, but would have the node pay for it.
			refuse(w, http.StatusForbidden, "forbidden", "the request comes from a page of another origin")
		case name == "":
			indexOf(w, profiles)
		case at < 0:
			refuse(w, http.StatusNotFound, "not_found", "there are "+strings.Join(names, ", "))
		default:
			profiles[at].take(w, r)
		}
	})
}

// indexOf lists the profiles, one a line.
func indexOf(w http.ResponseWriter, profiles []*profile) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	for _, p := range profiles {
		fmt.Fprintf(w, "%s%-14s%s\n%*scosts: %s\n", pprofPath, p.name, p.about, len(pprofPath)+14, "", p.costs)
	}
}

// take answers with the profile.
func (p *profile) take(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	seconds := p.seconds
	if given := query.Get("seconds"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || !p.delta || n < 1 || n > maxProfileSeconds {
			refuse(w, http.StatusBadRequest, "bad_request", p.badSeconds())
			return
		}
		seconds = n
	}
	if seconds > 0 {
		if query.Get("debug") != "" {
			refuse(w, http.StatusBadRequest, "bad_request", "a profile over seconds has no form as text: leave out debug, and read it with go tool pprof")
			return
		}
		query.Set("seconds", strconv.Itoa(seconds))
		r.URL.RawQuery = query.Encode()
	}
	if p.alone != nil {
		select {
		case token := <-p.alone:
			defer func() { p.alone <- token }()
		default:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusConflict, "unavailable", "somebody else is taking this one; try again later")
			return
		}
	}
	// net/http/pprof moves the listener's deadline for writing by the seconds.
	w.Header().Set("Cache-Control", "no-store")
	p.serve.ServeHTTP(w, r)
}

func (p *profile) badSeconds() string {
	if !p.delta {
		return p.name + " is not taken over seconds; leave them out"
	}
	return fmt.Sprintf("seconds is a whole number from 1 to %d", maxProfileSeconds)
}
