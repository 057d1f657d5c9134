package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQuantilesAreWithinOnePercentOfTheTrueOnes(t *testing.T) {
	for name, draw := range map[string]func() int64{
		"small":       func() int64 { return rand.Int64N(1000) },
		"uniform":     func() int64 { return rand.Int64N(50_000_000) },
		"exponential": func() int64 { return int64(rand.ExpFloat64() * 3e6) },
		"wide":        func() int64 { return int64(math.Exp(rand.Float64() * 40)) },
	} {
		var h histogram
		values := make([]int64, 20_000)
		for i := range values {
			values[i] = draw()
			h.add(values[i])
		}
		slices.Sort(values)
		for _, q := range []float64{0.001, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
			want := values[int(math.Ceil(q*float64(len(values))))-1]
			if got := h.quantile(q); math.Abs(float64(got-want)) > 0.01*float64(want) {
				t.Errorf("%s: the %g quantile is %d, not %d", name, q, got, want)
			}
		}
		if h.max != values[len(values)-1] {
			t.Errorf("%s: the greatest is %d, not %d", name, h.max, values[len(values)-1])
		}
	}
}

func TestBucketsCoverEveryTimeAndKeepTheirOrder(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<20; v++ {
		b := bucketOf(v)
		if b != last && b != last+1 {
			t.Fatalf("%d is in bucket %d, the one before in %d", v, b, last)
		}
		if m := middleOf(b); math.Abs(float64(m)-float64(v)) > 0.005*float64(v) {
			t.Fatalf("%d is counted as %d", v, m)
		}
		last = b
	}
	var h histogram
	h.add(math.MaxInt64)
	h.add(-5)
	if h.quantile(1) < math.MaxInt64/100*99 || h.quantile(0) != 0 || h.n != 2 {
		t.Errorf("the extremes are counted as %d and %d", h.quantile(1), h.quantile(0))
	}
}

func TestAnEmptyHistogramHasNoQuantiles(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 || h.mean() != 0 {
		t.Error("it has")
	}
}
