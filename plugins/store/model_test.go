package store

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// model is what a space should do, written without a thought for speed: it looks
// at everything in every call, and calculates with numbers of any size.
type model struct {
	quota    Quota
	now      int64
	counters map[string]*modelCounter
	buckets  map[string]*modelBucket
	values   map[string]*modelValue
	series   map[string]int64
}

type modelCounter struct{ value, start, window int64 } // window in ms; 0: none

type modelBucket struct {
	nano          *big.Int // billionths of a token
	at            int64
	burst, refill int64 // of the latest take
}

type modelValue struct {
	value    string
	set, ttl int64
}

func newModel(q Quota) *model {
	return &model{q, 0, map[string]*modelCounter{}, map[string]*modelBucket{}, map[string]*modelValue{}, map[string]int64{}}
}

var billion = big.NewInt(1_000_000_000)

// over reports whether that many ms have passed since a moment, and 0 are for ever.
func (m *model) over(since, ms int64) bool {
	if ms == 0 {
		return false
	}
	passed := new(big.Int).Sub(big.NewInt(m.now), big.NewInt(since))
	return passed.Cmp(new(big.Int).Mul(big.NewInt(ms), big.NewInt(1_000_000))) >= 0
}

func (b *modelBucket) fill(now, burst, refill int64) {
	b.nano.Add(b.nano, new(big.Int).Mul(big.NewInt(now-b.at), big.NewInt(refill)))
	if full := new(big.Int).Mul(big.NewInt(burst), billion); b.nano.Cmp(full) >= 0 {
		b.nano = full
	}
	b.at = now
}

// drop removes what has ended.
func (m *model) drop() {
	for key, c := range m.counters {
		if m.over(c.start, c.window) {
			delete(m.counters, key)
		}
	}
	for key, b := range m.buckets {
		now := modelBucket{new(big.Int).Set(b.nano), b.at, b.burst, b.refill}
		if now.fill(m.now, b.burst, b.refill); now.nano.Cmp(new(big.Int).Mul(big.NewInt(b.burst), billion)) == 0 {
			delete(m.buckets, key)
		}
	}
	for key, v := range m.values {
		if m.over(v.set, v.ttl) {
			delete(m.values, key)
		}
	}
}

func (m *model) setNow(now int64) {
	if now < m.now { // what is kept moves with the clock
		for _, c := range m.counters {
			c.start = min(c.start, now)
		}
		for _, b := range m.buckets {
			b.at = min(b.at, now)
		}
		for _, v := range m.values {
			v.set = min(v.set, now)
		}
	}
	m.now = now
	m.drop()
}

func (m *model) counterAdd(key string, delta, window int64) (int64, error) {
	if len(key) < 1 || len(key) > 255 || window < 0 {
		return 0, ErrArgument
	}
	c := m.counters[key]
	value := int64(0)
	over := c != nil && m.over(c.start, window)
	if c != nil && !over {
		value = c.value
	}
	sum := new(big.Int).Add(big.NewInt(value), big.NewInt(delta))
	if sum.Sign() < 0 {
		sum.SetInt64(0)
	}
	if !sum.IsInt64() {
		sum.SetInt64(math.MaxInt64)
	}
	if delta == 0 {
		return value, nil
	}
	if sum.Sign() == 0 {
		delete(m.counters, key)
		return 0, nil
	}
	if c == nil {
		if len(m.counters)+len(m.buckets) >= m.quota.Counters {
			return 0, ErrQuota
		}
		c = &modelCounter{start: m.now}
		m.counters[key] = c
	}
	if over {
		c.start = m.now
	}
	c.value, c.window = sum.Int64(), window
	return c.value, nil
}

func (m *model) bucketTake(key string, tokens, burst, refill int64) (int64, error) {
	if len(key) < 1 || len(key) > 255 || burst < 1 || tokens < 0 || tokens > burst || refill < 0 {
		return 0, ErrArgument
	}
	b := m.buckets[key]
	if b == nil {
		if tokens == 0 {
			return 0, nil
		}
		if len(m.counters)+len(m.buckets) >= m.quota.Counters {
			return 0, ErrQuota
		}
		b = &modelBucket{nano: new(big.Int).Mul(big.NewInt(burst), billion), at: m.now}
		m.buckets[key] = b
	}
	b.fill(m.now, burst, refill)
	b.burst, b.refill = burst, refill
	need := new(big.Int).Mul(big.NewInt(tokens), billion)
	if b.nano.Cmp(need) >= 0 {
		b.nano.Sub(b.nano, need)
		m.drop()
		return 0, nil
	}
	m.drop()
	if refill == 0 {
		return math.MaxInt64, nil
	}
	need.Sub(need, b.nano)
	ns := ceil(need, big.NewInt(refill))
	if !ns.IsInt64() || ns.Int64() == math.MaxInt64 {
		return math.MaxInt64, nil
	}
	return ceil(ns, big.NewInt(1_000_000)).Int64(), nil
}

func ceil(a, b *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(a, b, new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

func (m *model) bytes() (n int64) {
	for key, v := range m.values {
		n += int64(len(key)+len(v.value)) + Overhead
	}
	return n
}

func (m *model) set(key, value string, ttl int64) error {
	if len(key) < 1 || len(key) > 255 {
		return ErrArgument
	}
	old := m.values[key]
	delete(m.values, key)
	if ttl < 0 {
		return nil
	}
	if m.bytes()+int64(len(key)+len(value))+Overhead > m.quota.Values {
		// One that is shorter than what it replaces always fits, even after the
		// quota was lowered.
		if old == nil || len(value) > len(old.value) {
			if old != nil {
				m.values[key] = old
			}
			return ErrQuota
		}
	}
	m.values[key] = &modelValue{value, m.now, ttl}
	return nil
}

func (m *model) metricAdd(name string, delta int64) error {
	if delta < 0 {
		return ErrArgument
	}
	sum, known := m.series[name]
	if !known && !validName([]byte(name)) {
		return ErrArgument
	}
	if !known && len(m.series) >= m.quota.Series {
		return ErrQuota
	}
	if sum > math.MaxInt64-delta {
		sum, delta = math.MaxInt64, 0
	}
	m.series[name] = sum + delta
	return nil
}

// numbers are those that calls are made with: ordinary ones, and the extremes.
var numbers = []int64{
	0, 1, 2, 3, 5, 10, 100, 999, 1000, 1001, 60_000, 1 << 32, 1e12, 9_223_372_036_854, 9_223_372_036_855,
	math.MaxInt64 - 1, math.MaxInt64, -1, -2, -1000, math.MinInt64, math.MinInt64 + 1,
}

// compare makes the calls that the program says with a space and with the model.
func compare(t testing.TB, program []byte) {
	quota := Quota{Counters: 5, Values: 5 * (Overhead + 4), Series: 3}
	s, c := newSpace(quota)
	m := newModel(quota)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "", "A"}
	values := []string{"", "v", "value", "a longer value", string(make([]byte, 400))}
	for len(program) >= 6 {
		what, key := program[0], names[int(program[1])%len(names)]
		x, y, z := numbers[int(program[2])%len(numbers)], numbers[int(program[3])%len(numbers)], numbers[int(program[4])%len(numbers)]
		value := values[int(program[5])%len(values)]
		program = program[6:]
		var got, want int64
		var gotErr, wantErr error
		switch what % 8 {
		case 0, 1:
			got, gotErr = s.CounterAdd([]byte(key), x, y)
			want, wantErr = m.counterAdd(key, x, y)
		case 2, 3:
			got, gotErr = s.BucketTake([]byte(key), x, y, z)
			want, wantErr = m.bucketTake(key, x, y, z)
		case 4:
			gotErr, wantErr = s.Set([]byte(key), []byte(value), x), m.set(key, value, x)
		case 5:
			kept, err := s.Get([]byte(key))
			v := m.values[key]
			switch {
			case key == "":
				wantErr = ErrArgument
			case v == nil:
				wantErr = ErrNotFound
			case string(kept) != v.value:
				t.Fatalf("the value of %q is %q, want %q", key, kept, v.value)
			}
			gotErr = err
		case 6:
			gotErr, wantErr = s.MetricAdd([]byte(key), x), m.metricAdd(key, x)
		case 7: // time passes, seldom backwards, and never so far that it ends
			d := max(min(x, 1<<40), -1<<40)
			if y >= 0 && d < 0 {
				d = -d
			}
			if d < 0 {
				s.Stats() // or what has ended, but is not dropped yet, begins again
			}
			c.ns.Store(max(min(c.now()+d, 1<<60), -1<<60))
			m.setNow(c.now())
			if d < 0 {
				s.touch()
			}
		}
		if got != want || gotErr != wantErr {
			t.Fatalf("op %d of %q with %d, %d, %d at %d = %d, %v; want %d, %v", what%8, key, x, y, z, c.now(), got, gotErr, want, wantErr)
		}
		m.drop()
		s.check(t)
	}
	compareAll(t, s, m)
}

// touch looks at everything, so that all moves with a clock that was set back.
func (s *Space) touch() {
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "A"} {
		touch(&s.counters, key)
		touch(&s.buckets, key)
		touch(&s.values, key)
	}
}

func touch[T any](t *table[T], key string) {
	sh := t.shard([]byte(key))
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.findLocked([]byte(key), t.now())
}

func compareAll(t testing.TB, s *Space, m *model) {
	t.Helper()
	stats := s.Stats()
	if stats.Counters != len(m.counters) || stats.Buckets != len(m.buckets) || stats.Values != len(m.values) || stats.Bytes != m.bytes() {
		t.Errorf("it keeps %+v, want %d counters, %d buckets, and %d values of %d bytes", stats, len(m.counters), len(m.buckets), len(m.values), m.bytes())
	}
	for key, n := range s.Counters() {
		if m.counters[key] == nil || m.counters[key].value != n {
			t.Errorf("counter %q is %d, want %+v", key, n, m.counters[key])
		}
	}
	for key, v := range s.Values() {
		if m.values[key] == nil || m.values[key].value != string(v) {
			t.Errorf("value %q is %q, want %+v", key, v, m.values[key])
		}
	}
	for name, n := range s.Series() {
		if m.series[name] != n {
			t.Errorf("series %q is %d, want %d", name, n, m.series[name])
		}
	}
	s.check(t)
}

func FuzzASpaceDoesWhatTheModelDoes(f *testing.F) {
	f.Add([]byte{0, 0, 1, 8, 0, 0, 7, 0, 8, 0, 0, 0, 0, 0, 1, 8, 0, 0})
	f.Add([]byte{2, 0, 2, 2, 1, 0, 2, 0, 1, 2, 1, 0, 7, 0, 14, 0, 0, 0, 2, 0, 1, 2, 1, 0})
	f.Add([]byte{4, 1, 8, 0, 0, 2, 5, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, program []byte) { compare(t, program[:min(len(program), 6*300)]) })
}

func TestASpaceDoesWhatTheModelDoesInRandomPrograms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	program := make([]byte, 6*200)
	for range 500 {
		for i := 0; i+4 <= len(program); i += 4 {
			binary.LittleEndian.PutUint32(program[i:], random.Uint32())
		}
		compare(t, program)
	}
}
