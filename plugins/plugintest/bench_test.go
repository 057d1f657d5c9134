package plugintest_test

import (
	"strings"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/plugins/plugintest"
)

func guest(name string) plugins.Spec {
	return plugins.Spec{Name: name, Plugin: "../testdata/" + name + ".wasm", Time: time.Second}
}

func quick() plugintest.BenchOptions {
	return plugintest.BenchOptions{Duration: 20 * time.Millisecond, Events: 4000, Instances: 8}
}

func TestABenchmarkSaysWhatAnEventCosts(t *testing.T) {
	r, err := plugintest.Bench(t.Context(), guest("count"), plugintest.Defaults(), quick())
	if err != nil {
		t.Fatal(err)
	}
	if r.Mean <= 0 || r.P50 > r.P90 || r.P90 > r.P99 || r.P99 > r.P999 || r.Timed < 64 {
		t.Errorf("the times are %+v", r)
	}
	if r.Verdicts["deny"] != r.Events || r.Growth.Leaks || r.Growth.Events != 4000 || r.Growth.Replacements != 0 {
		t.Errorf("got %+v", r)
	}
	if r.Memory.Instances != 8 || r.Memory.Linear != 128<<10 || r.Memory.PerGiB < 1 {
		t.Errorf("the memory is %+v", r.Memory)
	}
	var out strings.Builder
	if err := r.WriteText(&out); err != nil || !strings.Contains(out.String(), "no leak") {
		t.Errorf("%v:\n%s", err, &out)
	}
}

func TestABenchmarkFindsALeakEvenWhereInstancesAreReplaced(t *testing.T) {
	r, err := plugintest.Bench(t.Context(), guest("leak"), plugintest.Defaults(), quick())
	if err != nil {
		t.Fatal(err)
	}
	if !r.Growth.Leaks || r.Growth.Replacements == 0 || !strings.Contains(r.Growth.String(), "LEAKS about ") {
		t.Errorf("got %+v: %s", r.Growth, r.Growth)
	}
}

func TestABenchmarkCountsFuel(t *testing.T) {
	spec := plugins.Spec{Name: "hello", Plugin: "../../sdk/c/examples/hello/hello.wasm", Config: []byte(`{"word":"spam"}`), Capabilities: []string{"log"}}
	r, err := plugintest.Bench(t.Context(), spec, plugintest.Defaults()[:2], quick())
	if err != nil {
		t.Fatal(err)
	}
	if r.Fuel < 128 || r.FuelMax < 1024 || r.FuelMax < int64(r.Fuel) { // it looks at every byte of 128 and of 1024
		t.Errorf("the fuel is %v on average, at most %d", r.Fuel, r.FuelMax)
	}
}

func TestABenchmarkWithoutAnEventForTheFilterSaysSo(t *testing.T) {
	inputs := plugintest.Defaults()[3:] // no message
	if _, err := plugintest.Bench(t.Context(), guest("noop"), inputs, quick()); err == nil || !strings.Contains(err.Error(), "no hook for any of the events") {
		t.Errorf("the error is %v", err)
	}
}
