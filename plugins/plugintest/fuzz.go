package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// FuzzOptions say how long Fuzz looks. The same seed makes the same events.
type FuzzOptions struct {
	Seed     uint64
	Runs     int           // events; 0: as many as fit into Duration
	Duration time.Duration // 0: no limit but Runs; both 0: 10 s

	Builtins fs.FS
	CacheDir string
	Log      *slog.Logger // nil: nothing is kept
}

// FuzzReport is what Fuzz found.
type FuzzReport struct {
	Seed           uint64
	Runs           int // events
	Configurations int // tried
	Refused        int // of these, which is their right
	Verdicts       map[string]int
	Growth         Growth
	Findings       []Finding
}

// Finding is a fault of the filter, with a fixture that shows it.
type Finding struct {
	Cause   string // trap, bad_pointer, … or leak
	Hook    string
	Detail  string
	Fixture string // YAML, to be put into a file of fixtures; "" of a leak
}

// OK reports whether nothing was found.
func (r *FuzzReport) OK() bool { return len(r.Findings) == 0 }

const (
	eventsPerConfig = 200
	maxFindings     = 8

	// fuzzTime is what a call may take, unless the filter says otherwise: more than
	// a busy machine keeps a harmless one waiting.
	fuzzTime = 250 * time.Millisecond

	growthEvents = 20_000
	growthTime   = 3 * time.Second
)

// faults are the failures that no event may cause. A filter may report its own
// failure, and refuse an event that is too big for its buffer.
var faults = map[plugins.Cause]bool{
	plugins.CauseTimeout: true, plugins.CauseStack: true, plugins.CauseTrap: true, plugins.CauseExit: true, plugins.CauseInternal: true,
	plugins.CausePointer: true, plugins.CauseUTF8: true, plugins.CauseJSON: true, plugins.CauseVerdict: true, plugins.CauseValue: true,
	plugins.CauseNotAllowed: true, plugins.CauseTooBig: true,
}

func isFault(c plugins.Call) bool {
	return faults[c.Failure] && !(c.Failure == plugins.CauseTooBig && strings.Contains(c.Detail, "sluice_buffer"))
}

// Fuzz judges events that a filter may not expect, under its configuration and
// others near it, and reports what a filter must never do: trap, time out, answer
// what is not allowed, or take more and more memory. Seeds are what it begins
// with.
func Fuzz(ctx context.Context, spec plugins.Spec, seeds []*Input, o FuzzOptions) (*FuzzReport, error) {
	f, err := newFuzzer(ctx, spec, seeds, o)
	if err != nil {
		return nil, err
	}
	err = f.run(ctx)
	if cerr := f.close(); err == nil {
		err = cerr
	}
	if err == nil && ctx.Err() == nil {
		err = f.leak(ctx)
	}
	if err != nil {
		return nil, err
	}
	return f.report, nil
}

// fuzzer runs one campaign.
type fuzzer struct {
	*runner
	spec   plugins.Spec
	schema []byte
	gen    *generator
	report *FuzzReport
	seen   map[string]bool
	runs   int
	until  time.Time
}

func newFuzzer(ctx context.Context, spec plugins.Spec, seeds []*Input, o FuzzOptions) (*fuzzer, error) {
	if spec.Time == 0 || spec.Time == TestTime {
		spec.Time = fuzzTime
	}
	r, err := newRunner(Options{Builtins: o.Builtins, CacheDir: o.CacheDir, Log: o.Log})
	if err != nil {
		return nil, err
	}
	f := &fuzzer{
		runner: r, spec: spec, runs: o.Runs, seen: make(map[string]bool),
		report: &FuzzReport{Seed: o.Seed, Verdicts: make(map[string]int)},
	}
	if f.runs == 0 && o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	if f.runs == 0 {
		f.runs = int(^uint(0) >> 1)
	}
	if o.Duration > 0 {
		f.until = time.Now().Add(o.Duration)
	}
	own := spec
	chain, err := f.build(ctx, &own)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the filter does not load: %s", loadText(err)), f.close())
	}
	f.schema = chain.Info()[0].Schema
	if seeds, err = handled(chain, append(Defaults(), seeds...)); err != nil {
		return nil, errors.Join(err, f.close())
	}
	f.gen = &generator{r: rand.New(rand.NewPCG(o.Seed, 0x51_1ce)), spec: &f.spec, seeds: seeds, states: true}
	return f, nil
}

func (f *fuzzer) run(ctx context.Context) error {
	for round := 0; f.report.Runs < f.runs && len(f.report.Findings) < maxFindings; round++ {
		if ctx.Err() != nil || !f.until.IsZero() && time.Now().After(f.until) {
			return ctx.Err()
		}
		config := f.spec.Config
		if round%2 == 1 {
			config = f.gen.config(f.spec.Config, f.schema)
		}
		if err := f.round(ctx, config); err != nil {
			return err
		}
	}
	return nil
}

// round judges some events under one configuration.
func (f *fuzzer) round(ctx context.Context, config json.RawMessage) error {
	f.report.Configurations++
	p, err := f.play(ctx, config)
	if err != nil {
		f.report.Refused++
		f.startFinding(config, err)
		return ctx.Err()
	}
	var inputs []*Input
	for range min(eventsPerConfig, f.runs-f.report.Runs) {
		in := f.gen.event()
		var state []byte
		if f.gen.states && f.gen.chance(5) {
			state = f.gen.state(f.stateBytes())
			in.Event.States = &[]router.State{{Filter: f.spec.Name, Data: state}}
		}
		inputs = append(inputs, in)
		call, verdict, err := p.judge(in)
		if err != nil {
			return err
		}
		f.report.Runs++
		f.report.Verdicts[verdict]++
		if isFault(call) {
			return f.finding(ctx, config, inputs, call)
		}
	}
	return nil
}

func (f *fuzzer) stateBytes() int {
	if f.spec.StateBytes > 0 {
		return f.spec.StateBytes
	}
	return plugins.DefaultState
}

// play is a fresh filter and its connections.
type play struct {
	f     *fuzzer
	chain *plugins.Chain
	spec  plugins.Spec
	conns map[uint64]*connection
	count uint64
}

func (f *fuzzer) play(ctx context.Context, config json.RawMessage) (*play, error) {
	p := &play{f: f, spec: f.spec, conns: make(map[uint64]*connection)}
	p.spec.Config = config
	f.stage.reset(f.began, 1)
	var err error
	p.chain, err = f.build(ctx, &p.spec)
	return p, err
}

// judge judges a copy of the input. Its state, if it has one, is what the filter
// finds.
func (p *play) judge(in *Input) (call plugins.Call, verdict string, err error) {
	p.count++
	p.f.stage.begin(1, p.count, time.Millisecond, in.Lookup)
	c := p.conns[in.Event.Conn]
	if c == nil {
		c = &connection{}
		p.conns[in.Event.Conn] = c
	}
	e := in.Event
	c.seq++
	e.Seq, e.Time = c.seq, p.f.stage.Now().UnixNano()
	if e.States != nil {
		c.states = c.states[:0]
		for _, s := range *e.States {
			c.states = append(c.states, router.State{Filter: p.spec.Name, Version: s.Version, Data: bytes.Clone(s.Data)})
		}
	}
	e.States = &c.states
	if err := p.chain.Judge(&e); err != nil {
		return call, "", err
	}
	calls, _, _ := p.f.stage.end()
	if len(calls) > 0 {
		call = calls[len(calls)-1]
	}
	return call, verdictOf(&e, call.Failure), nil
}

// startFinding judges why a filter did not start under a configuration: it may
// refuse it, and that is all.
func (f *fuzzer) startFinding(config json.RawMessage, err error) {
	for _, e := range loadErrors(err) {
		if strings.HasPrefix(e.Cause, plugins.RefusedConfiguration) || strings.HasPrefix(e.Cause, plugins.RefusedBySchema) {
			return
		}
	}
	text := loadText(err)
	if f.seen["start"+text] {
		return
	}
	f.seen["start"+text] = true
	f.report.Findings = append(f.report.Findings, Finding{
		Cause: "start", Hook: "configure", Detail: text, Fixture: f.fixture(config, nil, "starts with this configuration, or refuses it"),
	})
}

// finding confirms a fault, makes what shows it small, and reports it.
func (f *fuzzer) finding(ctx context.Context, config json.RawMessage, inputs []*Input, call plugins.Call) error {
	key := call.Failure.String() + " " + hookWord(call.Hook) + " " + call.Detail
	if f.seen[key] {
		return nil
	}
	f.seen[key] = true
	small := &minimiser{f: f, ctx: ctx, config: config, cause: call.Failure, tries: 400}
	if call.Failure == plugins.CauseTimeout {
		small.tries = 30 // each takes that long
	}
	if !small.shows(inputs) {
		if call.Failure == plugins.CauseTimeout {
			return ctx.Err() // the machine was busy
		}
		small.inputs = inputs
	} else {
		small.run(inputs)
	}
	f.report.Findings = append(f.report.Findings, Finding{
		Cause: call.Failure.String(), Hook: hookWord(call.Hook), Detail: call.Detail,
		Fixture: f.fixture(config, small.inputs, "does not fail: "+call.Failure.String()),
	})
	return ctx.Err()
}

func hookWord(h router.Hook) string {
	return map[router.Hook]string{
		router.HookConfigure: "configure", router.HookConnect: "connect", router.HookJoin: "join", router.HookMessage: "message",
		router.HookLeave: "leave", router.HookDisconnect: "disconnect",
	}[h]
}

// leak judges many events under the filter's own configuration.
func (f *fuzzer) leak(ctx context.Context) error {
	var inputs []*Input
	f.gen.states = false
	for range 500 {
		in := f.gen.event()
		in.Event.States = new([]router.State)
		inputs = append(inputs, in)
	}
	meter := newGrowthMeter(&f.spec)
	b, err := newBench(ctx, f.spec, inputs, BenchOptions{Builtins: f.options.Builtins, CacheDir: f.options.CacheDir, Log: f.options.Log},
		benchHost{lanes: 1, tracer: meter})
	if err != nil {
		return err
	}
	f.report.Growth, err = b.growth(ctx, meter, growthEvents, growthTime)
	if f.report.Growth.Leaks {
		f.report.Findings = append(f.report.Findings, Finding{Cause: "leak", Hook: "message", Detail: f.report.Growth.String()})
	}
	return errors.Join(err, b.close())
}

// WriteText writes the report for people, with the fixtures of what was found.
func (r *FuzzReport) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "seed %d: %s, %s (%d refused)\nmemory: %s\n", r.Seed, plural(r.Runs, "event"), plural(r.Configurations, "configuration"), r.Refused, r.Growth)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s in %s: %s\n", f.Cause, f.Hook, f.Detail)
		if f.Fixture != "" {
			fmt.Fprintf(&b, "a fixture that shows it:\n\n%s", f.Fixture)
		}
	}
	if r.OK() {
		b.WriteString("nothing was found\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}
