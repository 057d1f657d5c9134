package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/router"
)

// Reloader replaces the node's generation. Its methods are safe for concurrent
// use.
type Reloader interface {
	// Reload reads the configuration anew and puts it into force as a whole, or
	// leaves everything as it is and says why. trigger says who asked, for the
	// log. It returns the number of the generation that is then in force.
	Reload(ctx context.Context, trigger string) (generation uint64, err error)

	// Rollback puts the generation before into force again, under a new number,
	// which it returns; or it leaves everything as it is and says why.
	Rollback(ctx context.Context, ask Rollback) (generation uint64, err error)

	// Status tells of the reloads so far.
	Status() ReloadStatus
}

// ErrStopping is returned by a Reloader while the node shuts down.
var ErrStopping = errors.New("the node is shutting down")

// ErrNoPrevious is returned by a Reloader that has no generation to go back to.
var ErrNoPrevious = errors.New("there is no generation to go back to: nothing was reloaded since the start or the last rollback")

// Causes of a rollback.
const (
	CauseAsked    = "asked" // somebody wanted it
	CauseTraps    = "traps" // and the others by rollback_on
	CauseFailures = "failures"
	CauseLatency  = "latency"
	CauseRefusals = "refusals"
)

var rollbackCauses = [...]string{CauseAsked, CauseTraps, CauseFailures, CauseLatency, CauseRefusals}

// Rollback asks for the generation before.
type Rollback struct {
	Trigger string // who asked, for the log
	Cause   string // one of the causes; whoever calls Reloader.Rollback has CauseAsked
	Why     string // in words; "" if nobody said
	From    uint64 // the generation to leave, which must be the one in force; 0: whichever is
}

// ReloadStatus tells of a node's reloads.
type ReloadStatus struct {
	Loaded  time.Time      // when the generation in force came into force
	Done    uint64         // reloads that succeeded
	Refused uint64         // reloads that changed nothing, because something was wrong
	Failure *ReloadFailure // the last one that was refused; nil: none was

	Previous  uint64            // the generation that a rollback would put into force; 0: there is none
	Trial     time.Time         // until when the generation in force is compared with the one before; zero: it is not
	Rollbacks map[string]uint64 // by cause
	Rollback  *RollbackDone     // the last one; nil: none was
}

// RollbackDone is a rollback that was made.
type RollbackDone struct {
	At         time.Time
	Trigger    string
	Cause      string
	Why        string
	From       uint64 // the generation that was left
	To         uint64 // the one that was put into force again
	Generation uint64 // its number since then
}

// ReloadFailure is why a reload was refused.
type ReloadFailure struct {
	At      time.Time
	Trigger string
	Error   string // a line for each fault, with its file and line
}

const (
	maxReloadBody = 4 << 10 // bytes
	maxWhy        = 500     // bytes

	reloadTime = 2 * time.Minute // for the answer: a reload may fetch keys and filters
)

// reload answers POST /api/reload.
func (o Options) reload() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var everywhere bool
		if !readBody(w, r, field{"everywhere", &everywhere, false}) {
			return
		}
		if everywhere {
			answer, p := order(r.Context(), o.Router, router.Control{Do: router.ControlReload})
			if p != nil {
				p.write(w)
				return
			}
			writeJSON(w, http.StatusOK, answer)
			return
		}
		// The listener's own deadline is for short requests.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(reloadTime))
		generation, err := o.Reloader.Reload(r.Context(), "api")
		answerGeneration(w, generation, err)
	})
}

// rollback answers POST /api/rollback.
func (o Options) rollback() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var why maybeEmpty
		var from uint64
		if !readBody(w, r, field{"why", &why, false}, field{"from", &from, false}) {
			return
		}
		if len(why) > maxWhy {
			refuse(w, http.StatusBadRequest, "bad_request", fmt.Sprintf("why has more than %d bytes", maxWhy))
			return
		}
		generation, err := o.Reloader.Rollback(r.Context(), Rollback{Trigger: "api", Why: string(why), From: from})
		answerGeneration(w, generation, err)
	})
}

// readBody decodes a body, which may be empty. It answers and returns false if
// it is something else.
func readBody(w http.ResponseWriter, r *http.Request, fields ...field) bool {
	raw, p := readAll(w, r, maxReloadBody)
	if p == nil && len(raw) > 0 {
		p = decodeObject(raw, fields)
	}
	if p != nil {
		p.write(w)
	}
	return p == nil
}

func answerGeneration(w http.ResponseWriter, generation uint64, err error) {
	switch {
	case errors.Is(err, ErrStopping):
		refuse(w, http.StatusServiceUnavailable, "unavailable", err.Error())
	case errors.Is(err, ErrNoPrevious):
		refuse(w, http.StatusConflict, "conflict", err.Error())
	case err != nil:
		refuse(w, http.StatusUnprocessableEntity, "invalid", err.Error())
	default:
		writeJSON(w, http.StatusOK, struct {
			Generation uint64 `json:"generation"`
		}{generation})
	}
}

// changing lets only requests pass that no web page can make unnoticed: a form
// cannot send JSON, and a script of another origin says where it is from.
func changing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			refuse(w, http.StatusMethodNotAllowed, "bad_request", "use POST")
		case !strings.EqualFold(strings.TrimSpace(media), "application/json"):
			refuse(w, http.StatusUnsupportedMediaType, "bad_request", "send the header Content-Type: application/json")
		case foreign(r):
			refuse(w, http.StatusForbidden, "forbidden", "the request comes from a page of another origin")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// foreign reports whether a browser made the request for a page of another
// origin than the listener's.
func foreign(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	return origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host
}

// filters answers GET /api/filters.
func (o Options) filters() http.Handler {
	type failure struct {
		At      time.Time `json:"at"`
		Trigger string    `json:"trigger"`
		Error   string    `json:"error"`
	}
	type rollback struct {
		At         time.Time `json:"at"`
		Trigger    string    `json:"trigger"`
		Cause      string    `json:"cause"`
		Why        string    `json:"why"`
		From       uint64    `json:"from"`
		To         uint64    `json:"to"`
		Generation uint64    `json:"generation"`
	}
	type answer struct {
		Generation uint64            `json:"generation"`
		Loaded     time.Time         `json:"loaded"`
		AgeSeconds int64             `json:"age_seconds"`
		Previous   *uint64           `json:"previous"`
		Trial      *time.Time        `json:"trial_until"`
		Reloads    uint64            `json:"reloads"`
		Refused    uint64            `json:"reloads_refused"`
		Failure    *failure          `json:"last_refused"`
		Rollbacks  map[string]uint64 `json:"rollbacks"`
		Rollback   *rollback         `json:"last_rollback"`
		Filters    []filterStats     `json:"filters"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := o.Reloader.Status()
		a := answer{
			Generation: o.Router.Generation().Number, Loaded: s.Loaded.UTC(), AgeSeconds: int64(time.Since(s.Loaded).Seconds()),
			Reloads: s.Done, Refused: s.Refused, Rollbacks: s.Rollbacks, Filters: filterAnswers(o.Router),
		}
		if s.Previous != 0 {
			a.Previous = &s.Previous
		}
		if !s.Trial.IsZero() {
			until := s.Trial.UTC()
			a.Trial = &until
		}
		if a.Rollbacks == nil {
			a.Rollbacks = map[string]uint64{}
		}
		if f := s.Failure; f != nil {
			a.Failure = &failure{f.At.UTC(), f.Trigger, f.Error}
		}
		if b := s.Rollback; b != nil {
			a.Rollback = &rollback{b.At.UTC(), b.Trigger, b.Cause, b.Why, b.From, b.To, b.Generation}
		}
		writeJSON(w, http.StatusOK, a)
	})
}

var (
	reloadsTotal = prometheus.NewDesc("sluice_reloads_total", "Reloads of the configuration, by result.", []string{"result"}, nil)
	reloadLoaded = prometheus.NewDesc("sluice_generation_loaded_timestamp_seconds", "When the generation in force came into force.", nil, nil)
	reloadKept   = prometheus.NewDesc("sluice_generation_previous", "The generation that a rollback would put into force; 0: there is none.", nil, nil)
	rollbacks    = prometheus.NewDesc("sluice_rollbacks_total", "Rollbacks to the generation before, by cause: asked for, or what was beyond rollback_on.", []string{"cause"}, nil)
)

// reloadCollector reads the counters of reloads when it is scraped.
type reloadCollector struct{ Reloader }

// Describe implements prometheus.Collector.
func (c reloadCollector) Describe(out chan<- *prometheus.Desc) {
	out <- reloadsTotal
	out <- reloadLoaded
	out <- reloadKept
	out <- rollbacks
}

// Collect implements prometheus.Collector.
func (c reloadCollector) Collect(out chan<- prometheus.Metric) {
	s := c.Status()
	out <- prometheus.MustNewConstMetric(reloadsTotal, prometheus.CounterValue, float64(s.Done), "done")
	out <- prometheus.MustNewConstMetric(reloadsTotal, prometheus.CounterValue, float64(s.Refused), "refused")
	out <- prometheus.MustNewConstMetric(reloadLoaded, prometheus.GaugeValue, float64(s.Loaded.Unix()))
	out <- prometheus.MustNewConstMetric(reloadKept, prometheus.GaugeValue, float64(s.Previous))
	for _, cause := range rollbackCauses {
		out <- prometheus.MustNewConstMetric(rollbacks, prometheus.CounterValue, float64(s.Rollbacks[cause]), cause)
	}
}

// String is the failure in one line.
func (f *ReloadFailure) String() string {
	return fmt.Sprintf("%s (%s): %s", f.At.UTC().Format(time.RFC3339), f.Trigger, strings.ReplaceAll(f.Error, "\n", "; "))
}
