package router

import (
	"context"
	"math/rand/v2"
	"time"

	"sluice/router/wire"
)

const drainReason = "the node is shutting down"

// abortGrace is how long the last connections that are closed may take to
// receive what is queued for them, however long Limits.WriteTimeout is.
const abortGrace = time.Second

// Drain refuses new connections from now on, closes the open ones with 4200, spread
// with jitter over Options.DrainWindow, and returns when they have ended: one
// that has not a second after the window is given up with what it did not take.
// When ctx ends it closes the rest at once and returns its error.
func (r *Router) Drain(ctx context.Context) error {
	r.stopAccepting()
	ended := make(chan struct{})
	go func() {
		r.running.Wait()
		close(ended)
	}()
	members := append([]*member(nil), r.everyone.snapshot()...)
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })

	err := r.closeOver(ctx, members, ended)
	if err != nil {
		return err
	}
	impatient := time.AfterFunc(abortGrace, r.engine.Abort)
	defer impatient.Stop()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closeOver closes the members one by one over the window. Each has its own
// share of the window, and a random place in it.
func (r *Router) closeOver(ctx context.Context, members []*member, ended <-chan struct{}) error {
	begun := time.Now()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	share := max(0, float64(r.opts.DrainWindow)/float64(max(1, len(members))))
	for i, m := range members {
		if m.state.Load() == gone {
			continue
		}
		at := time.Duration(share * (float64(i) + rand.Float64()))
		if wait := at - time.Since(begun); wait > time.Millisecond {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ended:
				return nil
			case <-ctx.Done():
				r.closeAll()
				return ctx.Err()
			}
		}
		m.conn.close(wire.CloseDraining, drainReason)
	}
	return nil
}

func (r *Router) stopAccepting() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining.Store(true)
}

func (r *Router) closeAll() {
	for _, m := range r.everyone.snapshot() {
		m.conn.close(wire.CloseDraining, drainReason)
	}
}

// closeGrace is how long Close waits for calls of the broker.
const closeGrace = 5 * time.Second

// Close ends all connections at once, waits until their goroutines have ended,
// and stops the node. A client that does not take what is queued for it is given
// up after a second. The broker stays open: its owner closes it afterwards.
func (r *Router) Close() {
	r.stopAccepting()
	r.mu.Lock()
	again := r.closed
	r.closed = true
	r.mu.Unlock()

	impatient := time.AfterFunc(closeGrace, r.cancel)
	defer impatient.Stop()
	abort := time.AfterFunc(abortGrace, r.engine.Abort)
	defer abort.Stop()
	r.closeAll()
	r.running.Wait()
	r.cancel()
	r.orders.stop()
	if !again {
		r.engine.Close()
	}
}
