package main

import (
	"fmt"
	"math"
)

// kind is what an aim is about.
type kind int

const (
	asRatio      kind = iota // ours by theirs, pair by pair
	asDifference             // ours less theirs, pair by pair
	asValue                  // ours alone
)

// aim is what one figure should be.
type aim struct {
	Metric metric
	Kind   kind
	Bound  float64 // at most; of a metric of which more is better, at least
}

// holds says whether the aim is met. NaN meets none.
func (a aim) holds(v float64) bool {
	if a.Metric.High && a.Kind != asValue {
		return v >= a.Bound
	}
	return v <= a.Bound
}

func (a aim) String() string {
	sign := "≤"
	if a.Metric.High && a.Kind != asValue {
		sign = "≥"
	}
	switch a.Kind {
	case asDifference:
		return fmt.Sprintf("%s +%s %s", sign, number(a.Bound), a.Metric.Unit)
	case asValue:
		return fmt.Sprintf("%s %s %s", sign, number(a.Bound), a.Metric.Unit)
	}
	return fmt.Sprintf("%s %.2f×", sign, a.Bound)
}

// verdict is what a scenario says about one of its figures.
type verdict struct {
	Scenario string
	Metric   metric
	Kind     kind
	Opponent string // whom it is compared with; "": nobody
	Result   spread // of Kind
	Aim      *aim
}

// met is whether the aim is, as it is printed.
func (v verdict) met() string {
	switch {
	case v.Aim == nil:
		return ""
	case math.IsNaN(v.Result.Median):
		return "not measured"
	case v.Aim.holds(v.Result.Median):
		return "met"
	}
	return "missed"
}

// text is the result, as it is printed.
func (v verdict) text() string {
	if math.IsNaN(v.Result.Median) {
		return "–"
	}
	switch v.Kind {
	case asValue:
		return v.Metric.text(v.Result)
	case asDifference:
		return fmt.Sprintf("%s %s (%s to %s) over %s", signed(v.Result.Median), v.Metric.Unit, signed(v.Result.Min), signed(v.Result.Max), v.Opponent)
	}
	out := fmt.Sprintf("%.2f×", v.Result.Median)
	if v.Result.Min != v.Result.Max {
		out += fmt.Sprintf(" (%.2f–%.2f)", v.Result.Min, v.Result.Max)
	}
	return out + " of " + v.Opponent
}

func signed(v float64) string {
	if v >= 0 {
		return "+" + number(v)
	}
	return number(v)
}
