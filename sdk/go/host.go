package sluice

import (
	"errors"
	"unsafe"
)

// Level is how much a log line matters.
type Level int32

// The levels.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// The errors of host functions.
var (
	ErrArgument    = errors.New("sluice: the host refused an argument")
	ErrUnsupported = errors.New("sluice: this host does not have the function")
	ErrNotFound    = errors.New("sluice: not found")
	ErrQuota       = errors.New("sluice: over a quota")
	ErrUnavailable = errors.New("sluice: temporarily unavailable")
)

func errorOf(result int64) error {
	switch {
	case result >= 0:
		return nil
	case result == -1:
		return ErrArgument
	case result == -3:
		return ErrNotFound
	case result == -4:
		return ErrQuota
	case result == -5:
		return ErrUnavailable
	}
	return ErrUnsupported
}

// Log writes to the node's log. The filter's configuration has to grant log.
func Log(level Level, text string) { hostLog(int32(level), text) }

// Now is this moment in Unix nanoseconds; Event.TimeNanos needs no grant and
// usually does. The filter's configuration has to grant now.
func Now() int64 { return hostNow() }

// Random fills b, at most 64 KiB, with random bytes fit for keys. The filter's
// configuration has to grant random.
func Random(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return errorOf(int64(fill(b)))
}

// Verify reports whether one of the filter's keys verifies the signature of the
// message. alg is a JWS algorithm such as HS256, kid may be "". The error is
// ErrUnsupported if the filter has no keys, ErrUnavailable while none have been
// fetched yet. The filter's entry grants it by its keys.
func Verify(alg, kid string, message, signature []byte) (bool, error) {
	result := hostVerify(alg, kid, text(message), text(signature))
	return result == 1, errorOf(int64(result))
}

// MetricAdd adds to a metric of this filter: name is up to 64 of a to z, 0 to 9
// and _, delta is not negative. The error is ErrQuota if there are too many
// names. The filter's configuration has to grant metric_add.
func MetricAdd(name string, delta int64) error {
	return errorOf(int64(hostMetricAdd(name, delta)))
}

// CounterAdd adds to a counter that all instances of this filter share, and
// returns its new value, which never is below 0; delta 0 reads. The counter
// starts anew when windowMillis have passed since the first add of its window;
// 0: never. A key has 1 to 255 bytes. The filter's configuration has to grant
// counter_add.
func CounterAdd(key string, delta, windowMillis int64) (int64, error) {
	value := hostCounterAdd(key, delta, windowMillis)
	if value < 0 {
		return 0, errorOf(value)
	}
	return value, nil
}

// BucketTake takes tokens from a bucket that all instances of this filter share.
// It holds up to burst, as it does at first, and gets refillPerSecond. The
// result is 0 if they were taken; else none were, and it is in how many
// milliseconds they could be. The filter's configuration has to grant
// bucket_take.
func BucketTake(key string, tokens, burst, refillPerSecond int64) (waitMillis int64, err error) {
	wait := hostBucketTake(key, tokens, burst, refillPerSecond)
	if wait < 0 {
		return 0, errorOf(wait)
	}
	return wait, nil
}

// KVGet is the value that all instances of this filter keep under key: in buf if
// its capacity suffices, else in a new slice. The error is ErrNotFound if there
// is none. The filter's configuration has to grant kv_get.
func KVGet(key string, buf []byte) ([]byte, error) {
	for {
		buf = buf[:cap(buf)]
		n := read(key, buf)
		if n < 0 {
			return nil, errorOf(int64(n))
		}
		if int(n) <= len(buf) {
			return buf[:n], nil
		}
		buf = make([]byte, n) // another instance may make it longer meanwhile, so again
	}
}

// KVSet keeps a value for all instances of this filter, for ttlMillis; 0: for as
// long as the node runs. The error is ErrQuota if the filter keeps too much. The
// filter's configuration has to grant kv_set.
func KVSet(key string, value []byte, ttlMillis int64) error {
	if ttlMillis < 0 {
		return ErrArgument // to the host it would mean KVDelete
	}
	return errorOf(int64(hostKVSet(key, text(value), ttlMillis)))
}

// KVDelete forgets the value of key, if there is one. The filter's configuration
// has to grant kv_set.
func KVDelete(key string) error { return errorOf(int64(hostKVSet(key, "", -1))) }

// text is a view of b as a string.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
