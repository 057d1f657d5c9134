package main

import (
	"math"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 || math.IsNaN(a) && math.IsNaN(b) }

func TestASpreadIsTheMedianWithTheLeastAndTheMost(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{9, 1, 5}, spread{5, 1, 9}},
		{[]float64{4, 1, 2, 100}, spread{3, 1, 100}},
		{[]float64{nan, 7, nan, 5}, spread{6, 5, 7}},
		{[]float64{nan}, spread{nan, nan, nan}},
		{nil, spread{nan, nan, nan}},
	} {
		got := spreadOf(c.values)
		if !near(got.Median, c.want.Median) || !near(got.Min, c.want.Min) || !near(got.Max, c.want.Max) {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
	values := []float64{3, 1, 2}
	if spreadOf(values); values[0] != 3 {
		t.Error("the order of rounds is lost")
	}
}

func TestRatiosAreThoseOfARoundSoThatADriftCancelsOut(t *testing.T) {
	// The machine becomes three times slower within the rounds. Medians alone
	// would say 20 / 11.
	ours, theirs := []float64{11, 20, 33}, []float64{10, 20, 30}
	if got := pairwise(ours, theirs, ratio); !near(got.Median, 1.1) || !near(got.Min, 1) || !near(got.Max, 1.1) {
		t.Errorf("ratio %v, want 1.1 between 1 and 1.1", got)
	}
	if got := pairwise(ours, theirs, difference); !near(got.Median, 1) || !near(got.Min, 0) || !near(got.Max, 3) {
		t.Errorf("difference %v, want 1 between 0 and 3", got)
	}
}

func TestARoundWithoutOneOfTwoRunsHasNoRatio(t *testing.T) {
	got := pairwise([]float64{10, math.NaN(), 30}, []float64{10, 1, 10}, ratio)
	if !near(got.Median, 2) || !near(got.Max, 3) {
		t.Errorf("ratio %v, want 2 up to 3", got)
	}
	if got := pairwise([]float64{1, 1}, []float64{0, math.NaN()}, ratio); !math.IsNaN(got.Median) {
		t.Errorf("ratio %v of nothing", got)
	}
	if got := pairwise([]float64{8, 100}, []float64{4}, ratio); !near(got.Max, 2) {
		t.Errorf("ratio %v: a run without a pair counts", got)
	}
}

func TestGrowthIsNearLinearAsLongAsAUnitCostsTheSame(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		costs []float64
		want  string
	}{
		{[]float64{10, 11, 9}, "near linear"},
		{[]float64{10, 14}, "near linear"},
		{[]float64{10, 16}, "more than linear"},
		{[]float64{10, 30, 10}, "more than linear"},
		{[]float64{30, 11, 9}, "less than linear"},
		{[]float64{nan, nan, 5}, "near linear"},
		{[]float64{nan, 2, 8}, "more than linear"},
	} {
		if got := growthVerdict(c.costs); got != c.want {
			t.Errorf("%v: %s, want %s", c.costs, got, c.want)
		}
	}
}

func TestUnitCostsAreThoseBeyondTheFirstRow(t *testing.T) {
	row := func(mib float64) []*Report {
		return []*Report{{Processes: map[string]Process{serverProcess: {RSSBytes: mib * (1 << 20)}}}}
	}
	o := newOutcome(scenario{
		Subjects: []subject{{Name: "1"}, {Name: "1,000"}, {Name: "101"}},
		Sweep:    &sweep{Amounts: []float64{1, 1000, 100_001}},
	})
	o.Runs = [][]*Report{row(20), row(24), row(120)}
	costs := o.costs(beyondFirst(rss, "memory of a room", "B", 1<<20, 10_000))
	if !math.IsNaN(costs[0]) || !math.IsNaN(costs[1]) || !near(costs[2], 100.0/100_000*(1<<20)) {
		t.Errorf("costs %v", costs)
	}
	if costs := o.costs(itself(rss)); !near(costs[1], 24) {
		t.Errorf("costs %v", costs)
	}
}
