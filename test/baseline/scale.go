package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// result is one line of a benchmark.
type result struct {
	name    string // without "Benchmark" and the number of threads
	times   string // of the loop
	figures []figure
	round   int
	suite   suite // unset of those that were read from a file
}

// figure is a value in its unit.
type figure struct {
	value float64
	unit  string
}

type results []result

// parse reads the lines of benchmarks in a text; others are skipped.
func parse(text []byte) (all results, err error) {
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "Benchmark")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 4 || len(fields)%2 != 0 {
			continue
		}
		r := result{name: fields[0], times: fields[1]}
		if at := strings.LastIndexByte(r.name, '-'); at > 0 {
			r.name = r.name[:at]
		}
		for i := 2; i < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q is no line of a benchmark: %w", strings.TrimSpace(line), err)
			}
			r.figures = append(r.figures, figure{value, fields[i+1]})
		}
		all = append(all, r)
	}
	return all, nil
}

// keep leaves out figures that say nothing, or the same as another.
func (r *result) keep(s suite) {
	r.figures = slices.DeleteFunc(r.figures, func(f figure) bool {
		if s.ratios {
			return f.unit != "geomean-ratio"
		}
		if s.grows {
			return f.unit != "ns/op"
		}
		return f.unit != "ns/op" && f.unit != "B/op" && f.unit != "allocs/op"
	})
}

// of is the figure in the unit.
func (r *result) of(unit string) (float64, bool) {
	for _, f := range r.figures {
		if f.unit == unit {
			return f.value, true
		}
	}
	return 0, false
}

// medians are the calibrations of a run.
func medians(all results) map[string]float64 {
	out := make(map[string]float64)
	for _, name := range []string{byCPU, bySyscalls} {
		if values := all.values(name, "ns/op"); len(values) > 0 {
			slices.Sort(values)
			out[name] = values[len(values)/2]
		}
	}
	return out
}

// values are a benchmark's figures in the unit, of all rounds.
func (all results) values(name, unit string) (values []float64) {
	for i := range all {
		if all[i].name != name {
			continue
		}
		if v, ok := all[i].of(unit); ok {
			values = append(values, v)
		}
	}
	return values
}

// scale turns the times of each round into what they would have been if its calibration
// had been as those of to. The calibrations themselves stay.
func scale(all results, to map[string]float64) (results, error) {
	type key struct {
		round int
		name  string
	}
	had := make(map[key]float64)
	for i := range all {
		if v, ok := all[i].of("ns/op"); ok && strings.HasPrefix(all[i].name, "Calibrate/") {
			had[key{all[i].round, all[i].name}] = v
		}
	}
	out := make(results, len(all))
	for i, r := range all {
		r.figures = slices.Clone(r.figures)
		if by := r.suite.by; by != "" {
			is, want := had[key{r.round, by}], to[by]
			if is <= 0 || want <= 0 {
				return nil, fmt.Errorf("%s goes by %s, which was not measured, or is not in the baseline; store a new one with scripts/bench-check --update", r.name, by)
			}
			for k := range r.figures {
				if r.figures[k].unit == "ns/op" {
					r.figures[k].value *= want / is
				}
			}
		}
		out[i] = r
	}
	return out, nil
}

// format writes the results as go test does, so that benchstat reads them.
func (all results) format() []byte {
	var b bytes.Buffer
	for _, r := range all {
		fmt.Fprintf(&b, "Benchmark%s-2 %s", r.name, r.times)
		for _, f := range r.figures {
			fmt.Fprintf(&b, " %s %s", strconv.FormatFloat(f.value, 'g', 6, 64), f.unit)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
