//go:build !wasm

package sluice

import (
	"math"
	"math/rand/v2"
)

// What stands for the host in unit tests. Tests may replace them, and put them
// back with ResetTest.
var (
	TestLog    func(level Level, text string)
	TestNow    func() int64
	TestRandom func(b []byte) error
	TestVerify func(alg, kid string, message, signature []byte) (bool, error)

	// TestKept is what the node keeps for the filter.
	TestKept Kept
)

// Kept is what a node keeps for a filter, natively only: maps that tests fill
// and look at.
type Kept struct {
	Metrics  map[string]int64
	Counters map[string]Counter
	Buckets  map[string]Bucket
	Values   map[string]Value
	Full     bool // whatever would add a metric, counter, bucket or value is over the quota
}

// Counter is the state of one CounterAdd.
type Counter struct {
	Value int64
	Since int64 // its first add, Unix nanoseconds
}

// Bucket is the state of one BucketTake.
type Bucket struct {
	Tokens float64
	At     int64 // when it had them, Unix nanoseconds
}

// Value is what one KVSet keeps.
type Value struct {
	Data []byte
	Ends int64 // Unix nanoseconds; 0: never
}

func init() { ResetTest() }

// ResetTest puts everything back that stands for the host: nothing is kept, the
// log is dropped, the time is 0, random bytes are the same in every run, and
// there are no keys.
func ResetTest() {
	TestLog = func(Level, string) {}
	TestNow = func() int64 { return 0 }
	TestRandom = func(b []byte) error {
		r := rand.NewPCG(1, 2)
		for i := range b {
			b[i] = byte(r.Uint64())
		}
		return nil
	}
	TestVerify = func(string, string, []byte, []byte) (bool, error) { return false, ErrUnsupported }
	TestKept = Kept{Metrics: map[string]int64{}, Counters: map[string]Counter{}, Buckets: map[string]Bucket{}, Values: map[string]Value{}}
}

func hostLog(level int32, text string) { TestLog(Level(level), text) }
func hostNow() int64                   { return TestNow() }
func fill(b []byte) int32              { return int32(numberOf(TestRandom(b))) }

func hostVerify(alg, kid, message, signature string) int32 {
	if alg == "" {
		return -1
	}
	ok, err := TestVerify(alg, kid, []byte(message), []byte(signature))
	if err == nil && ok {
		return 1
	}
	return int32(numberOf(err))
}

func hostMetricAdd(name string, delta int64) int32 {
	if !isMetricName(name) || delta < 0 {
		return -1
	}
	if _, known := TestKept.Metrics[name]; !known && TestKept.Full {
		return -4
	}
	TestKept.Metrics[name] += delta
	return 0
}

func isMetricName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

func isKey(key string) bool { return key != "" && len(key) <= 255 }

func hostCounterAdd(key string, delta, windowMillis int64) int64 {
	if !isKey(key) || windowMillis < 0 {
		return -1
	}
	now := TestNow()
	c, known := TestKept.Counters[key]
	if known && windowMillis > 0 && (now-c.Since)/1e6 >= windowMillis {
		delete(TestKept.Counters, key)
		c, known = Counter{}, false
	}
	if delta == 0 || !known && delta < 0 {
		return c.Value
	}
	if !known {
		if TestKept.Full {
			return -4
		}
		c.Since = now
	}
	if delta > 0 && c.Value > math.MaxInt64-delta {
		c.Value = math.MaxInt64
	} else if c.Value += delta; c.Value <= 0 {
		delete(TestKept.Counters, key)
		return 0
	}
	TestKept.Counters[key] = c
	return c.Value
}

func hostBucketTake(key string, tokens, burst, refillPerSecond int64) int64 {
	if !isKey(key) || burst < 1 || tokens < 0 || tokens > burst || refillPerSecond < 0 {
		return -1
	}
	now := TestNow()
	b, known := TestKept.Buckets[key]
	if !known {
		if TestKept.Full {
			return -4
		}
		b = Bucket{Tokens: float64(burst), At: now}
	}
	if now > b.At {
		b.Tokens += float64(now-b.At) / 1e9 * float64(refillPerSecond)
		b.At = now
	}
	b.Tokens = min(b.Tokens, float64(burst))
	wait := int64(0)
	if lacking := float64(tokens) - b.Tokens; lacking <= 0 {
		b.Tokens -= float64(tokens)
	} else if refillPerSecond == 0 {
		wait = math.MaxInt64
	} else {
		wait = max(int64(math.Ceil(lacking*1000/float64(refillPerSecond))), 1)
	}
	TestKept.Buckets[key] = b
	return wait
}

func read(key string, out []byte) int32 {
	if !isKey(key) {
		return -1
	}
	v, ok := TestKept.Values[key]
	if !ok || v.Ends != 0 && TestNow() >= v.Ends {
		delete(TestKept.Values, key)
		return -3
	}
	if len(v.Data) <= len(out) {
		copy(out, v.Data)
	}
	return int32(len(v.Data))
}

func hostKVSet(key, value string, ttlMillis int64) int32 {
	if !isKey(key) {
		return -1
	}
	if ttlMillis < 0 {
		delete(TestKept.Values, key)
		return 0
	}
	if _, known := TestKept.Values[key]; !known && TestKept.Full {
		return -4
	}
	v := Value{Data: []byte(value)}
	if ttlMillis > 0 {
		v.Ends = TestNow() + ttlMillis*1e6
	}
	TestKept.Values[key] = v
	return 0
}

// numberOf is the error as a host says it.
func numberOf(err error) int64 {
	for number := int64(-1); number >= -5; number-- {
		if err == errorOf(number) {
			return number
		}
	}
	if err != nil {
		return -2
	}
	return 0
}
