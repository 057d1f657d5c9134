package main

import "math"

// sweep has the subjects of a scenario as rows of one table: the same load with
// more and more of something, or with one setting after the other.
type sweep struct {
	Of      string     // what the rows differ in
	Amounts []float64  // of it, ascending; none: they are not compared
	Units   []unitCost // what is held to grow near linearly
	Why     string     // the reason where it does not
}

// unitCost is what one more of the amount costs. Of gets a row's amount and
// value, and those of the first row; NaN where the difference says nothing.
type unitCost struct {
	Metric metric
	Name   string
	Unit   string
	Of     func(amount, value, firstAmount, first float64) float64
}

// itself is of metrics that are the cost of one already.
func itself(m metric) unitCost {
	return unitCost{Metric: m, Of: func(_, v, _, _ float64) float64 { return v }}
}

// beyondFirst is what each one more than the first row's costs, from an amount
// on at which that is more than noise.
func beyondFirst(m metric, name, unit string, scale, from float64) unitCost {
	return unitCost{Metric: m, Name: name, Unit: unit, Of: func(amount, v, firstAmount, first float64) float64 {
		if amount < from || amount == firstAmount {
			return math.NaN()
		}
		return (v - first) / (amount - firstAmount) * scale
	}}
}

// costs are those of a unit, row by row.
func (o *outcome) costs(u unitCost) []float64 {
	costs := make([]float64, len(o.Subjects))
	first := spreadOf(u.Metric.values(o.Runs[0])).Median
	for i := range o.Subjects {
		v := spreadOf(u.Metric.values(o.Runs[i])).Median
		costs[i] = u.Of(o.Sweep.Amounts[i], v, o.Sweep.Amounts[0], first)
	}
	return costs
}
