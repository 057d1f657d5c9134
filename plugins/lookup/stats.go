package lookup

import (
	"slices"

	"sluice/plugins/outbound"
)

// Causes of failures beside those of plugins/outbound.
const (
	CauseTemplate = "template" // a value cannot stand where the template puts it
	CauseBusy     = "busy"     // too many questions were on their way
	CauseOpen     = "open"     // the breaker is open
	CauseStatus   = "status"   // an answer that is neither 2xx nor 404
	CauseJSON     = "bad_json" // an answer that is not JSON
	CauseSource   = "source"   // Redis answered with an error
)

// Results by which lookups are counted; the causes of failures follow.
const (
	resultFound  = iota // the source was asked, and has an answer
	resultMissed        // the source was asked, and has none
	resultAbsent        // a field has no value: the source was not asked
	resultCached        // from what was kept
	resultShared        // from what another event was just asking, whatever it was
	numAnswers
)

var resultWords = [...]string{
	"found", "missed", "absent", "cached", "shared",
	CauseTemplate, CauseBusy, CauseOpen, outbound.Address, outbound.Connect, outbound.TLS, outbound.Timeout, outbound.Redirect,
	CauseStatus, outbound.TooBig, outbound.Protocol, CauseJSON, CauseSource, outbound.Canceled,
}

// Causes are the words of all failures.
func Causes() []string { return slices.Clone(resultWords[numAnswers:]) }

func resultOf(cause string) int {
	if i := slices.Index(resultWords[:], cause); i >= 0 {
		return i
	}
	return slices.Index(resultWords[:], CauseSource)
}

func (l *Lookup) count(result int, r Result) Result {
	l.results[result].Add(1)
	return r
}

// Stats is what a lookup has done since it was made, for operators.
type Stats struct {
	Target   string            // scheme and host, or Redis
	Results  map[string]uint64 // lookups by result, all of them: found, missed, absent, cached, shared, and Causes
	InFlight int               // questions on their way
	Breaker  string            // closed, half-open, open; "": there is none
	Entries  int               // answers that are kept
	Bytes    int               // that they take, about
}

// Stats counts.
func (l *Lookup) Stats() Stats {
	s := Stats{Target: l.source.target(), Results: make(map[string]uint64, len(resultWords)), InFlight: int(l.inFlight.Load())}
	for i, word := range resultWords {
		s.Results[word] = l.results[i].Load()
	}
	if l.breaker != nil {
		s.Breaker = l.breaker.State().String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Entries, s.Bytes = l.cache.lru.Len(), l.cache.bytes
	return s
}
