package main

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

func recorded(t *testing.T) *Report {
	t.Helper()
	r, _, err := readReport("testdata/report.jsonl") // sluice bench rooms … --json, of the floor
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAReportOfSluiceBenchIsRead(t *testing.T) {
	r := recorded(t)
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		metric metric
		want   float64
	}{
		{cpuPerDelivery, 25}, {cpuPerPublish, 100}, {p50, 106.2}, {p99, 1404.9}, {deliveries, 2000},
		{rss, 9789440.0 / (1 << 20)}, {rssPerConnection, 65945.6 / 1024}, {idleCPU, math.NaN()}, {redisPerPublish, math.NaN()},
	} {
		if got := c.metric.Of(r); !near(got, c.want) {
			t.Errorf("%s: %v, want %v", c.metric.Name, got, c.want)
		}
	}
	if r.OtherCPUPercent != 189 || r.Kind != "run" || r.Connections != 40 {
		t.Errorf("read %+v", r)
	}
}

func TestNodesAreAddedUpAndRedisIsNot(t *testing.T) {
	r := &Report{Processes: map[string]Process{
		"server": {CPUMicrosPerPublish: 100}, "server2": {CPUMicrosPerPublish: 120}, "redis": {CPUMicrosPerPublish: 40},
	}}
	if got := cpuPerPublish.Of(r); got != 220 {
		t.Errorf("both nodes: %v", got)
	}
	if got := redisPerPublish.Of(r); got != 40 {
		t.Errorf("Redis: %v", got)
	}
}

func TestARunThatSaysNothingIsRefused(t *testing.T) {
	for _, c := range []struct {
		spoil func(*Report)
		want  string
	}{
		{func(r *Report) { r.Lost = 1 }, "1 messages lost"},
		{func(r *Report) { r.Duplicated = 2 }, "2 messages duplicated"},
		{func(r *Report) { r.Disordered = 3 }, "3 messages out of order"},
		{func(r *Report) { r.Misdelivered = 4 }, "4 messages delivered to others"},
		{func(r *Report) {
			r.Refused = map[string]int64{"denied": 5}
			r.Reasons = map[string]string{"denied": "too long"}
		}, "5 refused: denied too long"},
		{func(r *Report) { r.Closed = map[string]int64{"1006": 1} }, "1 connections ended: 1006"},
		{func(r *Report) { r.Gaps = map[string]int64{"slow": 1} }, "1 gaps: slow"},
		{func(r *Report) { r.Delivered = 0 }, "nothing was delivered"},
		{func(r *Report) { r.Interrupted = true }, "interrupted"},
		{func(r *Report) { r.Processes = map[string]Process{"redis": {CPUSeconds: 1}} }, "no process of the server"},
	} {
		r := recorded(t)
		c.spoil(r)
		if err := r.check(); !errors.Is(err, errUnsound) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestGapsOfMembersThatNeverReadAreNoFault(t *testing.T) {
	r := recorded(t)
	r.Gaps, r.Slow = map[string]int64{"slow": 10}, 10
	if err := r.check(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoReportOfOneRunIsRefused(t *testing.T) {
	text, err := os.ReadFile("testdata/report.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty":      "",
		"half":       string(text[:len(text)/3]),
		"two runs":   string(text) + string(text),
		"other JSON": `{"latency_us": 3}`,
		"text":       "delivered all",
	} {
		if r, _, err := parseReport([]byte(bad)); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
}
