package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"sluice/plugins/plugintest"
)

// chosen are fixtures, and what they are run with: the flags and arguments that
// test, bench and fuzz share.
type chosen struct {
	plugin string // --plugin
	match  string // --run
}

func (c *chosen) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.plugin, "plugin", "", "the .wasm to run instead of the one that the fixtures name, or builtin:NAME")
	cmd.Flags().StringVar(&c.match, "run", "", "only tests whose name this regular expression matches")
}

func (t *tool) testCommand() *cobra.Command {
	var c chosen
	var update, verbose bool
	var junit string
	cmd := &cobra.Command{
		Use:   "test [FILE|DIR...]",
		Short: "Run fixtures against the .wasm",
		Long: "Runs tables of events and of what is to become of them against the module as it ships.\n" +
			"Without arguments: the fixtures that plugin.yaml names, or else those that the module carries.\n" +
			"Exit code: 0 all passed, 1 a test failed, 2 nothing could be run.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.test(cmd.Context(), c, args, testOutput{update, verbose, junit})
		},
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&update, "update", false, "rewrite what the fixtures expect to what happens")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "name the tests that pass, too")
	cmd.Flags().StringVar(&junit, "junit", "", "write the results to this file, as JUnit XML")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &ExitError{exitUsage, err} })
	return cmd
}

type testOutput struct {
	update, verbose bool
	junit           string // a file; "": none
}

// test runs fixtures and tells of them.
func (t *tool) test(ctx context.Context, c chosen, args []string, o testOutput) error {
	groups, err := t.fixtures(c, args)
	if err != nil {
		return &ExitError{exitUsage, err}
	}
	report := &plugintest.Report{}
	for _, g := range groups {
		g.options.Update = o.update
		one, err := plugintest.Run(ctx, g.files, g.options)
		if err != nil {
			return &ExitError{exitUsage, err}
		}
		report.Files = append(report.Files, one.Files...)
	}
	if err := report.WriteText(t.Stdout, o.verbose); err != nil {
		return &ExitError{exitUsage, err}
	}
	if o.junit != "" {
		if err := writeJUnit(o.junit, report); err != nil {
			return &ExitError{exitUsage, err}
		}
	}
	if run, _ := report.Tests(); run == 0 {
		return &ExitError{exitUsage, errors.New("no test was run: check --run, and that the fixtures have tests")}
	}
	if !report.OK() {
		return &ExitError{exitFailed, nil}
	}
	return nil
}

func writeJUnit(path string, report *plugintest.Report) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteJUnit(f), f.Close())
}

// group is fixtures that are run with the same options: those of one project,
// or files that stand alone.
type group struct {
	files   []*plugintest.File
	options plugintest.Options
}

// fixtures loads what the arguments name.
func (t *tool) fixtures(c chosen, args []string) ([]group, error) {
	base := plugintest.Options{Wasm: c.plugin, Builtins: t.Builtins}
	if c.match != "" {
		match, err := regexp.Compile(c.match)
		if err != nil {
			return nil, fmt.Errorf("--run: %w", err)
		}
		base.Match = match
	}
	if dir, _, err := cacheDir("filters"); err == nil {
		base.CacheDir = dir
	}
	var groups []group
	for _, arg := range folders(args) {
		g, err := t.fixturesOf(arg, base, len(args) == 0)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// fixturesOf loads the fixtures of one argument: a file, a module that carries
// its own, a project, or a folder of files.
func (t *tool) fixturesOf(arg string, base plugintest.Options, implied bool) (group, error) {
	info, err := os.Stat(arg)
	if err != nil {
		return group{}, err
	}
	switch {
	case filepath.Ext(arg) == ".wasm" && !info.IsDir():
		return carriedFixtures(arg, base)
	case !info.IsDir():
		g := group{options: base}
		// A file of a project is run as the project's would be.
		if p, err := openProject(projectOf(arg)); err == nil {
			g.options = p.testOptions(base)
		}
		return g, g.load([]string{arg})
	}
	if _, err := os.Stat(filepath.Join(arg, manifestName)); err == nil {
		p, err := openProject(arg)
		if err != nil {
			return group{}, err
		}
		return p.fixtures(base)
	}
	files := fixtureFiles(arg)
	if implied && base.Wasm != "" && len(files) == 0 {
		return carriedFixtures(base.Wasm, base)
	}
	if len(files) == 0 {
		return group{}, fmt.Errorf("%s has neither %s nor fixtures (*.yaml, tests/*.yaml): name a file of fixtures", arg, manifestName)
	}
	g := group{options: base}
	return g, g.load(files)
}

func fixtureFiles(dir string) (files []string) {
	for _, pattern := range []string{"*.yaml", "*.yml", "tests/*.yaml", "tests/*.yml"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		files = append(files, found...)
	}
	return files
}

// projectOf is the folder of the project that a file may belong to.
func projectOf(file string) string {
	dir := filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
		return dir
	}
	return filepath.Dir(dir)
}

func (g *group) load(paths []string) error {
	for _, path := range paths {
		f, err := plugintest.Load(path)
		if err != nil {
			return err
		}
		g.files = append(g.files, f)
	}
	return nil
}

// errNoFixtures is about a module that carries none.
var errNoFixtures = errors.New("carries no fixtures")

func carriedFixtures(wasm string, base plugintest.Options) (group, error) {
	f, err := plugintest.LoadModule(wasm)
	if err != nil {
		return group{}, err
	}
	if f == nil {
		return group{}, fmt.Errorf("%s %w: name a file of them, and the module by --plugin", wasm, errNoFixtures)
	}
	if base.Wasm == "" {
		base.Wasm = wasm
	}
	return group{[]*plugintest.File{f}, base}, nil
}

// fixtures are those of the project, or else those that its module carries.
func (p *project) fixtures(base plugintest.Options) (group, error) {
	g := group{options: p.testOptions(base)}
	if len(p.Fixtures) == 0 {
		return carriedFixtures(g.options.Wasm, g.options)
	}
	var paths []string
	for _, f := range p.Fixtures {
		paths = append(paths, p.path(f))
	}
	if _, err := os.Stat(g.options.Wasm); err != nil && !strings.HasPrefix(g.options.Wasm, "builtin:") {
		return group{}, fmt.Errorf("%s is not there: build it first: sluice plugin build %s", g.options.Wasm, p.Dir)
	}
	return g, g.load(paths)
}

// testOptions are the options for the project's module and its filter's entry.
func (p *project) testOptions(base plugintest.Options) plugintest.Options {
	if base.Wasm == "" {
		base.Wasm = p.path(p.Wasm)
	}
	base.Filter, base.Dir = p.filter(), p.Dir
	return base
}

// filter are the keys of the filter's entry; nil: none.
func (p *project) filter() *yaml.Node {
	if p.Filter.Kind == 0 {
		return nil
	}
	return &p.Filter
}
