package admin

import (
	"context"
	"net/http"
	"time"
)

// readyTime bounds what a probe waits for.
const readyTime = 2 * time.Second

// Liveness answers that the process does.
func Liveness() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, health{Status: "ok"})
	})
}

// Readiness answers 200 if the node should receive connections, and 503 with
// the reason if it should not.
func Readiness(ready func(ctx context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		if err := ready(ctx); err != nil {
			writeJSON(w, http.StatusServiceUnavailable, health{Status: "not ready", Reason: err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, health{Status: "ready"})
	})
}

type health struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}
