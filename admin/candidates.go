package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/plugins"
)

// shadowStats is what came of a candidate that is asked beside the active version,
// in the answer of /stats.
type shadowStats struct {
	Drawn       uint64            `json:"drawn"`       // events that it was to be asked about
	Compared    uint64            `json:"compared"`    // of which both answers are known
	Dropped     map[string]uint64 `json:"dropped"`     // of which it was not asked, by reason
	Differences map[string]uint64 `json:"differences"` // by the first thing that differs
	Queue       int               `json:"queue"`
	Lines       uint64            `json:"log_lines"` // that it would have logged
	Samples     []difference      `json:"samples"`   // newest first
}

// difference is an event on which the two versions differ, without its content.
type difference struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Fields    []string  `json:"fields,omitempty"`
	Hook      string    `json:"hook"`
	Message   string    `json:"message,omitempty"`
	Room      string    `json:"room,omitempty"`
	Content   int       `json:"content_bytes"`
	Claims    int       `json:"claims_bytes"`
	State     int       `json:"state_bytes"`
	Lookup    int       `json:"lookup_bytes"`
	Active    told      `json:"active"`
	Candidate told      `json:"candidate"`
}

// told is what one version answered.
type told struct {
	Verdict string            `json:"verdict,omitempty"`
	Code    uint32            `json:"code,omitempty"`
	Failure string            `json:"failure,omitempty"`
	Outputs map[string]string `json:"outputs,omitempty"`
}

func shadowAnswer(s *plugins.Stats) *shadowStats {
	if s.Shadow == nil {
		return nil
	}
	out := &shadowStats{
		Drawn: s.Shadow.Drawn, Compared: s.Shadow.Compared, Dropped: s.Shadow.Dropped, Differences: s.Shadow.Differences,
		Queue: s.Shadow.Queue, Lines: s.Shadow.Lines, Samples: []difference{},
	}
	for _, d := range s.Shadow.Samples {
		out.Samples = append(out.Samples, difference{
			At: d.At.UTC(), Kind: d.Kind, Fields: d.Fields, Hook: d.Hook, Message: d.Message, Room: d.Room,
			Content: d.Content, Claims: d.Claims, State: d.State, Lookup: d.Lookup, Active: told(d.Active), Candidate: told(d.Candidate),
		})
	}
	return out
}

var (
	candidateShare    = filterDesc("candidate_share", "Part of the connections that a canary judges, or of the events that a shadow is asked about, 0 to 1.")
	shadowDrawn       = filterDesc("shadow_drawn_total", "Events that a shadow was to be asked about.")
	shadowCompared    = filterDesc("shadow_compared_total", "Events on which a shadow's answer was compared with the active version's.")
	shadowDropped     = filterDesc("shadow_dropped_total", "Events that a shadow was not asked about, by reason.", "reason")
	shadowDifferences = filterDesc("shadow_differences_total", "Events on which a shadow's answer differs, by the first thing that does.", "kind")
)

// collectShadow shows what is particular to a candidate.
func collectShadow(out chan<- prometheus.Metric, s *plugins.Stats) {
	emit := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, append([]string{s.Name, s.Version, s.Role}, labels...)...)
	}
	emit(candidateShare, prometheus.GaugeValue, s.Share)
	if s.Shadow == nil {
		return
	}
	emit(shadowDrawn, prometheus.CounterValue, float64(s.Shadow.Drawn))
	emit(shadowCompared, prometheus.CounterValue, float64(s.Shadow.Compared))
	for reason, n := range s.Shadow.Dropped {
		emit(shadowDropped, prometheus.CounterValue, float64(n), reason)
	}
	for kind, n := range s.Shadow.Differences {
		emit(shadowDifferences, prometheus.CounterValue, float64(n), kind)
	}
}
