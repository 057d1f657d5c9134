package capture

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"sluice/plugins"
	"sluice/plugins/lookup"
	"sluice/router"
)

// maxRandom is more than a host gives at once: such questions are refused by it.
const maxRandom = 64 << 10

// player is a host's world during a replay: what the recorded host answered, and,
// for a filter that asks otherwise, something that is the same in each replay.
// Time is that of the event, WASI's clock moving a little at each look, for there are
// runtimes that wait for it; random bytes depend on the number of the
// question; what filters keep begins empty.
type player struct {
	// Guarded by mu: the host's goroutines read the clock and random bytes beside
	// the replay.
	mu     sync.Mutex
	now    time.Time
	random *rand.ChaCha8 // of instances that start

	// Owned by the replay, in whose goroutine recorded events are judged.
	began    time.Time
	time     int64 // of the event, Unix nanoseconds
	answers  []Answer
	used     []bool
	from     int           // answers before it are used
	bytes    *rand.ChaCha8 // of the question
	lookup   lookup.Result
	diverged bool
	got      *plugins.Record
}

var _ plugins.Oracle = (*player)(nil)

// newPlayer begins at the capture's time, so that WASI's monotonic clock is about
// what it was on the node.
func newPlayer(began time.Time) *player {
	return &player{began: began, now: began, random: rand.NewChaCha8([32]byte{})}
}

// ask prepares for a question.
func (p *player) ask(number uint64, e *Event, a *Asked) {
	p.answers, p.used, p.from = a.Host, make([]bool, len(a.Host)), 0
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], number)
	p.bytes = rand.NewChaCha8(seed)
	p.lookup = lookup.Result{Status: lookup.Status(a.LookupStatus), Cause: "recorded"}
	if p.lookup.Status == lookup.Found {
		p.lookup.Value = a.Lookup
	}
	p.diverged, p.got = false, nil
	p.mu.Lock()
	defer p.mu.Unlock()
	p.time, p.now = e.Time, time.Unix(0, e.Time)
	if p.now.Before(p.began) {
		p.now = p.began
	}
	p.now = p.now.Add(time.Duration(a.Nanos)) // the host's answers are not later
}

// Now is the clock of the host.
func (p *player) Now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// Read gives random bytes to instances that start.
func (p *player) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.Read(b)
}

// Wants takes every event.
func (p *player) Wants(*router.Event) bool { return true }

// Judged keeps what the filter answered.
func (p *player) Judged(r *plugins.Record) { p.got = r }

// Lookup is what the recorded lookup found.
func (p *player) Lookup(string, *router.Event) lookup.Result { return p.lookup }

// Answer is the first recorded answer to the same question that has not yet been
// given.
func (p *player) Answer(op plugins.Op, asked uint32, room int) (plugins.Answer, bool) {
	for i := p.from; i < len(p.answers); i++ {
		a := &p.answers[i]
		if p.used[i] || a.Op != string(op) || a.Asked != asked {
			continue
		}
		out := plugins.Answer{Op: op, Asked: asked, Value: a.Value, Data: a.Data}
		if op == plugins.OpKVGet && out.Value > int64(room) {
			// The guest makes too little room, and is told how much it takes.
			out.Data = nil
			return out, true
		}
		if op == plugins.OpKVGet && out.Value >= 0 && int64(len(out.Data)) != out.Value {
			continue // it made too little room then
		}
		p.used[i] = true
		for p.from < len(p.answers) && p.used[p.from] {
			p.from++
		}
		return out, true
	}
	// The runtimes of some languages read the clock when they see fit.
	p.diverged = p.diverged || op != plugins.OpClock
	out := plugins.Answer{Op: op, Asked: asked}
	switch op {
	case plugins.OpNow:
		out.Value = p.time
	case plugins.OpClock:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.now = p.now.Add(time.Microsecond)
		return out, false
	case plugins.OpRandom, plugins.OpRandomGet:
		if room > maxRandom {
			return out, false
		}
		out.Data = make([]byte, room)
		_, _ = p.bytes.Read(out.Data)
	default:
		return out, false
	}
	return out, true
}
