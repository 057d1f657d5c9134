package lookup

import (
	"context"
	"time"
)

// Spec is what the configuration of a filter says under lookup. Exactly one of
// HTTP and Redis is set. Zero values are the defaults.
type Spec struct {
	HTTP  *HTTP
	Redis *Redis

	// Hooks are those that the lookup is made for: connect, join, message.
	// Empty: every one of these that the filter has.
	Hooks []string

	TTL         time.Duration // how long an answer is kept; 0: it is not, but questions asked at one time share one
	MissTTL     time.Duration // how long "not found" is kept; 0: as TTL
	Timeout     time.Duration // for one answer, waiting for a turn included; 0: 500 ms, at most 10 s
	MaxBytes    int           // of an answer; 0: 16 KiB, at most 256 KiB
	Concurrency int           // questions on their way at one time; 0: 64
	Format      string        // json (the default of HTTP): anything else is a failure; bytes (the default of Redis)

	// OnMiss and OnFailure say what becomes of an event without an answer.
	OnMiss    string // pass (the default), deny, skip
	OnFailure string // deny (the default), pass, skip
}

// What OnMiss and OnFailure may be.
const (
	Pass = "pass" // the filter is asked, and sees that there was none
	Deny = "deny" // the event is refused: as not_found after a miss, as unavailable after a failure
	Skip = "skip" // the filter is not asked; refused for a filter with on_connect
)

// HTTP is a GET, or a POST of the event.
type HTTP struct {
	// URL is a template; nothing in its scheme, host and port may be.
	URL    string
	Method string // GET (the default), POST
	// Headers are sent as they are; they may hold secrets.
	Headers map[string]string
	// Key, a template, is what answers to a POST are shared and kept by; "":
	// they are not. A GET has its URL.
	Key string
	// Breaker opens after so many failures in a row; 0: 5, below 0: never.
	// While it is open, for RetryAfter (0: 5 s), questions fail at once.
	Breaker    int
	RetryAfter time.Duration
}

// Redis is the value of one key.
type Redis struct {
	Key string // a template, below the prefix that the node's configuration sets
}

// RedisClient reads keys. The node's configuration says from where, and under
// which prefix: key is what follows it. Of a longer value at most max bytes are
// read. An *outbound.Error tells its own cause, any other error counts as "connect".
type RedisClient interface {
	Get(ctx context.Context, key string, max int) (value []byte, found bool, err error)
}

// Status is how a lookup ended.
type Status uint8

// The numbers are those of the event's flags, see sdk/ABI.md.
const (
	None   Status = iota // no lookup was made
	Found                // Value is the answer
	Missed               // there is none: HTTP 404 or 204, no such key, or a field of the template has no value
	Failed               // the source is down, slow, too busy, or answered what it must not
)

// Result is what a filter is given.
type Result struct {
	Status Status
	Value  []byte // of Found; shared, never written to
	Cause  string // of Failed: a word for metrics, one of Causes
	Err    error  // of Failed, for the log; it names the filter's target without secrets
}
