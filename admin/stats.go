package admin

import (
	"net/http"
	"time"

	"sluice/router"
)

// PublicStats are the two counts that a node without authentication tells
// anyone who asks.
func PublicStats(r *router.Router) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := r.Stats()
		writeJSON(w, http.StatusOK, counts{s.Connections, s.Rooms})
	})
}

type counts struct {
	LocalConnections int `json:"local_connections"`
	Rooms            int `json:"rooms"`
}

// nodeStats is the answer of /stats. Counters count from the node's start.
type nodeStats struct {
	counts
	Users         int    `json:"users"`
	Version       string `json:"version"`
	UptimeSeconds int64  `json:"uptime_seconds"`
	Generation    uint64 `json:"generation"`

	Accepted  uint64            `json:"accepted"`
	Refused   map[string]uint64 `json:"refused"`
	Reasons   map[string]uint64 `json:"reasons"`
	Closed    map[string]uint64 `json:"closed"`
	Lost      map[string]uint64 `json:"lost"`
	Refreshes map[string]uint64 `json:"refreshes"`
	Removed   uint64            `json:"removed"`
	Revoked   map[string]uint64 `json:"revoked"`
	Commands  map[string]uint64 `json:"commands"`
	Malformed map[string]uint64 `json:"malformed"`
	Errors    map[string]uint64 `json:"errors"`
	Slowed    uint64            `json:"slowed"`
	Published map[string]uint64 `json:"published"`
	Received  map[string]uint64 `json:"received"`
	Delivered uint64            `json:"delivered"`
	Dropped   map[string]uint64 `json:"dropped"`
	Slow      map[string]uint64 `json:"slow"`
	Blocked   uint64            `json:"blocked"`
	Floods    uint64            `json:"floods"`
	Verdicts  map[string]uint64 `json:"verdicts"`
	Rejudged  uint64            `json:"rejudged"`
	Panics    uint64            `json:"panics"`
	Broker    uint64            `json:"broker_failures"`

	Compressed       map[string]uint64 `json:"compressed"`
	CompressionBytes map[string]uint64 `json:"compression_bytes"`

	Orders map[string]uint64 `json:"orders"`

	Recoveries   map[string]uint64 `json:"recoveries"`
	Gaps         map[string]uint64 `json:"gaps"`
	Repeated     uint64            `json:"repeated"`
	BrokerEvents map[string]uint64 `json:"broker_events,omitempty"` // if the broker counts any

	API map[string]map[string]uint64 `json:"api"` // by operation and code

	Filters []filterStats `json:"filters"`
}

func (o Options) stats(born time.Time, requests *apiCounts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := o.Router.Stats()
		writeJSON(w, http.StatusOK, nodeStats{
			counts:        counts{s.Connections, s.Rooms},
			Users:         s.Users,
			Version:       o.Version,
			UptimeSeconds: int64(time.Since(born).Seconds()),
			Generation:    s.Generation,
			Accepted:      s.Accepted,
			Refused:       s.Refused,
			Reasons:       s.Reasons,
			Closed:        s.Closed,
			Lost:          s.Lost,
			Refreshes:     s.Refreshes,
			Removed:       s.Removed,
			Revoked:       s.Revoked,
			Commands:      s.Commands,
			Malformed:     s.Malformed,
			Errors:        s.Errors,
			Slowed:        s.Slowed,
			Published:     s.Published,
			Received:      s.Received,
			Delivered:     s.Delivered,
			Dropped:       s.Dropped,
			Slow:          s.Slow,
			Blocked:       s.Blocked,
			Floods:        s.Floods,
			Verdicts:      s.Verdicts,
			Rejudged:      s.Retired,
			Panics:        s.Panics,
			Broker:        s.Broker,
			Compressed:    s.Compressed,

			CompressionBytes: s.CompressionBytes,

			Orders:       s.Orders,
			Recoveries:   s.Recoveries,
			Gaps:         s.Gaps,
			Repeated:     s.Repeated,
			BrokerEvents: s.BrokerEvents,
			API:          requests.snapshot(),
			Filters:      filterAnswers(o.Router),
		})
	})
}
