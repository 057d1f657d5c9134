package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// outcome is what the runs of a scenario reported: by subject, by round. A run
// that failed is nil.
type outcome struct {
	scenario
	Runs  [][]*Report
	Noisy int     // runs that count though other processes used much
	Worst float64 // the most that others used in a run that counts, in percent of a processor
}

func newOutcome(s scenario) *outcome {
	return &outcome{scenario: s, Runs: make([][]*Report, len(s.Subjects))}
}

// add takes a run that counts.
func (o *outcome) add(subject int, r *Report, maxOther float64) {
	o.Runs[subject] = append(o.Runs[subject], r)
	if r == nil {
		return
	}
	o.Worst = max(o.Worst, r.OtherCPUPercent)
	if r.OtherCPUPercent > maxOther {
		o.Noisy++
	}
}

// opponent is the one that is best at m, of those that the scenario is held
// against: its index. It need not be the same for each figure: one that costs
// least may be late.
func (o *outcome) opponent(m metric) int {
	best, at := math.NaN(), -1
	for _, name := range o.Against {
		i := o.index(name)
		if i < 0 {
			continue
		}
		v := spreadOf(m.values(o.Runs[i])).Median
		if math.IsNaN(v) {
			continue
		}
		if at < 0 || m.High && v > best || !m.High && v < best {
			best, at = v, i
		}
	}
	return at
}

// verdicts are the scenario's figures beside their aims.
func (o *outcome) verdicts() (list []verdict) {
	for _, m := range o.Metrics {
		them := o.opponent(m)
		ours := m.values(o.Runs[0])
		compared := verdict{Scenario: o.Key, Metric: m, Kind: o.Kind, Result: spreadOf(nil)}
		if them >= 0 {
			f := ratio
			if o.Kind == asDifference {
				f = difference
			}
			compared.Opponent = o.Subjects[them].Name
			compared.Result = pairwise(ours, m.values(o.Runs[them]), f)
		}
		var values []verdict
		for i := range o.Aims {
			a := &o.Aims[i]
			switch {
			case a.Metric.Name != m.Name:
			case a.Kind == asValue:
				values = append(values, verdict{Scenario: o.Key, Metric: m, Kind: asValue, Result: spreadOf(ours), Aim: a})
			default:
				compared.Aim = a
			}
		}
		list = append(append(list, compared), values...)
	}
	return list
}

// runner runs scenarios.
type runner struct {
	drive    func(context.Context, *subject, *load) (*Report, json.RawMessage, error)
	maxOther float64 // percent of a processor that others may use in a run
	retries  int     // runs that may still be repeated for that
	raw      *json.Encoder
	progress io.Writer
	failures []error // of runs that do not count
}

// errRun is of a run that failed.
var errRun = errors.New("a run failed")

// compare runs each subject once a round, in turn, and every other round in the
// opposite order, so that a drift of the machine's speed favours nobody.
func (b *runner) compare(ctx context.Context, s scenario, rounds int) (*outcome, error) {
	o := newOutcome(s)
	if s.Rounds > 0 {
		rounds = min(rounds, s.Rounds)
	}
	fmt.Fprintf(b.progress, "%s\n", s.Title)
	for round := range rounds {
		for i := range s.Subjects {
			if round%2 == 1 {
				i = len(s.Subjects) - 1 - i
			}
			r, err := b.run(ctx, &s, i, round)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				b.failures = append(b.failures, err)
				fmt.Fprintf(b.progress, "  %v\n", err)
			}
			o.add(i, r, b.maxOther)
		}
	}
	return o, nil
}

// run has one run that counts: of those that others disturbed, the quietest. It
// repeats a disturbed run as long as there are retries left. A run that failed
// is not repeated: that would hide what the server lost.
func (b *runner) run(ctx context.Context, s *scenario, subject, round int) (*Report, error) {
	sub := &s.Subjects[subject]
	var best *Report
	for {
		fmt.Fprintf(b.progress, "  round %d: %s", round+1, sub)
		r, raw, err := b.drive(ctx, sub, s.load(subject))
		if err != nil {
			fmt.Fprintln(b.progress)
			return nil, fmt.Errorf("%w: %s, %s: %w", errRun, s.Key, sub, err)
		}
		r.raw = raw
		fmt.Fprintf(b.progress, ": %s %s\n", s.Metrics[0].Name, s.Metrics[0].text(spreadOf(s.Metrics[0].values([]*Report{r}))))
		if best == nil || r.OtherCPUPercent < best.OtherCPUPercent {
			best = r
		}
		if best.OtherCPUPercent <= b.maxOther || b.retries == 0 {
			return best, b.record(s, sub, round, best)
		}
		fmt.Fprintf(b.progress, "  other processes used %.0f %% of a processor: once more\n", r.OtherCPUPercent)
		b.retries--
	}
}

// record is a line of the raw results.
type record struct {
	Scenario string          `json:"scenario"`
	Subject  string          `json:"subject"`
	Round    int             `json:"round"`
	Report   json.RawMessage `json:"report"`
}

func (b *runner) record(s *scenario, sub *subject, round int, r *Report) error {
	if b.raw == nil {
		return nil
	}
	return b.raw.Encode(record{s.Key, sub.Name, round, r.raw})
}

// replay makes the outcomes of raw results.
func replay(in io.Reader, known []scenario, maxOther float64) ([]*outcome, error) {
	var outcomes []*outcome
	dec := json.NewDecoder(in)
	for n := 1; ; n++ {
		var line record
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return outcomes, nil
		} else if err != nil {
			return nil, fmt.Errorf("raw result %d: %w", n, err)
		}
		if line.Report == nil {
			continue // what ran where
		}
		r, _, err := parseReport(line.Report)
		if err == nil {
			err = r.check()
		}
		if err != nil {
			return nil, fmt.Errorf("raw result %d: %w", n, err)
		}
		o, err := outcomeOf(&outcomes, known, line.Scenario)
		if err != nil {
			return nil, fmt.Errorf("raw result %d: %w", n, err)
		}
		i := o.index(line.Subject)
		if i < 0 {
			return nil, fmt.Errorf("raw result %d: scenario %s has no subject %q", n, line.Scenario, line.Subject)
		}
		for len(o.Runs[i]) < line.Round { // rounds that failed
			o.add(i, nil, maxOther)
		}
		o.add(i, r, maxOther)
	}
}

func outcomeOf(outcomes *[]*outcome, known []scenario, key string) (*outcome, error) {
	for _, o := range *outcomes {
		if o.Key == key {
			return o, nil
		}
	}
	i := slices.IndexFunc(known, func(s scenario) bool { return s.Key == key })
	if i < 0 {
		return nil, fmt.Errorf("there is no scenario %q", key)
	}
	o := newOutcome(known[i])
	*outcomes = append(*outcomes, o)
	return o, nil
}
