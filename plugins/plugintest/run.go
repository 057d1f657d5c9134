package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice/plugins"
	"sluice/router"
	"sluice/router/wire"
)

// Options say how tests are run. The zero value runs each file against the
// .wasm that it names.
type Options struct {
	// Wasm is run instead of what the files name: a path relative to the working
	// directory, or builtin:NAME.
	Wasm string

	// Filter holds keys of a filter's entry that stand below those of each file;
	// nil: none. Dir is the base of its relative paths of key files.
	Filter *yaml.Node
	Dir    string

	// Match selects tests by name; nil: all.
	Match *regexp.Regexp

	// Update rewrites what the files expect to what happens. Tests that cannot be
	// run as they stand, and events on which the filter fails, are left alone, and
	// fail.
	Update bool

	// Memory, if it is not 0, bounds limits.memory of each test, in bytes.
	Memory int64

	// Enclosed is for what may not be trusted: tests that would read key files or
	// fetch keys are refused, limits of what is kept on the node are at most their
	// defaults, a test ends at its first failure, and there are no Outcomes.
	Enclosed bool

	Builtins fs.FS        // for builtin:NAME; nil: there are none
	CacheDir string       // where compiled modules are kept; "": they are compiled anew
	Log      *slog.Logger // what the host has to say; nil: nothing is kept
}

// TestTime is what one call of a hook may take in a test whose filter does not
// set limits.time: a machine that is busy must not fail a test. fuel is the
// measure of work that is the same everywhere.
const TestTime = time.Second

// Run runs the tests of files, one after the other, in a host of its own. What
// fails is in the report; the error is for what keeps all of them from running.
func Run(ctx context.Context, files []*File, o Options) (*Report, error) {
	r, err := newRunner(o)
	if err != nil {
		return nil, err
	}
	report := &Report{}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return report, errors.Join(err, r.close())
		}
		report.Files = append(report.Files, r.file(ctx, f))
	}
	return report, r.close()
}

// runner runs tests on one host.
type runner struct {
	options Options
	began   time.Time
	stage   *stage
	host    *plugins.Host

	// The chain of the test before stays until the next is built, so that they
	// share the compiled module. The two have different names, so that they share
	// nothing that the node keeps for a filter.
	before *plugins.Chain
	built  int
}

func newRunner(o Options) (*runner, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &runner{options: o, began: time.Now(), stage: &stage{}}
	r.stage.reset(r.began, 1)
	var err error
	r.host, err = plugins.NewHost(plugins.HostOptions{
		CacheDir: o.CacheDir, Lanes: 1, Log: o.Log, Builtins: o.Builtins,
		Now: r.stage.Now, Random: r.stage, Tracer: r.stage, Lookup: r.stage.Lookup,
	})
	return r, err
}

func (r *runner) close() error {
	return r.host.Close(context.Background())
}

func (r *runner) file(ctx context.Context, f *File) *FileResult {
	began := time.Now()
	out := &FileResult{Path: f.Path, Plugin: r.plugin(f, &Case{})}
	changes := &changes{file: f}
	for _, c := range f.Tests {
		if m := r.options.Match; m != nil && !m.MatchString(c.Name) {
			continue
		}
		t := r.test(ctx, f, c)
		if r.options.Update {
			changes.take(c, t)
		}
		out.Tests = append(out.Tests, t)
	}
	if r.options.Update {
		if out.Updated, out.UpdateErr = changes.write(); out.UpdateErr == nil {
			out.Events = changes.events
		}
	}
	out.Duration = time.Since(began)
	return out
}

// plugin is the module that a test is run against.
func (r *runner) plugin(f *File, c *Case) string {
	named := orElse(c.plugin, f.Plugin)
	switch {
	case r.options.Wasm != "":
		return r.options.Wasm
	case f.module:
		return f.Path
	case named == "" || strings.HasPrefix(named, "builtin:") || filepath.IsAbs(named):
		return named
	}
	return filepath.Join(f.dir(), named)
}

// spec is the filter of a test.
func (r *runner) spec(f *File, c *Case) (plugins.Spec, error) {
	n, err := overlay(r.options.Filter, f.filter, c.filter)
	if err != nil {
		return plugins.Spec{}, err
	}
	s, err := FilterSpec(n)
	if err != nil {
		return plugins.Spec{}, err
	}
	if s.Plugin = r.plugin(f, c); s.Plugin == "" {
		return s, errors.New("it names no module; add plugin: at the top of the file, or name the .wasm on the command line")
	}
	if s.Name == "" {
		s.Name = nameOf(s.Plugin)
	}
	if s.Time == 0 {
		s.Time = TestTime
	}
	if m := r.options.Memory; m > 0 && (s.Memory == 0 || s.Memory > m) {
		s.Memory = m
	}
	if r.options.Enclosed {
		s.Quota.Counters = min(s.Quota.Counters, plugins.DefaultCounters)
		s.Quota.Values = min(s.Quota.Values, plugins.DefaultValues)
	}
	for i := range s.Keys {
		if r.options.Enclosed && !s.Keys[i].Inline() {
			return s, fmt.Errorf("filter: keys[%d]: fixtures in a module may not name files and URLs; write the key itself", i)
		}
		if s.Keys[i].Dir = f.dir(); f.filter == nil && c.filter == nil {
			s.Keys[i].Dir = r.options.Dir
		}
	}
	return s, nil
}

// nameOf is what a filter is called that has no name: its file.
func nameOf(plugin string) string {
	name := strings.TrimPrefix(plugin, "builtin:")
	name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if wire.CheckName([]byte(name)) != "" {
		return "filter"
	}
	return name
}

// otherName ends every second filter's name; see runner.before.
const otherName = "~"

// build builds the chain of a test.
func (r *runner) build(ctx context.Context, s *plugins.Spec) (*plugins.Chain, error) {
	if r.built++; r.built%2 == 0 {
		s.Name += otherName
	}
	chain, err := r.host.Build(ctx, []plugins.Spec{*s}, nil)
	if err != nil {
		r.built-- // the name is free
		return nil, err
	}
	if r.before != nil {
		r.before.Retire()
	}
	r.before = chain
	return chain, nil
}

func (r *runner) test(ctx context.Context, f *File, c *Case) *TestResult {
	began := time.Now()
	t := &TestResult{Name: c.Name, Line: c.Line}
	defer func() { t.Duration = time.Since(began) }()
	broken := func(line int, format string, args ...any) *TestResult {
		t.Failures = append(t.Failures, &Failure{File: f.Path, Line: line, Text: fmt.Sprintf(format, args...), Broken: true})
		return t
	}
	if err := ctx.Err(); err != nil {
		return broken(c.Line, "it is not run any more: %v", err)
	}
	spec, err := r.spec(f, c)
	if err != nil {
		return broken(c.Line, "%v", err)
	}
	now := c.now
	if now.IsZero() {
		now = f.now
	}
	if now.IsZero() {
		now = r.began
	}
	r.stage.reset(now, c.seed)
	chain, err := r.build(ctx, &spec)
	if c.refused != nil {
		r.refused(f, c, t, err)
		return t
	}
	if err != nil {
		return broken(c.Line, "the filter does not load: %s", loadText(err))
	}
	if err := seed(r.host.Space(spec.Name), &c.given); err != nil {
		return broken(c.Line, "given: %v", err)
	}
	s := &session{stage: r.stage, chain: chain, spec: spec, seed: c.seed, conns: make(map[uint64]*connection)}
	for i, st := range c.steps {
		if err := ctx.Err(); err != nil {
			return broken(st.line, "event %d (%s): it is not judged any more: %v", i+1, st.what, err)
		}
		if !chain.Handles(st.hook) && (st.hook != router.HookDisconnect || st.expect != nil) {
			return broken(st.line, "event %d (%s): the filter has no hook for it, and would never be asked", i+1, st.what)
		}
		o, err := s.event(st)
		if err != nil {
			return broken(st.line, "event %d (%s): %v", i+1, st.what, err)
		}
		o.failures = compare(f.Path, i+1, st, o, &spec)
		t.Failures = append(t.Failures, o.failures...)
		if !r.options.Enclosed {
			t.Outcomes = append(t.Outcomes, o)
		} else if len(o.failures) > 0 {
			return t
		}
	}
	return t
}

// refused judges a test that says that the filter must not load.
func (r *runner) refused(f *File, c *Case, t *TestResult, err error) {
	fail := func(text string) {
		t.Failures = append(t.Failures, &Failure{File: f.Path, Line: lineOf(c.node, "refused"), Text: text, Broken: err == nil})
	}
	if err == nil {
		fail(fmt.Sprintf("the filter loads, and was to be refused: %q", *c.refused))
		return
	}
	t.Refused = loadText(err)
	if !strings.Contains(t.Refused, *c.refused) {
		fail(fmt.Sprintf("the filter is refused for another reason: %s; want %q", t.Refused, *c.refused))
	}
}

// loadText is why a filter does not load: every reason, a line each.
func loadText(err error) string {
	var lines []string
	for _, e := range loadErrors(err) {
		text := e.Cause
		if e.Remedy != "" {
			text += "; " + e.Remedy
		}
		lines = append(lines, text)
	}
	if lines == nil {
		return err.Error()
	}
	return strings.Join(lines, "\n")
}

// loadErrors finds them in an error of Host.Build.
func loadErrors(err error) (out []*plugins.LoadError) {
	switch e := err.(type) {
	case *plugins.LoadError:
		return []*plugins.LoadError{e}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = append(out, loadErrors(inner)...)
		}
	case interface{ Unwrap() error }:
		return loadErrors(e.Unwrap())
	}
	return out
}

// lineOf is the line of a key of a mapping.
func lineOf(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i].Line
		}
	}
	return n.Line
}
