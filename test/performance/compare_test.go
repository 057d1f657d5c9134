package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// made is a report of a server that used so much, while others used so much.
func made(perDelivery, others float64) *Report {
	return &Report{
		Kind: "run", Scenario: "fanout", Delivered: 1000, DeliveriesPerSecond: 1e6 / perDelivery, OtherCPUPercent: others,
		Latency:   Latency{P50: 10 * perDelivery, P99: 100 * perDelivery},
		Processes: map[string]Process{serverProcess: {CPUSeconds: 1, CPUMicrosPerDelivery: perDelivery}},
	}
}

func sample() scenario {
	f := floors("inline", "shard")
	return scenario{
		Key: "fanout", Title: "Fan-out",
		Subjects: append([]subject{{Name: withPolicy}}, f...), Against: names(f),
		Metrics: []metric{cpuPerDelivery, deliveries, rssPerConnection},
		Aims:    []aim{{Metric: cpuPerDelivery, Bound: 1.10}, {Metric: deliveries, Bound: 0.9}},
	}
}

// scripted answers runs with reports, and keeps who ran.
type scripted struct {
	ran   []string
	reply func(n int, sub *subject) (*Report, error)
}

func (s *scripted) drive(_ context.Context, sub *subject, _ *load) (*Report, json.RawMessage, error) {
	r, err := s.reply(len(s.ran), sub)
	s.ran = append(s.ran, sub.Name)
	if err != nil {
		return r, nil, err
	}
	raw, _ := json.Marshal(r)
	return r, raw, nil
}

func TestSubjectsRunInTurnAndInTheOppositeOrderEveryOtherRound(t *testing.T) {
	s := &scripted{reply: func(int, *subject) (*Report, error) { return made(1, 0), nil }}
	b := &runner{drive: s.drive, progress: io.Discard}
	if _, err := b.compare(t.Context(), sample(), 3); err != nil {
		t.Fatal(err)
	}
	want := []string{"Sluice", "floor, inline", "floor, shard", "floor, shard", "floor, inline", "Sluice", "Sluice", "floor, inline", "floor, shard"}
	if !slices.Equal(s.ran, want) {
		t.Errorf("ran %v, want %v", s.ran, want)
	}
}

func TestADisturbedRunIsRepeatedASetNumberOfTimesAndTheQuietestCounts(t *testing.T) {
	others := []float64{90, 40, 60, 80, 0, 0, 0}
	s := &scripted{reply: func(n int, _ *subject) (*Report, error) { return made(float64(n+1), others[n]), nil }}
	b := &runner{drive: s.drive, progress: io.Discard, maxOther: 25, retries: 2}
	o, err := b.compare(t.Context(), sample(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Sluice", "Sluice", "Sluice", "floor, inline", "floor, shard"}; !slices.Equal(s.ran, want) {
		t.Fatalf("ran %v, want %v", s.ran, want)
	}
	if got := cpuPerDelivery.Of(o.Runs[0][0]); got != 2 {
		t.Errorf("run %v counts, want the second, the quietest", got)
	}
	if o.Noisy != 2 || o.Worst != 80 {
		t.Errorf("%d runs disturbed by up to %v %%, want 2 by 80", o.Noisy, o.Worst)
	}
	var out strings.Builder
	if o.write(&out); !strings.Contains(out.String(), "in 2 of 3 runs other processes used much of the machine, up to 80 %") {
		t.Errorf("the reader is not told:\n%s", &out)
	}
}

func TestARunWithLossIsAnErrorIsNotRepeatedAndCountsInNoRatio(t *testing.T) {
	loss := fmt.Errorf("%w: 3 messages lost", errUnsound)
	s := &scripted{reply: func(n int, sub *subject) (*Report, error) {
		switch {
		case n == 0:
			return made(100, 0), loss
		case sub.Floor == "":
			return made(10.5, 0), nil
		}
		return made(10, 0), nil
	}}
	b := &runner{drive: s.drive, progress: io.Discard, maxOther: 25, retries: 5}
	o, err := b.compare(t.Context(), sample(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.ran) != 6 {
		t.Errorf("ran %v: a loss was tried away", s.ran)
	}
	if len(b.failures) != 1 || !errors.Is(b.failures[0], errUnsound) || !strings.Contains(b.failures[0].Error(), "fanout, Sluice") {
		t.Errorf("failures %v", b.failures)
	}
	if v := o.verdicts()[0]; !near(v.Result.Median, 1.05) || !near(v.Result.Max, 1.05) {
		t.Errorf("ratio %v, want 1.05 of the round that counts", v.Result)
	}
}

func TestAnInterruptionEndsTheComparison(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &scripted{reply: func(n int, _ *subject) (*Report, error) {
		if n == 1 {
			cancel()
			return nil, ctx.Err()
		}
		return made(1, 0), nil
	}}
	b := &runner{drive: s.drive, progress: io.Discard}
	if _, err := b.compare(ctx, sample(), 3); !errors.Is(err, context.Canceled) || len(s.ran) != 2 {
		t.Errorf("%v after %v", err, s.ran)
	}
}

func ran(perDelivery ...float64) (runs []*Report) {
	for _, v := range perDelivery {
		runs = append(runs, made(v, 0))
	}
	return runs
}

func TestAimsAreHeldAgainstTheBestOfTheFloors(t *testing.T) {
	o := newOutcome(sample())
	o.Runs = [][]*Report{ran(9, 11, 12), ran(20, 20, 20), ran(9, 10, 10)}
	v := o.verdicts()
	if v[0].Opponent != "floor, shard" || !near(v[0].Result.Median, 1.1) || v[0].met() != "met" {
		t.Errorf("%+v: %s", v[0], v[0].met())
	}
	if !near(v[1].Result.Median, 1/1.1) || v[1].met() != "met" { // more is better
		t.Errorf("%+v: %s", v[1], v[1].met())
	}
	if v[2].Aim != nil || v[2].met() != "" || v[2].text() != "–" { // not measured, and no aim
		t.Errorf("%+v: %s", v[2], v[2].met())
	}
	o.Runs[0] = ran(9, 11.2, 12)
	if v := o.verdicts(); v[0].met() != "missed" {
		t.Errorf("%+v: %s", v[0], v[0].met())
	}
	o.Runs[0] = nil
	if v := o.verdicts(); v[0].met() != "not measured" {
		t.Errorf("%+v: %s", v[0], v[0].met())
	}
}

func TestEachFigureIsHeldAgainstTheFloorThatIsBestAtIt(t *testing.T) {
	s := sample()
	s.Metrics = []metric{cpuPerDelivery, p99}
	cheap, prompt := made(10, 0), made(20, 0)
	cheap.Latency.P99, prompt.Latency.P99 = 9000, 1000
	o := newOutcome(s)
	o.Runs = [][]*Report{ran(11), {cheap}, {prompt}}
	v := o.verdicts()
	if v[0].Opponent != "floor, inline" || !near(v[0].Result.Median, 1.1) || v[1].Opponent != "floor, shard" || !near(v[1].Result.Median, 1.1) {
		t.Errorf("%+v", v)
	}
}

func TestTheBestIsTheHighestWhereMoreIsBetter(t *testing.T) {
	s := sample()
	s.Metrics = []metric{deliveries}
	o := newOutcome(s)
	o.Runs = [][]*Report{ran(10), ran(8), ran(20)}
	if v := o.verdicts()[0]; v.Opponent != "floor, inline" || v.met() != "missed" {
		t.Errorf("%+v: %s", v, v.met())
	}
}

func TestAnAimHoldsUpToItsBound(t *testing.T) {
	for _, c := range []struct {
		aim  aim
		v    float64
		want bool
		text string
	}{
		{aim{Metric: cpuPerDelivery, Bound: 1.1}, 1.1, true, "≤ 1.10×"},
		{aim{Metric: cpuPerDelivery, Bound: 1.1}, 1.11, false, "≤ 1.10×"},
		{aim{Metric: deliveries, Bound: 0.9}, 0.9, true, "≥ 0.90×"},
		{aim{Metric: deliveries, Bound: 0.9}, 0.89, false, "≥ 0.90×"},
		{aim{Metric: cpuPerPublish, Kind: asDifference, Bound: 3}, -1, true, "≤ +3.00 µs"},
		{aim{Metric: cpuPerPublish, Kind: asDifference, Bound: 3}, 3.1, false, "≤ +3.00 µs"},
		{aim{Metric: rssPerConnection, Kind: asValue, Bound: 12}, 12.1, false, "≤ 12.0 KiB"},
		{aim{Metric: cpuPerDelivery, Bound: 1.1}, math.NaN(), false, "≤ 1.10×"},
	} {
		if got := c.aim.holds(c.v); got != c.want || c.aim.String() != c.text {
			t.Errorf("%v: %v is %v, want %v and %s", c.aim, c.v, got, c.want, c.text)
		}
	}
}

func TestRawResultsSayTheSameAgain(t *testing.T) {
	values := map[string]float64{"Sluice": 10, "floor, inline": 9, "floor, shard": 12}
	s := &scripted{reply: func(n int, sub *subject) (*Report, error) {
		if n == 1 { // the first round of a floor is missing
			return nil, errors.New("no")
		}
		return made(values[sub.Name]+float64(n)/10, 0), nil
	}}
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	if err := enc.Encode(head{Machine: machine{Go: "go"}}); err != nil {
		t.Fatal(err)
	}
	b := &runner{drive: s.drive, progress: io.Discard, raw: enc}
	o, err := b.compare(t.Context(), sample(), 3)
	if err != nil {
		t.Fatal(err)
	}
	again, err := replay(&raw, []scenario{sample()}, 25)
	if err != nil || len(again) != 1 {
		t.Fatalf("%d scenarios, %v", len(again), err)
	}
	var want, got strings.Builder
	o.write(&want)
	again[0].write(&got)
	if want.String() != got.String() {
		t.Errorf("first:\n%s\nagain:\n%s", &want, &got)
	}
	for name, bad := range map[string]string{
		"scenario": `{"scenario":"x","subject":"Sluice","report":{"kind":"run"}}`,
		"subject":  `{"scenario":"fanout","subject":"x","report":{"kind":"run"}}`,
		"loss":     `{"scenario":"fanout","subject":"Sluice","report":{"kind":"run","lost":1}}`,
		"JSON":     `{"scenario"`,
	} {
		if _, err := replay(strings.NewReader(bad), []scenario{sample()}, 25); err == nil {
			t.Errorf("a wrong %s is accepted", name)
		}
	}
}

func TestTheChartIsAnSVGWithTheRatiosToTheFloorForLightAndDark(t *testing.T) {
	o := newOutcome(sample())
	o.Runs = [][]*Report{ran(11, 12), ran(10, 10), ran(20, 20)}
	other := newOutcome(scenario{Key: "policy", Kind: asDifference, Subjects: []subject{{Name: "a"}, {Name: "b"}}, Against: []string{"b"},
		Metrics: []metric{cpuPerDelivery}, Aims: []aim{{Metric: cpuPerDelivery, Kind: asDifference, Bound: 3}}})
	other.Runs = [][]*Report{ran(1), ran(1)}
	list := bars([]*outcome{o, other})
	if len(list) != 2 || !near(list[0].Result.Median, 1.15) || !near(list[0].Aim, 1.1) {
		t.Fatalf("bars %+v", list)
	}
	// Deliveries per second stand as time: of 1.1 and 1.2 the reciprocals are averaged first.
	if b := list[1]; !near(b.Result.Min, 1.1) || !near(b.Result.Max, 1.2) || !near(b.Aim, 1/0.9) || b.Result.Median < 1.1 || b.Result.Median > 1.2 {
		t.Fatalf("bars %+v", list)
	}
	svg, err := drawChart(list)
	if err != nil {
		t.Fatal(err)
	}
	for dec := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("it is not well-formed: %v", err)
		}
	}
	for _, want := range []string{"prefers-color-scheme:dark", "1.15×", "1,000 members, 100/s: CPU per delivery", "fill:var(--back,"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the chart lacks %q", want)
		}
	}
	for _, p := range paints {
		if mark := fmt.Sprintf("#%02X%02X%02X", p.mark.R, p.mark.G, p.mark.B); bytes.Contains(svg, []byte(mark)) {
			t.Errorf("the mark %s of %s is left", mark, p.name)
		}
	}
	if _, err := drawChart(nil); err == nil {
		t.Error("an empty chart is drawn")
	}
}

func TestAnInterruptionLeavesTheChartAsItWas(t *testing.T) {
	dir := t.TempDir()
	raw, chart := filepath.Join(dir, "raw"), filepath.Join(dir, "chart.svg")
	f, err := os.Create(raw)
	if err != nil {
		t.Fatal(err)
	}
	enc := json.NewEncoder(f)
	for _, name := range []string{"Sluice", "floor, inline", "floor, shard"} {
		report, err := json.Marshal(made(10, 0))
		if err == nil {
			err = enc.Encode(record{Scenario: "fanout", Subject: name, Report: report})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	c := &command{From: raw, Chart: chart}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.run(interrupted, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(chart); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a chart of what was measured until then: %v", err)
	}
	if err := c.run(t.Context(), io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(chart); err != nil {
		t.Error(err)
	}
}

func TestNumbersHaveThreeDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01234: "0.0123", 0.551: "0.551", 9.104: "9.10", 18.44: "18.4", 176.6: "177", 999.6: "1,000", 20382: "20,382", 2292764: "2,292,764", -12.34: "-12.3", -1234: "-1,234"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
