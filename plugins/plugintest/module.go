package plugintest

import (
	"context"
	"fmt"
	"log/slog"
	"testing/fstest"

	"sluice/plugins"
)

// ModuleOptions say how a module's own fixtures are run. The zero value works.
type ModuleOptions struct {
	CacheDir string       // where compiled modules are kept; "": it is compiled anew
	Memory   int64        // bytes that an instance may have at most; 0: as the fixtures say
	Log      *slog.Logger // what the host has to say; nil: nothing is kept
}

// moduleName is what the module is called in the host that runs its fixtures.
const moduleName = "module"

// RunModule runs the fixtures that a module carries against the module, as a node
// does before it puts it in force. The report is nil if it carries none. Nothing
// outside is reached on behalf of the fixtures: no file, no network; when ctx
// ends, what is left of them fails. file names the module in the report.
func RunModule(ctx context.Context, file string, wasm []byte, o ModuleOptions) (*Report, error) {
	f, err := fixturesOf(file, wasm)
	if f == nil || err != nil {
		return nil, err
	}
	// Without the section it has no defaults either, like any module from a file.
	bare, err := plugins.ReplaceSections(wasm, plugins.CustomSection{Name: plugins.SectionMeta})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	r, err := newRunner(Options{
		Wasm: "builtin:" + moduleName, Memory: o.Memory, Enclosed: true, CacheDir: o.CacheDir, Log: o.Log,
		Builtins: fstest.MapFS{moduleName + "/" + moduleName + ".wasm": &fstest.MapFile{Data: bare}},
	})
	if err != nil {
		return nil, err
	}
	report := &Report{Files: []*FileResult{r.file(ctx, f)}}
	return report, r.close()
}

// Failure says which tests failed and why the first of them did, in one line;
// nil: there were some, and all passed.
func (r *Report) Failure() error {
	if r.OK() {
		return nil
	}
	run, failed := r.Tests()
	for _, f := range r.Files {
		for _, t := range f.Tests {
			if !t.OK() {
				first := t.Failures[0]
				return fmt.Errorf("%d of %d tests fail: %q (line %d): %s", failed, run, t.Name, first.Line, first.Text)
			}
		}
	}
	return fmt.Errorf("no test was run")
}
