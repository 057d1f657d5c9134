package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	"sluice/plugins"
	"sluice/plugins/lookup"
	"sluice/router"
)

// BenchOptions say how long Bench works. Zero values are the defaults.
type BenchOptions struct {
	Duration  time.Duration // of measuring time, twice; 0: 1 s
	Events    int           // to look for growing memory; 0: 1,000,000; fewer if they take over a minute
	Instances int           // to measure their memory; 0: 64

	Builtins fs.FS
	CacheDir string
	Log      *slog.Logger // nil: nothing is kept
}

const maxGrowthTime = time.Minute

// BenchResult is what a filter costs. Times are those of Chain.Judge, as the
// router calls it, in one goroutine.
type BenchResult struct {
	Filter string
	Events int // different ones, judged in turn

	// Mean is the time of an event in an uninterrupted loop, in nanoseconds. The
	// percentiles are of events that were timed one by one, less Clock, the time
	// that looking at the clock takes by itself.
	Mean                float64
	P50, P90, P99, P999 float64
	Clock               float64
	Timed               int // events timed one by one

	Fuel    float64 // units an event, on average
	FuelMax int64   // of the dearest event

	Allocs     float64 // of the host, an event; guests allocate in their own memory
	AllocBytes float64

	Verdicts map[string]int // of one round of the events, failures by cause
	Growth   Growth
	Memory   Footprint
}

// Bench measures a filter with events, which are judged in turn.
func Bench(ctx context.Context, spec plugins.Spec, inputs []*Input, o BenchOptions) (*BenchResult, error) {
	if o.Duration <= 0 {
		o.Duration = time.Second
	}
	if o.Events <= 0 {
		o.Events = 1_000_000
	}
	if o.Instances <= 0 {
		o.Instances = 64
	}
	r := &BenchResult{Filter: strings.TrimSuffix(spec.Name, otherName)}
	if err := r.fuel(ctx, spec, inputs, o); err != nil {
		return nil, err
	}
	b, err := newBench(ctx, spec, inputs, o, benchHost{lanes: 1})
	if err != nil {
		return nil, err
	}
	err = errors.Join(r.times(ctx, b, o), b.close())
	if err != nil {
		return nil, err
	}
	meter := newGrowthMeter(&spec)
	if b, err = newBench(ctx, spec, inputs, o, benchHost{lanes: 1, tracer: meter}); err != nil {
		return nil, err
	}
	r.Growth, err = b.growth(ctx, meter, o.Events, maxGrowthTime)
	if err = errors.Join(err, b.close()); err != nil {
		return nil, err
	}
	r.Memory, err = footprint(ctx, spec, inputs, o)
	return r, err
}

// bench is a filter in a host of its own, and its inputs.
type bench struct {
	host   *plugins.Host
	chain  *plugins.Chain
	inputs []*Input
	answer *lookup.Result // of the event under way
	next   int
}

type benchHost struct {
	lanes  int
	tracer plugins.Tracer
}

func newBench(ctx context.Context, spec plugins.Spec, inputs []*Input, o BenchOptions, h benchHost) (*bench, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &bench{}
	var err error
	b.host, err = plugins.NewHost(plugins.HostOptions{
		CacheDir: o.CacheDir, Lanes: h.lanes, Log: o.Log, Builtins: o.Builtins, Tracer: h.tracer,
		Lookup: func(string, *router.Event) lookup.Result {
			if b.answer == nil {
				return lookup.Result{Status: lookup.Missed}
			}
			return *b.answer
		},
	})
	if err != nil {
		return nil, err
	}
	if b.chain, err = b.host.Build(ctx, []plugins.Spec{spec}, nil); err == nil {
		b.inputs, err = handled(b.chain, inputs)
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) close() error { return b.host.Close(context.Background()) }

// judge judges the next event.
func (b *bench) judge() (*router.Event, error) {
	in := b.inputs[b.next]
	if b.next++; b.next == len(b.inputs) {
		b.next = 0
	}
	b.answer = in.Lookup
	return &in.Event, b.chain.Judge(&in.Event)
}

// fuelTracer adds up what calls cost.
type fuelTracer struct{ call plugins.Call }

func (f *fuelTracer) Called(c plugins.Call) {
	if c.Hook != router.HookConfigure {
		f.call = c
	}
}
func (f *fuelTracer) Logged(string, slog.Level, string) {}

// fuel judges each event a few times, as fuel does not depend on the clock.
func (r *BenchResult) fuel(ctx context.Context, spec plugins.Spec, inputs []*Input, o BenchOptions) error {
	t := &fuelTracer{}
	b, err := newBench(ctx, spec, inputs, o, benchHost{lanes: 1, tracer: t})
	if err != nil {
		return err
	}
	r.Events, r.Verdicts = len(b.inputs), make(map[string]int)
	const rounds = 8
	var sum int64
	for i := range rounds * len(b.inputs) {
		t.call = plugins.Call{}
		e, err := b.judge()
		if err != nil {
			return errors.Join(err, b.close())
		}
		sum += t.call.Fuel
		r.FuelMax = max(r.FuelMax, t.call.Fuel)
		if i >= (rounds-1)*len(b.inputs) {
			r.Verdicts[verdictOf(e, t.call.Failure)]++
		}
	}
	r.Fuel = float64(sum) / float64(rounds*len(b.inputs))
	return b.close()
}

func verdictOf(e *router.Event, c plugins.Cause) string {
	switch {
	case e.Verdict.Failure != "":
		return e.Verdict.Failure
	case c != plugins.CauseNone:
		return c.String()
	}
	return verdictWords[e.Verdict.Action]
}

// times measures the mean, the allocations and the percentiles.
func (r *BenchResult) times(ctx context.Context, b *bench, o BenchOptions) error {
	const chunk = 256
	for range 4 * chunk { // warm caches, buffers and the percentiles' first look
		if _, err := b.judge(); err != nil {
			return err
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, n := time.Now(), 0
	for time.Since(began) < o.Duration {
		for range chunk {
			if _, err := b.judge(); err != nil {
				return err
			}
		}
		if n += chunk; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.Mean = float64(time.Since(began)) / float64(n)
	runtime.ReadMemStats(&after)
	r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	r.AllocBytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
	return r.percentiles(ctx, b, o)
}

func (r *BenchResult) percentiles(ctx context.Context, b *bench, o BenchOptions) error {
	clock := time.Duration(1 << 62)
	for range 1000 {
		began := time.Now()
		clock = min(clock, time.Since(began))
	}
	r.Clock = float64(clock)
	const most = 2_000_000
	samples := make([]int64, 0, 1<<16)
	for began := time.Now(); time.Since(began) < o.Duration && len(samples) < most; {
		for range 64 {
			start := time.Now()
			if _, err := b.judge(); err != nil {
				return err
			}
			samples = append(samples, int64(max(0, time.Since(start)-clock)))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	slices.Sort(samples)
	at := func(p float64) float64 { return float64(samples[min(len(samples)-1, int(p*float64(len(samples))))]) }
	r.Timed, r.P50, r.P90, r.P99, r.P999 = len(samples), at(0.5), at(0.9), at(0.99), at(0.999)
	return nil
}

// WriteText writes the result for people.
func (r *BenchResult) WriteText(w io.Writer) error {
	var verdicts []string
	for word, n := range r.Verdicts {
		verdicts = append(verdicts, fmt.Sprintf("%d %s", n, word))
	}
	slices.Sort(verdicts)
	_, err := fmt.Fprintf(w, `%s: %s, judged in turn (%s)
time     %.0f ns an event on average
         p50 %.0f, p90 %.0f, p99 %.0f, p99.9 %.0f ns (%d events timed one by one, less %.0f ns for the clock)
fuel     %.0f units an event, at most %d
allocs   %.2f an event in the host (%.0f bytes)
memory   %s
         %s
`, r.Filter, plural(r.Events, "event"), strings.Join(verdicts, ", "), r.Mean, r.P50, r.P90, r.P99, r.P999, r.Timed, r.Clock,
		r.Fuel, r.FuelMax, r.Allocs, r.AllocBytes, r.Growth, r.Memory)
	return err
}
