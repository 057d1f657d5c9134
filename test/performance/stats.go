package main

import (
	"math"
	"slices"
)

// spread is a median and what it lies between.
type spread struct{ Median, Min, Max float64 }

// spreadOf leaves out what is not a number; of nothing all is NaN.
func spreadOf(values []float64) spread {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(v) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(v)
	return spread{median(v), v[0], v[len(v)-1]}
}

// median is of sorted values.
func median(v []float64) float64 {
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// pairwise combines the runs of two subjects that were neighbours in time, round
// by round: the host's speed drifts, and both had the same.
func pairwise(ours, theirs []float64, f func(ours, theirs float64) float64) spread {
	n := min(len(ours), len(theirs))
	v := make([]float64, n)
	for i := range v {
		v[i] = f(ours[i], theirs[i])
	}
	return spreadOf(v)
}

func ratio(ours, theirs float64) float64 {
	if theirs == 0 {
		return math.NaN()
	}
	return ours / theirs
}

func difference(ours, theirs float64) float64 { return ours - theirs }

// steepest is by how much the cost of a unit rises at most from a smaller amount
// to a larger one, and fall by how much it falls. Amounts ascend.
func steepest(unitCosts []float64) (rise, fall float64) {
	rise, fall = 1, 1
	for i, early := range unitCosts {
		for _, later := range unitCosts[i+1:] {
			if early > 0 && later > 0 {
				rise, fall = max(rise, later/early), max(fall, early/later)
			}
		}
	}
	return rise, fall
}

// growthBound is what the cost of a unit may rise by, from the smallest to the
// largest amount, for the growth to count as near linear.
const growthBound = 1.5

func growthVerdict(unitCosts []float64) string {
	rise, fall := steepest(unitCosts)
	switch {
	case rise > growthBound:
		return "more than linear"
	case fall > growthBound:
		return "less than linear"
	}
	return "near linear"
}
