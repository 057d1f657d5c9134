package main

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// took is a run in which calibrations and the benchmark took so many nanoseconds.
func took(round int, calibration, benchmark float64) results {
	line := func(name string, ns float64, s suite) result {
		return result{name: name, times: "1", figures: []figure{{ns, "ns/op"}, {16, "B/op"}, {1, "allocs/op"}}, round: round, suite: s}
	}
	return results{line(byCPU, calibration, suite{}), line(bySyscalls, 7, suite{}), line("A/B", benchmark, suite{title: "A", by: byCPU})}
}

func TestASlowerMachineHasTheSameTimes(t *testing.T) {
	was := append(took(0, 100, 30), took(1, 110, 33)...)
	// It is three times slower, and slower yet in the second round.
	measured := append(took(0, 300, 90), took(1, 600, 180)...)
	now, err := scale(measured, medians(was))
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range now.values("A/B", "ns/op") {
		if math.Abs(got-33) > 1e-9 {
			t.Errorf("%v ns, want 33 as in the baseline", got)
		}
	}
	if got := now.values(byCPU, "ns/op"); got[0] != 300 || got[1] != 600 {
		t.Errorf("the calibrations are shown as %v", got)
	}
	if measured.values("A/B", "ns/op")[0] != 90 {
		t.Error("what was measured is changed")
	}
}

func TestTimesWithoutTheirCalibrationAreRefused(t *testing.T) {
	if _, err := scale(took(0, 100, 30), map[string]float64{bySyscalls: 1}); err == nil || !strings.Contains(err.Error(), "--update") {
		t.Errorf("the baseline has no calibration: %v", err)
	}
	if _, err := scale(took(0, 100, 30)[1:], map[string]float64{byCPU: 1}); err == nil {
		t.Error("the round has no calibration")
	}
}

func TestWhatIsWrittenIsReadAsItWas(t *testing.T) {
	written := append(took(0, 100, 30), took(1, 123.456, 1.5e6)...).format()
	read, err := parse(append([]byte("goos: linux\npkg: x\n"), append(written, "PASS\nBenchmarkBroken-2\n"...)...))
	if err != nil || len(read) != 6 {
		t.Fatalf("%v: %v", err, read)
	}
	if again := read.format(); !bytes.Equal(again, written) {
		t.Errorf("%s\nis not\n%s", again, written)
	}
	if _, err := parse([]byte("BenchmarkX-2 1 fast ns/op\n")); err == nil {
		t.Error("a line without a number is taken for a benchmark")
	}
}

func TestMoreAllocationsAreToldAndNothingElseIs(t *testing.T) {
	with := func(calls, size float64) results {
		r := took(0, 100, 30)
		for i := range r {
			r[i].figures = []figure{{1, "ns/op"}, {size, "B/op"}, {calls, "allocs/op"}}
		}
		return r
	}
	for _, c := range []struct {
		calls, size float64
		more        bool
		says        string
	}{
		{1, 1000, false, "1 benchmarks allocate as"},
		{1, 1015, false, "1 benchmarks allocate as"}, // a queue that grew now and then
		{2, 1000, true, "A/B: 2 allocations and 1000 bytes a call, 1 and 1000 in the baseline"},
		{1, 1200, false, "A/B: 1 allocations and 1200 bytes"},
		{0, 0, false, "A/B: 0 allocations"},
	} {
		var out bytes.Buffer
		if more := compareAllocations(with(1, 1000), with(c.calls, c.size), &out); more != c.more || !strings.Contains(out.String(), c.says) {
			t.Errorf("%v allocations of %v bytes: %v, %s", c.calls, c.size, more, &out)
		}
	}
	var out bytes.Buffer
	if more := compareAllocations(with(1, 1)[:2], with(1, 1), &out); more || !strings.Contains(out.String(), "A/B: only in this tree") {
		t.Errorf("of a new benchmark: %v, %s", more, &out)
	}
}

func TestEachLineIsMarked(t *testing.T) {
	var out bytes.Buffer
	p := &prefixed{w: &out}
	for _, part := range []string{"ok ", "\tsluice", "\nFAIL\n", "PASS"} {
		if n, err := p.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := out.String(); got != "bench | ok \tsluice\nbench | FAIL\n" {
		t.Errorf("%q", got)
	}
}

func TestTheBaselineHasEveryChosenSuite(t *testing.T) {
	text, err := os.ReadFile("baseline.txt")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if calibrations := medians(stored); len(calibrations) != 2 {
		t.Errorf("its calibrations are %v", calibrations)
	}
	for _, s := range chosen {
		rounds := 0
		for i := range stored {
			if strings.HasPrefix(stored[i].name, s.title+"/") {
				rounds++
			}
		}
		if rounds < 8 {
			t.Errorf("of %s there are %d lines: store a new baseline with scripts/bench-check --update", s.title, rounds)
		}
	}
}

func TestASuiteIsMeasuredAfterItsCalibration(t *testing.T) {
	t.Chdir("../..")
	var out bytes.Buffer
	got, err := measure(t.Context(), []suite{chosen[0]}, 1, "1x", &out)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].name != byCPU || len(medians(got)) != 2 || len(got.values("Wire/EncodeChat", "allocs/op")) != 1 {
		t.Errorf("%+v", got)
	}
	broken := chosen[0]
	broken.bench = "NoSuchThing"
	if _, err := measure(t.Context(), []suite{broken}, 1, "1x", &out); err == nil || !strings.Contains(err.Error(), "has no benchmark NoSuchThing") {
		t.Errorf("a suite that is not there: %v", err)
	}
}
