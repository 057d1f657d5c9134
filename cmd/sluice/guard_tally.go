package main

import (
	"math"
	"strconv"
	"time"

	"sluice/plugins"
)

// tally is what a version of a filter has done.
type tally struct {
	events   uint64 // that it answered, or failed on
	failures uint64
	traps    uint64 // failures that are faults of the module's own
	refusals uint64 // verdicts deny, drop and disconnect
	timed    uint64 // calls that were timed
	timedFor time.Duration
}

func (t tally) plus(o tally) tally {
	return tally{t.events + o.events, t.failures + o.failures, t.traps + o.traps, t.refusals + o.refusals, t.timed + o.timed, t.timedFor + o.timedFor}
}

func (t tally) minus(o tally) tally {
	return tally{t.events - o.events, t.failures - o.failures, t.traps - o.traps, t.refusals - o.refusals, t.timed - o.timed, t.timedFor - o.timedFor}
}

func (t tally) mean() time.Duration {
	if t.timed == 0 {
		return 0
	}
	return t.timedFor / time.Duration(t.timed)
}

// share is a part of the events, and its variance as an estimate.
func (t tally) share(n uint64) (p, variance float64) {
	if t.events == 0 {
		return 0, 0
	}
	p = float64(n) / float64(t.events)
	return p, p * (1 - p) / float64(t.events)
}

// orElse takes what is too little to compare with from elsewhere.
func (t tally) orElse(o tally, events int) tally {
	if t.events < uint64(events) {
		t.events, t.failures, t.traps, t.refusals = o.events, o.failures, o.traps, o.refusals
	}
	if t.timed < timedGroup {
		t.timed, t.timedFor = o.timed, o.timedFor
	}
	return t
}

// exceeds reports whether the part n of the events is larger than the part of the
// other's, by more than the margin and by more than chance explains.
func (t tally) exceeds(n uint64, o tally, of uint64, margin float64) bool {
	is, v := t.share(n)
	was, w := o.share(of)
	return is-was > margin+certainty*math.Sqrt(v+w)
}

// part is a version of a filter as the guard sees it.
type part struct {
	filter string
	canary bool
}

// counted is what a version has done since it was loaded. Its id changes when
// the count starts anew.
type counted struct {
	id string
	tally
}

type reading map[part]counted

// readingOf reads the counters of a chain. A shadow has no effect, and is left
// out.
func readingOf(stats []plugins.Stats) reading {
	r := make(reading, len(stats))
	for i := range stats {
		s := &stats[i]
		r[part{s.Name, false}] = countedOf(s)
		if c := s.Candidate; c != nil && c.Role == plugins.RoleCanary {
			r[part{s.Name, true}] = countedOf(c)
		}
	}
	return r
}

// versionID tells a version that was loaded anew from the one before.
func versionID(v *plugins.Info) string {
	return v.Name + "/" + v.Digest + "/" + strconv.FormatInt(v.Loaded.UnixNano(), 36)
}

func countedOf(s *plugins.Stats) counted {
	c := counted{id: versionID(&s.Info)}
	for word, n := range s.Verdicts {
		c.events += n
		if word != "continue" && word != "allow" {
			c.refusals += n
		}
	}
	for cause, n := range s.Failures {
		c.events += n
		c.failures += n
		switch cause {
		case plugins.CauseTrap.String(), plugins.CauseStack.String(), plugins.CauseExit.String():
			c.traps += n
		}
	}
	c.timed, c.timedFor = s.Timed, s.TimedTime
	return c
}
