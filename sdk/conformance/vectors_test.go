package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/plugins/plugintest"
)

// languages are the SDKs, and WAT, with how their examples are found. A guest
// that is missing fails the tests that need it: it is built by the command in the
// README of its SDK, and committed, but for Go's, which is built here.
var languages = []struct {
	name         string
	hello, probe func(tb testing.TB) string // nil: it has none
	noop         func(tb testing.TB) string
}{
	{"C", committed("../c/examples/hello/hello.wasm"), committed("testdata/probe.wasm"), committed("../c/examples/noop/noop.wasm")},
	{"Go", builtHere("../go/examples/hello"), builtHere("testdata/probe_go"), builtHere("../go/examples/noop")},
	{"Rust", example("rust", "hello"), example("rust", "probe"), example("rust", "noop")},
	{"AssemblyScript", example("assemblyscript", "hello"), example("assemblyscript", "probe"), example("assemblyscript", "noop")},
	{"Zig", example("zig", "hello"), example("zig", "probe"), example("zig", "noop")},
	{"WAT", example("wat", "hello"), nil, example("wat", "noop")},
}

func example(language, name string) func(tb testing.TB) string {
	return committed("../" + language + "/examples/" + name + "/" + name + ".wasm")
}

func committed(path string) func(tb testing.TB) string {
	return func(tb testing.TB) string {
		tb.Helper()
		if _, err := os.Stat(path); err != nil {
			tb.Fatalf("a guest is missing: %v; build it as the README of its SDK says", err)
		}
		return path
	}
}

func builtHere(folder string) func(tb testing.TB) string {
	return func(tb testing.TB) string {
		tb.Helper()
		return goGuest(tb, folder)
	}
}

func vectors(tb testing.TB, name string) *plugintest.File {
	tb.Helper()
	f, err := plugintest.Load(filepath.Join("vectors", name))
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// hold holds a guest against vectors, and returns what it answered.
func hold(t *testing.T, wasm, name string) *plugintest.Report {
	t.Helper()
	r, err := plugintest.Run(t.Context(), []*plugintest.File{vectors(t, name)}, plugintest.Options{
		Wasm: wasm, CacheDir: filepath.Join(shared, "cache"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() {
		var text strings.Builder
		if err := r.WriteText(&text, false); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s", &text)
	}
	return r
}

func TestTheSixHelloFiltersGiveIdenticalResultsOnAllVectors(t *testing.T) {
	if len(languages) != 6 {
		t.Fatalf("there are %d languages, want 6", len(languages))
	}
	first, firstName := "", ""
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			wasm := l.hello(t)
			plain := withoutSchema(t, wasm)
			answers := transcript(hold(t, wasm, "hello.yaml"), false) + transcript(hold(t, plain, "hello.yaml"), true) +
				transcript(hold(t, plain, "refusals.yaml"), true)
			if strings.Count(answers, "\n") < 100 {
				t.Fatalf("there are only %d answers", strings.Count(answers, "\n"))
			}
			if first == "" {
				first, firstName = answers, l.name
			}
			if answers != first {
				t.Errorf("it answers otherwise than the one in %s:\n%s", firstName, firstDifference(first, answers))
			}
		})
	}
}

// transcript is everything that can be observed of a guest's answers but how
// much work they were. What a schema says of a configuration is its own matter.
func transcript(r *plugintest.Report, refusals bool) string {
	var out strings.Builder
	for _, f := range r.Files {
		for _, test := range f.Tests {
			for i, o := range test.Outcomes {
				fmt.Fprintf(&out, "%s %d: %s %s %d %q retry %d room %q payload %q state %x version %d log %q\n", test.Name, i+1,
					o.Verdict, o.Failure, o.Code, o.Reason, o.RetryMS, o.Room, o.Payload, o.State, o.Version, o.Log)
			}
			if refusals && test.Refused != "" {
				fmt.Fprintf(&out, "%s: %s\n", test.Name, test.Refused)
			}
		}
	}
	return out.String()
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i][:min(len(x[i]), 2000)] + "\n" + y[i][:min(len(y[i]), 2000)]
		}
	}
	return "one has more answers than the other"
}

// withoutSchema is a copy of a module without its custom section sluice.schema:
// the filter itself is then asked about every configuration.
func withoutSchema(t *testing.T, path string) string {
	t.Helper()
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := plugintest.Custom(wasm, "sluice.schema")
	if err != nil {
		t.Fatal(err)
	}
	if schema != nil {
		// Renamed, it says nothing to the host.
		if bytes.Count(wasm, []byte("\x0dsluice.schema")) != 1 {
			t.Fatalf("%s: its section is not found", path)
		}
		wasm = bytes.Replace(wasm, []byte("\x0dsluice.schema"), []byte("\x0dsluice.hidden"), 1)
	}
	copied := filepath.Join(t.TempDir(), "hello.wasm")
	if err := os.WriteFile(copied, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

func TestHelloInCPlusPlusPassesTheVectorsAsWell(t *testing.T) {
	wasm := committed("../c/examples/hello_cpp/hello_cpp.wasm")(t)
	hold(t, wasm, "hello.yaml")
	hold(t, withoutSchema(t, wasm), "refusals.yaml")
}

func TestEverySDKPassesTheVectorsOfTheProbe(t *testing.T) {
	for _, l := range languages {
		if l.probe == nil {
			continue
		}
		t.Run(l.name, func(t *testing.T) { hold(t, l.probe(t), "probe.yaml") })
	}
}

func TestTheVectorsOfFailuresHold(t *testing.T) {
	hold(t, "", "failures.yaml")
}

func TestAGuestThatAnswersOtherwiseFailsTheVectors(t *testing.T) {
	f := vectors(t, "hello.yaml")
	r, err := plugintest.Run(t.Context(), []*plugintest.File{f}, plugintest.Options{Wasm: committed("testdata/probe.wasm")(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, failed := r.Tests(); failed != len(f.Tests) {
		t.Errorf("%d of %d tests fail for another filter", failed, len(f.Tests))
	}
}

func TestFuzzingHelloFindsNothingInAnyLanguage(t *testing.T) {
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) { fuzz(t, l.hello(t), "hello.yaml") })
	}
}

// fuzz judges events near those of the vectors.
func fuzz(t *testing.T, wasm, name string) {
	t.Helper()
	spec, seeds, err := plugintest.Inputs([]*plugintest.File{vectors(t, name)}, plugintest.Options{Wasm: wasm})
	if err != nil {
		t.Fatal(err)
	}
	spec.Time = 900 * time.Millisecond // a busy machine is no fault of the filter
	r, err := plugintest.Fuzz(t.Context(), spec, seeds, plugintest.FuzzOptions{Seed: 1, Runs: 200, CacheDir: filepath.Join(shared, "cache")})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Runs < 200 {
		var text strings.Builder
		if err := r.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s", &text)
	}
}
