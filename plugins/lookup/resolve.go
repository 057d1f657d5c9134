package lookup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"sluice/plugins/outbound"
)

// Deps are what a Lookup works with. The zero value works for HTTP.
type Deps struct {
	Redis     RedisClient       // of lookups in Redis
	Now       func() time.Time  // the clock by which answers grow old; nil: time.Now
	Transport http.RoundTripper // in place of the network; tests use it
}

// Lookup answers the events of one filter. Its methods are safe for concurrent
// use.
type Lookup struct {
	// Static after construction.
	plan    *Plan
	source  source
	now     func() time.Time
	breaker *gobreaker.CircuitBreaker[Result] // nil: there is none
	turns   chan struct{}                     // holds an element for each question on its way
	ctx     context.Context                   // done once Close was called
	cancel  context.CancelFunc

	results  [len(resultWords)]atomic.Uint64
	inFlight atomic.Int64
	waiting  atomic.Int64 // events that share another's question

	// Guarded by mu.
	mu      sync.Mutex
	closed  bool
	cache   *cache
	flights map[string]*flight
	running sync.WaitGroup // calls of Resolve; added to under mu
}

// flight is a question on its way, for all who asked it meanwhile.
type flight struct {
	done   chan struct{} // closed by who asks, once result is set
	result Result
}

// New makes a lookup. Close ends it.
func New(p *Plan, d Deps) *Lookup {
	l := &Lookup{
		plan: p, now: d.Now, turns: make(chan struct{}, p.spec.Concurrency),
		cache: newCache(maxEntries, maxCacheBytes), flights: make(map[string]*flight),
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	failures, retryAfter := DefaultBreaker, DefaultRetryAfter
	if p.spec.Redis != nil {
		l.source = &redisSource{p, d.Redis}
	} else {
		l.source = newHTTPSource(p, d.Transport)
		failures, retryAfter = p.spec.HTTP.Breaker, p.spec.HTTP.RetryAfter
	}
	if failures > 0 {
		l.breaker = gobreaker.NewCircuitBreaker[Result](gobreaker.Settings{
			Timeout:      retryAfter,
			ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= uint32(failures) },
			IsSuccessful: func(err error) bool { f := asFailure(err); return f == nil || !f.ill },
			IsExcluded:   func(err error) bool { f := asFailure(err); return f != nil && f.cause == outbound.Canceled },
		})
	}
	return l
}

func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// Plan is what the lookup was made of.
func (l *Lookup) Plan() *Plan { return l.plan }

// Close ends the questions that are on their way, which fail as "canceled", and
// waits for them.
func (l *Lookup) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
	l.source.close()
}

// Resolve answers an event: from what is known, or by asking. It takes no longer
// than the Spec's Timeout.
func (l *Lookup) Resolve(e *Event) Result {
	q, err := l.plan.question(e)
	switch {
	case errors.Is(err, errAbsent):
		return l.count(resultAbsent, Result{Status: Missed})
	case err != nil:
		return l.fail(&failure{cause: CauseTemplate, text: err.Error()})
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return l.fail(errClosed)
	}
	l.running.Add(1)
	defer l.running.Done()
	if q.alone {
		l.mu.Unlock()
		return l.asked(l.ask(q))
	}
	if r, ok := l.cache.get(q.key, l.now()); ok {
		l.mu.Unlock()
		return l.count(resultCached, r)
	}
	if f := l.flights[q.key]; f != nil {
		l.mu.Unlock()
		l.waiting.Add(1)
		<-f.done
		l.waiting.Add(-1)
		return l.count(resultShared, f.result)
	}
	f := &flight{done: make(chan struct{}), result: failed(l.source, errInternal)}
	l.flights[q.key] = f
	l.mu.Unlock()
	defer l.land(q.key, f)
	f.result = l.asked(l.ask(q))
	return f.result
}

var (
	errClosed   = &failure{cause: outbound.Canceled, text: "the node is closing"}
	errInternal = &failure{cause: CauseSource, text: "an internal error"}
)

// land keeps the answer and wakes those who share it. Between the two nobody can
// miss it and ask again.
func (l *Lookup) land(key string, f *flight) {
	ttl := time.Duration(0)
	switch f.result.Status {
	case Found:
		ttl = l.plan.spec.TTL
	case Missed:
		ttl = l.plan.spec.MissTTL
	}
	now := l.now()
	l.mu.Lock()
	if ttl > 0 {
		l.cache.put(key, f.result, now.Add(ttl))
	}
	delete(l.flights, key)
	l.mu.Unlock()
	close(f.done)
}

// ask puts the question to the source when it is its turn.
func (l *Lookup) ask(q *question) (Result, error) {
	if l.breaker != nil && l.breaker.State() == gobreaker.StateOpen {
		return Result{}, l.open()
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.plan.spec.Timeout)
	defer cancel()
	select {
	case l.turns <- struct{}{}:
	default:
		select {
		case l.turns <- struct{}{}:
		case <-ctx.Done():
			if l.ctx.Err() != nil {
				return Result{}, errClosed
			}
			return Result{}, &failure{cause: CauseBusy, text: fmt.Sprintf("%d questions were on their way, and it was nobody's turn for %v; raise lookup.concurrency, or make its answers faster",
				l.plan.spec.Concurrency, l.plan.spec.Timeout)}
		}
	}
	defer func() { <-l.turns }()
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	if l.breaker == nil {
		return l.source.ask(ctx, q)
	}
	r, err := l.breaker.Execute(func() (Result, error) { return l.source.ask(ctx, q) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return Result{}, l.open()
	}
	return r, err
}

func (l *Lookup) open() *failure {
	return &failure{cause: CauseOpen, text: "it failed too often in a row, and is left alone for a while"}
}

// asked counts an answer of the source.
func (l *Lookup) asked(r Result, err error) Result {
	if err != nil {
		f := asFailure(err)
		if f == nil {
			f = errInternal
		}
		return l.fail(f)
	}
	if r.Status == Missed {
		return l.count(resultMissed, r)
	}
	return l.count(resultFound, r)
}

func (l *Lookup) fail(f *failure) Result {
	return l.count(resultOf(f.cause), failed(l.source, f))
}

func failed(s source, f *failure) Result {
	return Result{Status: Failed, Cause: f.cause, Err: shown(s.target(), f)}
}
