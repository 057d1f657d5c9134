package keys

import (
	"maps"
	"time"
)

// Status is the state of a set for operators. It holds no key, and nothing of
// a URL that may be secret.
type Status struct {
	Keys    int               // that can verify now
	Results map[string]uint64 // of Verify, by their words, all of them
	Sources []SourceStatus    // one for each entry of the configuration, in order
}

// SourceStatus is the state of one entry.
type SourceStatus struct {
	Source  string         // secret, secret_base64, pem, jwk, jwks, the path of a file, or a URL
	Keys    int            // that can verify now
	Kids    []string       // identifiers of those that have one
	Algs    []string       // what they are bound to, each as "RS256, RS384"; as many as Keys
	Skipped map[string]int // keys of a JWK set that are not used, by cause

	// Of a URL only.
	Remote   bool
	Loaded   bool              // keys have come at least once
	Fetched  time.Time         // when the keys came that are used now
	Tried    time.Time         // when the last attempt ended
	Next     time.Time         // when the next is due
	Error    string            // why the last attempt failed; "" if it was good
	Failures map[string]uint64 // failed attempts by cause (see Causes), all of them
}

// Status reads the set's state.
func (s *Set) Status() Status {
	out := Status{Results: make(map[string]uint64, numResults)}
	for r := range numResults {
		out.Results[r.String()] = s.results[r].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := 0
	for _, e := range s.entries {
		status := SourceStatus{Source: e.from, Skipped: maps.Clone(e.skipped)}
		list := e.keys
		if e.url != nil {
			src := s.sources[next]
			next++
			list = src.keys
			src.statusLocked(&status)
		}
		status.Keys = len(list)
		for _, k := range list {
			status.Algs = append(status.Algs, k.algs.String())
			if k.kid != "" {
				status.Kids = append(status.Kids, k.kid)
			}
		}
		out.Keys += status.Keys
		out.Sources = append(out.Sources, status)
	}
	return out
}

func (s *source) statusLocked(out *SourceStatus) {
	out.Remote, out.Loaded, out.Skipped = true, s.loaded, maps.Clone(s.skipped)
	out.Fetched, out.Tried, out.Next, out.Error = s.fetched, s.tried, s.next, s.err
	out.Failures = make(map[string]uint64, numCauses)
	for c, n := range s.failures {
		out.Failures[causeWords[c]] = n
	}
}
