package plugintest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/plugintest"
)

func fuzz(t *testing.T, spec plugins.Spec, o plugintest.FuzzOptions) *plugintest.FuzzReport {
	t.Helper()
	o.Builtins = filters.FS
	r, err := plugintest.Fuzz(t.Context(), spec, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFuzzingFindsATrapAndAFixtureThatShowsIt(t *testing.T) {
	// It traps on contents that begin with t: of JSON, that is true.
	r := fuzz(t, guest("moody"), plugintest.FuzzOptions{Seed: 1, Runs: 4000})
	if len(r.Findings) == 0 || r.Findings[0].Cause != "trap" || r.Findings[0].Hook != "message" {
		t.Fatalf("found %+v", r.Findings)
	}
	fixture := r.Findings[0].Fixture
	if strings.Count(fixture, "raw:") != 1 {
		t.Errorf("it is not as small as it can be:\n%s", fixture)
	}
	path := filepath.Join(t.TempDir(), "found.yaml")
	if err := os.WriteFile(path, []byte(fixture), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := plugintest.Load(path)
	if err != nil {
		t.Fatalf("%v:\n%s", err, fixture)
	}
	report, err := plugintest.Run(t.Context(), []*plugintest.File{f}, plugintest.Options{Wasm: "../testdata/moody.wasm"})
	if err != nil {
		t.Fatal(err)
	}
	if report.OK() || len(report.Files[0].Tests[0].Failures) != 1 || !strings.Contains(report.Files[0].Tests[0].Failures[0].Text, "trap") {
		t.Errorf("the fixture does not show the trap: %+v\n%s", report.Files[0].Tests[0], fixture)
	}
}

func TestFuzzingIsTheSameForTheSameSeed(t *testing.T) {
	a := fuzz(t, guest("moody"), plugintest.FuzzOptions{Seed: 7, Runs: 1000})
	b := fuzz(t, guest("moody"), plugintest.FuzzOptions{Seed: 7, Runs: 1000})
	if len(a.Findings) == 0 || len(a.Findings) != len(b.Findings) || a.Findings[0].Fixture != b.Findings[0].Fixture || a.Runs != b.Runs {
		t.Errorf("the first run found %+v\nthe second %+v", a, b)
	}
}

func TestFuzzingFindsATrapInTheConfiguration(t *testing.T) {
	spec := guest("trap_configure")
	if _, err := plugintest.Fuzz(t.Context(), spec, nil, plugintest.FuzzOptions{Runs: 10}); err == nil || !strings.Contains(err.Error(), "does not load") {
		t.Errorf("the error is %v", err)
	}
}

func TestFuzzingFindsALeak(t *testing.T) {
	r := fuzz(t, guest("leak"), plugintest.FuzzOptions{Seed: 1, Runs: 20})
	if len(r.Findings) == 0 || r.Findings[len(r.Findings)-1].Cause != "leak" {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestFuzzingTheBundledFiltersAndHelloFindsNothing(t *testing.T) {
	for _, spec := range []plugins.Spec{
		{Name: "size", Plugin: "builtin:size", Config: []byte(`{"max_bytes":1000,"max_depth":4,"rooms":[{"match":"chat:*","max_items":3}]}`)},
		{Name: "validate", Plugin: "builtin:validate", Config: []byte(`{"schema":{"type":"object","properties":{"text":{"type":"string","maxLength":20}}}}`)},
		{Name: "hello", Plugin: "../../sdk/c/examples/hello/hello.wasm", Config: []byte(`{"word":"spam"}`), Capabilities: []string{"log"}},
	} {
		t.Run(spec.Name, func(t *testing.T) {
			r := fuzz(t, spec, plugintest.FuzzOptions{Seed: 1, Runs: 2000})
			if !r.OK() || r.Runs < 2000 || r.Refused == 0 || r.Refused == r.Configurations {
				var out strings.Builder
				_ = r.WriteText(&out)
				t.Errorf("%s", out.String())
			}
		})
	}
}
