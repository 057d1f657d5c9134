package faults

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// result is what came of a fault.
type result struct {
	Fault    string         `json:"fault"`
	Nodes    int            `json:"nodes"`
	Clients  int            `json:"clients"`
	Rooms    int            `json:"rooms"`
	Report   *Report        `json:"report"`
	Refusals map[string]int `json:"refusals,omitempty"`
	Closes   map[int]int    `json:"closes,omitempty"`
}

// TestNothingIsLostInSilenceWhileSomethingBreaks is the matrix. FAULTS=full runs it
// in full size, FAULTS_JSON=file keeps the reports.
func TestNothingIsLostInSilenceWhileSomethingBreaks(t *testing.T) {
	side := 4 // they mostly wait
	if full {
		side = 1
	}
	var (
		work    sync.WaitGroup
		mu      sync.Mutex
		results []result
		places  = make(chan struct{}, side)
	)
	for _, f := range faults {
		places <- struct{}{}
		work.Go(func() {
			defer func() { <-places }()
			t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
				r := endure(t, f)
				mu.Lock()
				defer mu.Unlock()
				results = append(results, r)
			})
		})
	}
	work.Wait()
	if path := os.Getenv("FAULTS_JSON"); path != "" {
		text, err := json.MarshalIndent(results, "", "  ")
		done(t, err)
		done(t, os.WriteFile(path, append(text, '\n'), 0o600))
	}
}

// endure builds a world, lets the fault happen, and judges what came of it.
func endure(t *testing.T, f fault) result {
	w := build(t, sized(), f.backend)
	c := w.crowd
	stall := watchStalls(t)
	if !c.alive(patience) {
		t.Fatalf("the rooms are not alive before the fault: %v", c.failures)
	}
	time.Sleep(w.size.warm)
	begun := c.now()
	f.inflict(w)
	healed := c.now()
	c.rest.Store(true)
	c.alive(patience) // else the record shows it
	run := c.finish(w.size.probe, healed, f.forgets)
	r := Check(run)
	t.Logf("%s, for %s\n%s\nrefusals %v, closes %v, refused joins %d", f.name, (healed - begun).Round(time.Millisecond), r, c.refusals, c.closes, c.joinsRefused.Load())
	w.judge(f, run, r, stall())
	return result{f.name, w.size.nodes, w.size.plan.clients, len(c.rooms), r, c.refusals, c.closes}
}

// judge fails the test for what the fault must not have done.
func (w *world) judge(f fault, run *Run, r *Report, stalled time.Duration) {
	if !r.OK() {
		w.t.Errorf("%d kinds of breaches; %s", len(r.Breaches), r.Suspect(run))
	}
	if r.Acknowledged == 0 || r.Delivered == 0 {
		w.t.Error("nothing was sent")
	}
	if !f.renews && (r.Gaps["lost"] > 0 || r.NotRecovered > 0) {
		w.t.Errorf("Redis lost nothing, and %d gaps and %d failed recoveries were told in rooms with history", r.Gaps["lost"], r.NotRecovered)
	}
	if f.quiet && (r.Refused > 0 || len(r.Gaps) > 0) {
		complain := w.t.Errorf
		if stalled > w.size.probe/4 {
			complain = w.t.Logf // a node may have waited for longer than a probe interval, too
		}
		complain("nobody should notice: %d messages were refused, gaps %v; this process stood still for up to %s", r.Refused, r.Gaps, stalled)
	}
	if len(w.crowd.closes) > 0 {
		w.t.Errorf("connections were closed by their node: by code %v", w.crowd.closes)
	}
	for failure, n := range w.crowd.failures {
		if !strings.Contains(failure, "failed to WebSocket dial") {
			w.t.Errorf("%d times: %s", n, failure)
		}
	}
	for i, n := range w.nodes {
		if code, body := n.Get("/readyz"); code != 200 {
			w.t.Errorf("after the fault node %d is not ready: %d %s", i, code, body)
		}
	}
}

// watchStalls measures for how long this process, and so probably the machine,
// did not get to what was due.
func watchStalls(t *testing.T) (longest func() time.Duration) {
	const period = 20 * time.Millisecond
	var most atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for last := time.Now(); ctx.Err() == nil; {
			pause(ctx, period)
			now := time.Now()
			most.Store(max(most.Load(), int64(now.Sub(last)-period)))
			last = now
		}
	})
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	return func() time.Duration { return time.Duration(most.Load()) }
}
