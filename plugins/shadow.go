package plugins

import (
	"sync"
	"sync/atomic"
	"time"

	"sluice/router"
)

const (
	shadowQueue = 256     // events that wait for one candidate
	shadowBytes = 4 << 20 // that they take

	// shadowLoop is the time after which a candidate that is still at work steps
	// aside for others, again and again: nobody waits for it.
	shadowLoop = 100 * time.Microsecond
)

// Reasons for which a candidate was not asked about an event that was drawn.
const (
	DropQueueFull   = "queue_full"  // it does not keep up
	DropUnavailable = "unavailable" // its instance was discarded, and the next is not ready
	DropTooBig      = "too_big"     // the request has more than filters can read
)

// shadow asks a candidate about events that the active version has answered, from
// a goroutine of its own and with an instance of its own. It never has the lane,
// the gate or a lock of an event. A pool has one, for as long as it lives.
type shadow struct {
	// Static after construction.
	pool   *pool
	mirror mirror
	queue  chan *copied  // sent by whoever holds a lane; closed by nobody
	ended  chan struct{} // closed by run

	waiting atomic.Int64 // bytes of what is in the queue
	drawn   atomic.Uint64
	full    atomic.Uint64
	tooBig  atomic.Uint64

	// Owned by run.
	share share // of a processor's time that the candidate may take

	// Guarded by mu.
	mu    sync.Mutex
	tally tally
}

// tally is what came of the events that the candidate was asked about.
type tally struct {
	calls       uint64
	verdicts    [router.Disconnect + 1]uint64
	failures    [numCauses]uint64
	timedFor    time.Duration // of all calls
	mean        time.Duration // the latest weighing most
	unavailable uint64
	compared    uint64
	differences [numKinds]uint64
	memory      uint64 // bytes; 0: no instance is open
	samples     samples
}

func newShadow(p *pool) *shadow {
	return &shadow{pool: p, queue: make(chan *copied, shadowQueue), ended: make(chan struct{})}
}

// start begins to ask. The pool has its instance.
func (s *shadow) start() {
	s.tally.memory = uint64(s.pool.slots[0].in.mem.Size())
	go s.run()
}

// endShadow waits until a retired pool's candidate is asked nothing more. What
// still waits is forgotten.
func (p *pool) endShadow() {
	if p.shadow != nil {
		<-p.shadow.ended
	}
}

func (s *shadow) run() {
	defer close(s.ended)
	for {
		select {
		case <-s.pool.done:
			return
		case c := <-s.queue:
			s.waiting.Add(-c.size)
			begin := nanotime()
			s.judge(c)
			if !s.rest(begin) {
				return
			}
		}
	}
}

// rest keeps the candidate within its share of a processor's time, so that a slow
// one loses events of its own rather than delaying others. It reports whether to
// go on.
func (s *shadow) rest(begin int64) bool {
	now := nanotime()
	s.share.charge(time.Duration(now - begin))
	wait := s.share.wait(now)
	if wait == 0 {
		return !s.pool.closed.Load()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.pool.done:
		return false
	case <-timer.C:
		return true
	}
}

// judge asks the candidate and compares its answer with the active version's.
func (s *shadow) judge(c *copied) {
	p, f := s.pool, c.version
	if !p.module.hooks.has(c.event.Hook) {
		s.note(c, &told{version: c.was.version}, 0, nil) // it would not have been asked
		return
	}
	in := p.instance(0)
	if in == nil {
		s.mu.Lock()
		s.tally.unavailable++
		s.tally.memory = 0
		s.mu.Unlock()
		return
	}
	in.replayed = &c.notes
	begin := nanotime()
	verdict, out, fail := in.ask(&c.q, f.Time)
	took := time.Duration(nanotime() - begin)
	in.replayed = nil
	is := told{version: in.stateVersion}
	if fail == nil {
		var cause Cause
		if is.answer, cause = f.read(in, &c.q, out, verdict); cause != CauseNone {
			fail = &failure{cause: cause, detail: badAnswer(cause, verdict)}
		}
	}
	if fail != nil {
		is.cause = fail.cause
	}
	s.note(c, &is, took, in)
	slot := &p.slots[0]
	if fail == nil {
		slot.settle()
		return
	}
	in.tail.take() // what it writes may quote an event
	if fail.cause == CauseExit {
		fail.detail = "it called proc_exit or abort"
	}
	if fail.cause.discards() {
		slot.discard()
	} else {
		slot.renew(in)
	}
	p.host.reports.failure(p, c.event.Hook, fail)
}

// note counts an answer and what is different in it. in is nil if there was no
// call; the answer's views of its memory are good until it returns.
func (s *shadow) note(c *copied, is *told, took time.Duration, in *instance) {
	kind, fields := compare(c, is)
	var d *Difference
	if kind != sameAnswer {
		d = c.describe(kind, fields, is)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.tally
	if in != nil {
		if t.calls++; t.calls == 1 {
			t.mean = took
		}
		t.mean += (took - t.mean) / 4
		t.timedFor += took
		t.memory = uint64(in.mem.Size())
		if is.cause != CauseNone {
			t.failures[is.cause]++
		} else {
			t.verdicts[is.effective(&c.version.settings)]++
		}
	}
	t.compared++
	t.differences[kind]++
	if d != nil {
		t.samples.add(d)
	}
}

// ShadowStats is what came of a candidate that runs beside the active version.
type ShadowStats struct {
	Drawn       uint64            // events that it was to be asked about
	Compared    uint64            // of which both answers are known
	Dropped     map[string]uint64 // of which it was not asked, by reason
	Differences map[string]uint64 // of those compared, by the first thing that differs: failure, verdict, code, output
	Queue       int               // events that wait
	Lines       uint64            // that it would have logged
	Samples     []Difference      // the latest, newest first; nothing in them is of an event's content
}

// stats fills in what is the worker's.
func (s *shadow) stats(out *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.tally
	out.Calls, out.Average, out.Timed, out.TimedTime = t.calls, t.mean, t.calls, t.timedFor
	if t.memory > 0 {
		out.Instances, out.Memory = 1, t.memory
	}
	out.Verdicts, out.Failures = verdictCounts(&t.verdicts), failureCounts(&t.failures)
	out.Shadow = &ShadowStats{
		Drawn: s.drawn.Load(), Compared: t.compared, Queue: len(s.queue), Lines: s.mirror.lines.Load(), Samples: t.samples.latest(),
		Dropped:     map[string]uint64{DropQueueFull: s.full.Load(), DropUnavailable: t.unavailable, DropTooBig: s.tooBig.Load()},
		Differences: make(map[string]uint64, numKinds-1),
	}
	for k := sameAnswer + 1; k < numKinds; k++ {
		out.Shadow.Differences[k.String()] = t.differences[k]
	}
}
