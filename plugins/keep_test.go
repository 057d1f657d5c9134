package plugins

import (
	"context"
	"encoding/binary"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/router"
)

// Operations of keep.wat.
const (
	opMetric = iota
	opCounter
	opBucket
	opGet
	opSet
)

var keepCapabilities = []string{"metric_add", "counter_add", "bucket_take", "kv_get", "kv_set"}

func keeping(name string) Spec {
	return Spec{Name: name, Plugin: "keep.wasm", Dir: "testdata", Capabilities: keepCapabilities, StateBytes: MaxState, Time: MaxTime}
}

// op is a call that keep.wat is told to make.
type op struct {
	op, times int
	key       string
	a, b, c   int64
	keyAt     [2]uint32 // in place of key
	value     string
}

func (o op) event() *router.Event {
	p := make([]byte, 40)
	le := binary.LittleEndian
	le.PutUint32(p, uint32(o.op))
	le.PutUint32(p[4:], uint32(o.times))
	le.PutUint64(p[8:], uint64(o.a))
	le.PutUint64(p[16:], uint64(o.b))
	le.PutUint64(p[24:], uint64(o.c))
	le.PutUint32(p[32:], o.keyAt[0])
	le.PutUint32(p[36:], o.keyAt[1])
	e := message(string(p))
	e.User, e.Target = o.key, o.value
	return e
}

// ask makes the call and returns its result, and the bytes that were behind it.
func (o op) ask(t testing.TB, c *Chain) (int64, string) {
	t.Helper()
	e := o.event()
	if v := judge(t, c, e); v.Failure != "" {
		t.Fatalf("%+v: %+v", o, *v)
	}
	data := (*e.States)[0].Data
	return int64(binary.LittleEndian.Uint64(data)), string(data[8:])
}

func (o op) want(t testing.TB, c *Chain, want int64) {
	t.Helper()
	if got, _ := o.ask(t, c); got != want {
		t.Errorf("%+v = %d, want %d", o, got, want)
	}
}

func counter(key string, delta, window int64) op {
	return op{op: opCounter, key: key, a: delta, b: window}
}
func take(key string, tokens, burst, refill int64) op {
	return op{op: opBucket, key: key, a: tokens, b: burst, c: refill}
}
func metric(name string, delta int64) op { return op{op: opMetric, key: name, a: delta} }
func get(key string, room int64) op      { return op{op: opGet, key: key, a: room} }
func set(key, value string, ttl int64) op {
	return op{op: opSet, key: key, value: value, a: ttl}
}

// setClock is a clock that tests move.
type setClock struct {
	mu  sync.Mutex
	now time.Time
}

func newSetClock() *setClock { return &setClock{now: time.Unix(1_800_000_000, 0)} }

func (c *setClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *setClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestGuestsCountTakeAndKeep(t *testing.T) {
	clock := newSetClock()
	h := newTestHost(t, HostOptions{Now: clock.Now})
	c := h.chain(nil, keeping("keep"))

	counter("n", 2, 1000).want(t, c, 2)
	counter("n", 3, 1000).want(t, c, 5)
	counter("n", 0, 1000).want(t, c, 5)
	counter("n", -9, 1000).want(t, c, 0)
	counter("m", 7, 0).want(t, c, 7)
	counter("n", 1, 1000).want(t, c, 1)
	clock.move(999 * time.Millisecond)
	counter("n", 1, 1000).want(t, c, 2)
	clock.move(time.Millisecond)
	counter("n", 1, 1000).want(t, c, 1)
	counter("m", 0, 0).want(t, c, 7)

	take("b", 2, 2, 4).want(t, c, 0)
	take("b", 1, 2, 4).want(t, c, 250)
	clock.move(249 * time.Millisecond)
	take("b", 1, 2, 4).want(t, c, 1)
	clock.move(time.Millisecond)
	take("b", 1, 2, 4).want(t, c, 0)

	get("k", 8).want(t, c, resultNotFound)
	set("k", "value", 1000).want(t, c, 0)
	if n, text := get("k", 8).ask(t, c); n != 5 || !strings.HasPrefix(text, "value\x00") {
		t.Errorf("kv_get = %d, %q", n, text)
	}
	get("k", 4).want(t, c, 5)
	if n, text := get("k", 4).ask(t, c); n != 5 || !strings.HasPrefix(text, "value\x00") {
		t.Errorf("without room, kv_get = %d and wrote %q over what was there", n, text)
	}
	clock.move(time.Second)
	get("k", 8).want(t, c, resultNotFound)
	set("k", "", 0).want(t, c, 0)
	get("k", 0).want(t, c, 0)
	set("k", "", -1).want(t, c, 0)
	get("k", 0).want(t, c, resultNotFound)

	metric("seen", 3).want(t, c, 0)
	metric("seen", 0).want(t, c, 0)
	metric("_x9", math.MaxInt64).want(t, c, 0)
	metric("_x9", math.MaxInt64).want(t, c, 0)
	if got, want := stats(c).Series, (map[string]int64{"seen": 3, "_x9": math.MaxInt64}); !maps.Equal(got, want) {
		t.Errorf("series %v, want %v", got, want)
	}
}

func TestBadArgumentsAreAnsweredMinusOne(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, keeping("keep"))
	long := strings.Repeat("k", 256)
	for _, o := range []op{
		metric("", 1), metric("9a", 1), metric("A", 1), metric("a-b", 1), metric(strings.Repeat("a", 65), 1), metric("a", -1), metric("a", math.MinInt64),
		counter("", 1, 0), counter(long, 1, 0), counter("k", 1, -1), counter("k", 1, math.MinInt64),
		take("", 1, 1, 1), take(long, 1, 1, 1), take("k", -1, 1, 1), take("k", 2, 1, 1), take("k", 0, 0, 1), take("k", 1, 1, -1),
		take("k", math.MinInt64, 1, 1), take("k", 1, math.MinInt64, 1), take("k", 1, 1, math.MinInt64),
		get("", 8), get(long, 8), set("", "v", 0), set(long, "v", 0), set(long, "v", -1),
	} {
		o.want(t, c, resultArgument)
	}
	if s := stats(c); s.Store.Counters+s.Store.Buckets+s.Store.Values+len(s.Series) != 0 {
		t.Errorf("something was kept: %+v %v", s.Store, s.Series)
	}
	longest := strings.Repeat("k", 255)
	counter(longest, 1, 0).want(t, c, 1)
	metric(strings.Repeat("a", 64), 1).want(t, c, 0)
	take(longest, 1, 1, 1).want(t, c, 0)
	set(longest, "v", 0).want(t, c, 0)
	get(longest, 0).want(t, c, 1)
}

func TestNumbersAtTheirExtremesOverflowNowhere(t *testing.T) {
	const most = math.MaxInt64
	c := newTestHost(t, HostOptions{}).chain(nil, keeping("keep"))
	counter("a", most, most).want(t, c, most)
	counter("a", most, most).want(t, c, most)
	counter("a", math.MinInt64, 0).want(t, c, 0)
	counter("a", math.MinInt64, 0).want(t, c, 0)
	take("a", most, most, 0).want(t, c, 0)
	take("a", most, most, 0).want(t, c, most)
	take("b", most, most, 1).want(t, c, 0)
	if wait, _ := take("b", most, most, 1).ask(t, c); wait != most {
		t.Errorf("a bucket that takes ages to fill: %d", wait)
	}
	take("c", 1, most, most).want(t, c, 0)
	take("c", 1, most, most).want(t, c, 0)
	set("a", "v", most).want(t, c, 0)
	get("a", 0).want(t, c, 1)
}

func TestPointersOutsideTheMemoryTrapWithoutEffect(t *testing.T) {
	const end = 4 * pageSize
	outside := [][2]uint32{{end - 1, 2}, {end, 1}, {math.MaxUint32, 1}, {1, math.MaxUint32}, {math.MaxUint32, math.MaxUint32}}
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, keeping("keep"))
	set("k", "before", 0).want(t, c, 0)
	traps := uint64(0)
	for _, at := range outside {
		rows := []op{
			{op: opMetric, a: 1, keyAt: at}, {op: opCounter, a: 1, keyAt: at}, {op: opBucket, a: 1, b: 1, keyAt: at},
			{op: opGet, keyAt: at}, {op: opSet, keyAt: at},
			{op: opGet, key: "k", b: int64(at[0]), a: int64(at[1])},
			{op: opSet, key: "k", b: int64(at[0]), c: int64(at[1])},
		}
		for _, o := range rows {
			if v := judge(t, c, o.event()); v.Failure != "trap" {
				t.Errorf("%+v: %+v, want a trap", o, *v)
			}
			traps++
		}
	}
	if s := stats(c); s.Failures["trap"] != traps {
		t.Errorf("%d traps were counted, want %d", s.Failures["trap"], traps)
	}
	if _, text := get("k", 16).ask(t, c); !strings.HasPrefix(text, "before\x00") {
		t.Errorf("the value is %q", text)
	}
	if s := stats(c); s.Store.Counters != 0 || s.Store.Buckets != 0 || s.Store.Values != 1 {
		t.Errorf("a call that trapped left something: %+v", s.Store)
	}
}

func TestAFloodOfNewKeysStaysWithinItsQuotasAndHarmsNobodyElse(t *testing.T) {
	flood := Spec{Name: "flood", Plugin: "keep_flood.wasm", Dir: "testdata", Capabilities: keepCapabilities, OnFailure: FailContinue,
		Time: 50 * time.Millisecond, Quota: Quota{Counters: 100, Values: 100 << 10, Series: 10}}
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, flood, keeping("keep"))
	within(t, "the flood", func() {
		e := counter("k", 1, 0).event()
		if v := judge(t, c, e); v.Failure != "" {
			t.Errorf("the filter behind it: %+v", *v)
		}
	})
	all := c.Stats()
	if all[0].Failures["timeout"] != 1 {
		t.Errorf("failures %v, want a timeout", all[0].Failures)
	}
	s := all[0].Store
	if s.Counters+s.Buckets != 100 || s.Bytes > 100<<10 || s.Bytes < 90<<10 || len(all[0].Series) != 10 {
		t.Errorf("it keeps %+v and %d series, want its quotas", s, len(all[0].Series))
	}
	if s.Refused.Counters == 0 || s.Refused.Values == 0 || s.Refused.Series == 0 {
		t.Errorf("refused %+v", s.Refused)
	}
	if n := h.Space("keep").Counters()["k"]; n != 1 {
		t.Errorf("the other filter's counter is at %d", n)
	}
}

func TestAGuestThatKeepsPointersFromAnEarlierEventHarmsOnlyItself(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("stale"), guest("noop"))
	say(t, c, `"first"`)
	// In the same buffer, the pointer is to where the later content lies, and the
	// denial goes into a struct whose verdict does not use it.
	if v := say(t, c, `"other"`); v.Action != router.Continue || string(v.Payload) != `"other"` {
		t.Errorf("in the same buffer: %+v", *v)
	}
	if v := say(t, c, `"longer than the first"`); v.Failure != "bad_json" {
		t.Errorf("a part of another content: %+v", *v)
	}
	// In another buffer, it is to what is left of the last one.
	if v := say(t, c, content(20_000)); v.Action != router.Deny || v.Failure != "bad_json" {
		t.Errorf("in another buffer: %+v", *v)
	}
	e := message(content(20_000))
	e.Conn = 99
	if v := judge(t, c, e); v.Action != router.Deny || v.Code != 503 {
		t.Errorf("another connection: %+v", *v)
	}
	if s := c.Stats(); s[0].Failures["bad_json"] != 3 || s[1].Calls != 2 {
		t.Errorf("failures %v; the next filter was asked %d times", s[0].Failures, s[1].Calls)
	}
}

func TestWithoutTheCapabilityTheLineToAddIsNamed(t *testing.T) {
	spec := keeping("keep")
	spec.Capabilities = []string{"kv_get", "log"}
	_, err := newTestHost(t, HostOptions{}).Build(context.Background(), []Spec{spec}, nil)
	want := "it imports sluice.bucket_take, sluice.counter_add, sluice.kv_set, sluice.metric_add, which is not granted; " +
		"to grant it, add to the filter's configuration: capabilities: [log, metric_add, counter_add, bucket_take, kv_get, kv_set]"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Build = %v, want %q", err, want)
	}
}

func TestCountsFromAllLanesAreExact(t *testing.T) {
	const goroutines, events, times = 8, 50, 20
	h := newTestHost(t, HostOptions{Lanes: 4})
	c := h.chain(nil, keeping("keep"))
	var taken sync.Map
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			n := int64(0)
			for range events {
				o := counter("k", 3, 0)
				o.times = times
				judge(t, c, o.event())
				m := metric("m", 1)
				m.times = times
				judge(t, c, m.event())
				if wait, _ := take("b", 1, 100, 0).ask(t, c); wait == 0 {
					n++
				}
			}
			taken.Store(g, n)
		})
	}
	all.Wait()
	counter("k", 0, 0).want(t, c, goroutines*events*times*3)
	if got := stats(c).Series["m"]; got != goroutines*events*times {
		t.Errorf("the series is at %d, want %d", got, goroutines*events*times)
	}
	sum := int64(0)
	taken.Range(func(_, n any) bool { sum += n.(int64); return true })
	if sum != 100 {
		t.Errorf("%d tokens were taken of a bucket of 100", sum)
	}
}
