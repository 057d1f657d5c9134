package keys

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	usualInterval = 15 * time.Minute // between refreshes, where nothing says otherwise
	demandGap     = time.Minute      // from a fetch to the one that an unknown kid asks for
	minBackoff    = time.Second      // from the first failure to the next attempt
	maxBackoff    = 5 * time.Minute
)

// source is a key set behind a URL.
type source struct {
	// Static after newSource.
	set     *Set
	url     *url.URL
	shown   string // the URL without what may be secret in it
	binding binding
	wait    bool          // Start does not need it
	refresh time.Duration // 0: the answer's max-age, or usualInterval
	fetcher *fetcher

	// Any goroutine.
	demanded atomic.Bool   // since the last fetch; sent on wake by who sets it
	wake     chan struct{} // capacity 1; received by run

	state // guarded by set.mu
}

// state is what a source has come to.
type state struct {
	loaded   bool           // keys have come at least once
	keys     []*key         // of the last good set
	skipped  map[string]int // keys of that set that are not used, by cause; never changed
	fetched  time.Time      // when it came
	interval time.Duration  // until it is refreshed, before jitter
	tried    time.Time      // the last attempt's end
	next     time.Time      // the next attempt
	failed   int            // attempts since the last good one
	err      string         // of the last attempt; "": it was good
	failures [numCauses]uint64
}

func newSource(set *Set, e *entry, transport http.RoundTripper) *source {
	return &source{
		set: set, url: e.url, shown: e.from, binding: e.binding,
		wait: e.spec.WhenDown == Wait, refresh: e.spec.Refresh,
		fetcher: newFetcher(e.url, transport), wake: make(chan struct{}, 1),
	}
}

// demand asks for a fetch soon. It never waits.
func (s *source) demand() {
	if !s.demanded.Load() && s.demanded.CompareAndSwap(false, true) {
		select {
		case s.wake <- struct{}{}:
		default: // run has not looked yet
		}
	}
}

// run fetches whenever it is due, until ctx is done.
func (s *source) run(ctx context.Context) {
	timer := time.NewTimer(time.Until(s.due()))
	defer timer.Stop()
	for ctx.Err() == nil { // of a timer and a context that are both due select takes either
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			timer.Reset(time.Until(s.hasten()))
			continue
		case <-timer.C:
		}
		_ = s.attempt(ctx) // the state and the log have the error
		timer.Reset(time.Until(s.due()))
	}
}

func (s *source) due() time.Time {
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	return s.next
}

// hasten brings the next attempt forward, but not closer than demandGap to the
// last one.
func (s *source) hasten() time.Time {
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	if soon := s.tried.Add(demandGap); soon.Before(s.next) {
		s.next = soon
	}
	return s.next
}

// attempt fetches once. If it fails the last good set stays.
func (s *source) attempt(ctx context.Context) error {
	text, maxAge, err := s.fetcher.fetch(ctx)
	var d *document
	if err == nil {
		d, err = parseAnswer(text, s.binding)
	}
	if ctx.Err() != nil {
		return ctx.Err() // the set is being closed
	}
	if err != nil {
		s.fail(err)
	} else {
		s.succeed(d, maxAge)
	}
	// What was asked for while the answer was on its way has been answered.
	select {
	case <-s.wake:
	default:
	}
	s.demanded.Store(false)
	return err
}

func parseAnswer(text []byte, b binding) (*document, error) {
	d, err := parseSet(text, b)
	switch {
	case errors.Is(err, errNoKeys):
		return nil, &failure{causeNoKeys, "its answer has no key that can be used: " + countSkipped(d.skipped)}
	case err != nil:
		return nil, &failure{causeMalformed, "its answer is no JWK set"}
	}
	return d, nil
}

func (s *source) succeed(d *document, maxAge time.Duration) {
	now := time.Now()
	s.set.mu.Lock()
	recovered := s.failed > 0
	s.loaded, s.keys, s.skipped = true, d.keys, d.skipped
	s.fetched, s.tried, s.failed, s.err = now, now, 0, ""
	switch {
	case s.refresh > 0:
		s.interval = s.refresh
	case maxAge > 0:
		s.interval = min(max(maxAge, minInterval), maxInterval)
	default:
		s.interval = usualInterval
	}
	s.next = now.Add(jitter(s.interval*9/10, s.interval*11/10))
	s.set.publishLocked()
	unreached := s.set.view.Load().unreached
	s.set.mu.Unlock()

	if recovered {
		s.set.log.Info("key set answers again", "url", s.shown, "keys", len(d.keys))
	}
	if len(d.skipped) > 0 {
		s.set.log.Warn("keys of a key set are not used", "url", s.shown, "used", len(d.keys), "skipped", countSkipped(d.skipped))
	}
	if unreached > 0 {
		s.set.log.Warn("keys are not tried, because there are too many", "keys", unreached)
	}
}

func (s *source) fail(err error) {
	now := time.Now()
	why := causeMalformed
	if f := (*failure)(nil); errors.As(err, &f) {
		why = f.cause
	}
	s.set.mu.Lock()
	s.failures[why]++
	s.tried, s.err = now, err.Error()
	backoff := min(minBackoff<<min(s.failed, 16), maxBackoff)
	s.failed++
	s.next = now.Add(jitter(backoff/2, backoff))
	served := len(s.keys)
	s.set.mu.Unlock()

	s.set.log.Warn("key set cannot be fetched", "url", s.shown, "cause", causeWords[why], "error", err, "keys", served)
}

// jitter is a time from low to high, so that nodes do not all ask at once.
func jitter(low, high time.Duration) time.Duration {
	return low + rand.N(high-low+1)
}
