//go:build !wasm

package sluice

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

// clock sets the time that host functions see, in milliseconds.
func clock(t *testing.T) (set func(millis int64)) {
	ResetTest()
	t.Cleanup(ResetTest)
	return func(millis int64) { TestNow = func() int64 { return millis * 1e6 } }
}

func TestACounterIsOfItsWindow(t *testing.T) {
	at := clock(t)
	for _, c := range []struct{ millis, delta, want int64 }{
		{0, 1, 1}, {500, 2, 3}, {999, 0, 3}, {1000, 0, 0}, {1000, -1, 0}, {1200, 4, 4}, {2199, 1, 5}, {2200, 1, 1}, {2300, -5, 0}, {2300, 0, 0},
	} {
		at(c.millis)
		if n, err := CounterAdd("c", c.delta, 1000); n != c.want || err != nil {
			t.Errorf("at %d ms %+d: %d, %v, want %d", c.millis, c.delta, n, err, c.want)
		}
	}
	if n, err := CounterAdd("ever", math.MaxInt64, 0); n != math.MaxInt64 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if n, err := CounterAdd("ever", 1, 0); n != math.MaxInt64 || err != nil {
		t.Errorf("it overflows: %d, %v", n, err)
	}
	if TestKept.Counters["ever"].Value != math.MaxInt64 {
		t.Error("tests do not see it")
	}
}

func TestABucketSaysWhenItHasTokens(t *testing.T) {
	at := clock(t)
	for _, c := range []struct{ millis, tokens, want int64 }{
		{0, 2, 0}, {0, 1, 250}, {100, 1, 150}, {250, 1, 0}, {250, 2, 500}, {60_000, 2, 0}, {60_000, 0, 0}, {60_000, 1, 250},
	} {
		at(c.millis)
		if wait, err := BucketTake("b", c.tokens, 2, 4); wait != c.want || err != nil {
			t.Errorf("at %d ms %d tokens: %d ms, %v, want %d", c.millis, c.tokens, wait, err, c.want)
		}
	}
	if wait, err := BucketTake("once", 1, 1, 0); wait != 0 || err != nil {
		t.Errorf("got %d, %v", wait, err)
	}
	if wait, err := BucketTake("once", 1, 1, 0); wait != math.MaxInt64 || err != nil {
		t.Errorf("what is never refilled: %d, %v", wait, err)
	}
}

func TestAValueIsKeptForItsTime(t *testing.T) {
	at := clock(t)
	if _, err := KVGet("k", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("at first: %v", err)
	}
	buf := make([]byte, 0, 3)
	for _, value := range []string{"", "abc", "longer than the buffer"} {
		if err := KVSet("k", []byte(value), 1000); err != nil {
			t.Fatal(err)
		}
		if got, err := KVGet("k", buf); string(got) != value || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, value)
		}
	}
	at(1000)
	if _, err := KVGet("k", buf); !errors.Is(err, ErrNotFound) {
		t.Errorf("after its time: %v", err)
	}
	if err := KVSet("k", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	at(math.MaxInt32)
	if got, err := KVGet("k", buf); string(got) != "x" || err != nil {
		t.Errorf("for ever: %q, %v", got, err)
	}
	if err := KVDelete("k"); err != nil {
		t.Fatal(err)
	}
	if _, err := KVGet("k", buf); !errors.Is(err, ErrNotFound) {
		t.Errorf("after it was deleted: %v", err)
	}
}

func TestAMetricIsASum(t *testing.T) {
	clock(t)
	for _, delta := range []int64{2, 0, 3} {
		if err := MetricAdd("a_1", delta); err != nil {
			t.Error(err)
		}
	}
	if TestKept.Metrics["a_1"] != 5 {
		t.Errorf("got %v", TestKept.Metrics)
	}
}

func TestArgumentsThatAHostRefusesAreErrors(t *testing.T) {
	clock(t)
	long := strings.Repeat("k", 256)
	counter := func(key string, window int64) error { _, err := CounterAdd(key, 1, window); return err }
	bucket := func(key string, tokens, burst, refill int64) error {
		_, err := BucketTake(key, tokens, burst, refill)
		return err
	}
	get := func(key string) error { _, err := KVGet(key, nil); return err }
	verify := func(alg string) error { _, err := Verify(alg, "", nil, nil); return err }
	for name, err := range map[string]error{
		"a counter without a key": counter("", 0), "a long key": counter(long, 0), "a window below 0": counter("c", -1),
		"a bucket without a key": bucket("", 1, 1, 1), "more tokens than the burst": bucket("b", 2, 1, 1), "tokens below 0": bucket("b", -1, 1, 1),
		"an empty burst": bucket("b", 0, 0, 1), "a refill below 0": bucket("b", 1, 1, -1),
		"a value without a key": get(""), "a value of a long key": KVSet(long, nil, 0), "a time below 0": KVSet("k", nil, -1), "deleting nothing": KVDelete(""),
		"a metric without a name": MetricAdd("", 1), "a name with capitals": MetricAdd("A", 1), "a name with a digit first": MetricAdd("1a", 1),
		"a long name": MetricAdd(long[:65], 1), "a metric that falls": MetricAdd("a", -1), "no algorithm": verify(""),
	} {
		if !errors.Is(err, ErrArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQuotasAreTriedByBeingFull(t *testing.T) {
	at := clock(t)
	_, _ = CounterAdd("c", 1, 1000)
	_ = KVSet("k", nil, 0)
	TestKept.Full = true
	if _, err := CounterAdd("c", 1, 1000); err != nil {
		t.Errorf("a counter that is there: %v", err)
	}
	if err := KVSet("k", []byte("x"), 0); err != nil {
		t.Errorf("a value that is there: %v", err)
	}
	at(1000) // the counter's window has ended, so it would be a new one
	_, counter := CounterAdd("d", 1, 1000)
	_, bucket := BucketTake("b", 1, 1, 1)
	for name, err := range map[string]error{"counter": counter, "bucket": bucket, "value": KVSet("l", nil, 0), "metric": MetricAdd("m", 1)} {
		if !errors.Is(err, ErrQuota) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysAreTheTests(t *testing.T) {
	clock(t)
	if ok, err := Verify("HS256", "k", []byte("m"), []byte("s")); ok || !errors.Is(err, ErrUnsupported) {
		t.Errorf("without keys: %v, %v", ok, err)
	}
	TestVerify = func(alg, kid string, message, signature []byte) (bool, error) {
		if kid == "later" {
			return false, ErrUnavailable
		}
		return alg == "HS256" && kid == "k" && string(message) == "m" && bytes.Equal(signature, []byte{0, 1}), nil
	}
	if ok, err := Verify("HS256", "k", []byte("m"), []byte{0, 1}); !ok || err != nil {
		t.Errorf("right: %v, %v", ok, err)
	}
	if ok, err := Verify("HS256", "k", []byte("m"), nil); ok || err != nil {
		t.Errorf("wrong: %v, %v", ok, err)
	}
	if ok, err := Verify("HS256", "later", nil, nil); ok || !errors.Is(err, ErrUnavailable) {
		t.Errorf("too early: %v, %v", ok, err)
	}
}

func TestALookupIsInTheEvent(t *testing.T) {
	for _, status := range []LookupStatus{NoLookup, LookupFound, LookupMissed, LookupFailed} {
		e := NewEvent(Input{FromServer: true, Lookup: `[1]`, LookupStatus: status})
		value, got := e.Lookup()
		if got != status || (string(value) == `[1]`) != (status == LookupFound) || !e.FromServer() {
			t.Errorf("status %d: %s, %d", status, value, got)
		}
	}
}
