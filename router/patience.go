package router

import (
	"context"
	"sync"
	"time"
)

// patience is the context of a call that somebody waits for only so long. Most calls end
// before anything would have to wait, and then it has cost no timer: that is made when
// Done is asked for.
type patience struct {
	parent   context.Context
	deadline time.Time

	mu sync.Mutex
	// Guarded by mu.
	timed  context.Context // nil: Done has not been asked for
	cancel context.CancelFunc
	ended  bool // end was called
}

var _ context.Context = (*patience)(nil)

// withPatience is context.WithTimeout.
func withPatience(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	p := &patience{parent: parent, deadline: time.Now().Add(d)}
	return p, p.end
}

func (p *patience) end() {
	p.mu.Lock()
	p.ended = true
	cancel := p.cancel
	p.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) {
	if at, ok := p.parent.Deadline(); ok && at.Before(p.deadline) {
		return at, true
	}
	return p.deadline, true
}

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timed == nil {
		p.timed, p.cancel = context.WithDeadline(p.parent, p.deadline)
		if p.ended {
			p.cancel()
		}
	}
	return p.timed.Done()
}

// Err implements context.Context.
func (p *patience) Err() error {
	p.mu.Lock()
	timed, ended := p.timed, p.ended
	p.mu.Unlock()
	switch err := p.parent.Err(); {
	case timed != nil:
		return timed.Err()
	case err != nil:
		return err
	case ended:
		return context.Canceled
	case !time.Now().Before(p.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. Once there is a timer its context answers, so that
// contexts that are derived from this one need no goroutine.
func (p *patience) Value(key any) any {
	p.mu.Lock()
	timed := p.timed
	p.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return p.parent.Value(key)
}
