package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// spread is the least and the greatest value of a figure.
type spread struct{ low, high float64 }

// whole are the runs that figures are taken of: those that were measured to their
// end. One that was interrupted, or refused, has shorter or no figures, with which
// a median would be neither. If there is no other, it counts.
func whole(runs []*Result) []*Result {
	measured := slices.DeleteFunc(slices.Clone(runs), func(r *Result) bool { return r.Seconds == 0 })
	ended := slices.DeleteFunc(slices.Clone(measured), func(r *Result) bool { return r.Interrupted })
	switch {
	case len(ended) > 0:
		return ended
	case len(measured) > 0:
		return measured
	}
	return runs
}

// Median is, of each figure, the median of the whole ones of several runs. What is
// counted when something goes wrong is the sum over all runs instead: a loss in one
// run of three is a loss.
func Median(runs []*Result) (*Result, error) {
	all := runs
	runs = whole(all)
	figures := make([]map[string]float64, len(runs))
	for i, r := range runs {
		figures[i] = make(map[string]float64)
		if err := eachFigure(r, figures[i]); err != nil {
			return nil, err
		}
	}
	last := runs[len(runs)-1]
	tree, err := asTree(last)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"repeat", "lost", "duplicated", "disordered", "misdelivered", "refused", "closed", "slow_closed", "gaps"} {
		delete(tree, name)
	}
	replaceFigures("", tree, func(path string, _ float64) float64 {
		var values []float64
		for _, f := range figures {
			values = append(values, f[path])
		}
		return median(values)
	})
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	m := &Result{order: last.order, cores: last.cores, offered: last.offered}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("the median of the runs: %w", err)
	}
	m.Kind, m.Repeat = "median", len(runs)
	m.sumFaults(all)
	return m, nil
}

func (res *Result) sumFaults(runs []*Result) {
	res.Lost, res.Duplicated, res.Disordered, res.Misdelivered, res.Interrupted = 0, 0, 0, 0, false
	res.Refused, res.Closed, res.SlowClosed, res.Gaps = map[string]int64{}, map[string]int64{}, map[string]int64{}, map[string]int64{}
	res.Reasons = map[string]string{}
	add := func(to, from map[string]int64) {
		for k, n := range from {
			to[k] += n
		}
	}
	for _, r := range runs {
		res.Lost += r.Lost
		res.Duplicated += r.Duplicated
		res.Disordered += r.Disordered
		res.Misdelivered += r.Misdelivered
		res.Interrupted = res.Interrupted || r.Interrupted
		add(res.Refused, r.Refused)
		add(res.Closed, r.Closed)
		add(res.SlowClosed, r.SlowClosed)
		add(res.Gaps, r.Gaps)
		maps.Copy(res.Reasons, r.Reasons)
	}
}

// spreads are the least and greatest values of each figure, by its path in the
// JSON.
func spreads(runs []*Result) map[string]spread {
	all := make(map[string]spread)
	for i, r := range runs {
		one := make(map[string]float64)
		if eachFigure(r, one) != nil {
			continue
		}
		for path, v := range one {
			s, ok := all[path]
			if !ok || i == 0 {
				s = spread{v, v}
			}
			all[path] = spread{min(s.low, v), max(s.high, v)}
		}
	}
	return all
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return round((values[n/2-1]+values[n/2])/2, 4)
}

func asTree(r *Result) (map[string]any, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	return tree, json.Unmarshal(text, &tree)
}

func eachFigure(r *Result, into map[string]float64) error {
	tree, err := asTree(r)
	if err != nil {
		return err
	}
	replaceFigures("", tree, func(path string, v float64) float64 {
		into[path] = v
		return v
	})
	return nil
}

// integers are the figures that are whole numbers in a Result.
var integers = map[string]bool{"published": true, "expected": true, "delivered": true, "compressed": true, "joined": true, "rss_bytes": true}

// replaceFigures gives each number of the tree the value that f returns for its
// path, such as latency_us.p99.
func replaceFigures(prefix string, tree map[string]any, f func(path string, v float64) float64) {
	for name, v := range tree {
		path := prefix + name
		switch v := v.(type) {
		case float64:
			n := f(path, v)
			if integers[name] {
				n = math.Round(n)
			}
			tree[name] = n
		case map[string]any:
			replaceFigures(path+".", v, f)
		}
	}
}
