package socket

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Engine owns what sockets share: writer goroutines and the timer wheel.
type Engine struct {
	// Static after NewEngine.
	writers []*writer
	wheel   *wheel
	running sync.WaitGroup
	shared  sharedSettings

	next    atomic.Uint32 // the writer of the next socket
	sockets atomic.Int64  // accepted and not released
	floods  atomic.Uint64 // pauses of slowFlood
	stalled atomic.Uint64 // messages that were not complete in time
	aborted chan struct{} // closed by Abort
	abort   sync.Once

	deflates
}

// NewEngine starts the engine's goroutines; Close ends them, after every
// socket has been released.
func NewEngine() *Engine {
	e := &Engine{wheel: newWheel(), aborted: make(chan struct{})}
	for i := range runtime.GOMAXPROCS(0) {
		w := newWriter(i)
		e.writers = append(e.writers, w)
		e.running.Go(w.run)
	}
	e.running.Go(e.wheel.run)
	return e
}

// Abort makes every Release, those under way included, give up what it cannot
// write at once. It does not wait.
func (e *Engine) Abort() { e.abort.Do(func() { close(e.aborted) }) }

// Close ends the engine's goroutines and waits for them.
func (e *Engine) Close() {
	for _, w := range e.writers {
		w.stop()
	}
	e.wheel.stop()
	e.running.Wait()
}

// Writers is how many writers there are.
func (e *Engine) Writers() int { return len(e.writers) }

// Post has a writer do a task, behind what is on its list. After Close the
// caller does it itself.
func (e *Engine) Post(writer int, t Task) {
	if !e.writers[writer].add(job{task: t}) {
		t.Do()
	}
}

func (e *Engine) nextWriter() *writer {
	return e.writers[e.next.Add(1)%uint32(len(e.writers))]
}

// Stats of an engine, all but Sockets counted since its start.
type Stats struct {
	Sockets       int64  // open now
	Bytes         uint64 // written, frame headers included
	Writes        uint64 // system calls, or calls of Write where there is more than a socket
	Frames        uint64 // written whole
	Handovers     uint64 // a socket was full, and a goroutine waited for it
	WriteTimeouts uint64 // sockets that took nothing for WriteTimeout
	Silent        uint64 // sockets that sent nothing after a ping
	Pings         uint64 // queued by the heartbeat
	Stalled       uint64 // sockets whose peer began a message and did not end it in time
	Floods        uint64 // times that a socket paused because its peer sent too many pings, pongs and tiny fragments
	Deflate       DeflateStats
	Discarded     uint64 // data frames of a socket that failed, or was closed while full, that were queued and not written whole
}

// Stats adds up the counters of all writers.
func (e *Engine) Stats() Stats {
	st := Stats{Sockets: e.sockets.Load(), Floods: e.floods.Load(), Stalled: e.stalled.Load()}
	st.Deflate = e.deflates.snapshot()
	for _, w := range e.writers {
		c := &w.counts
		st.Bytes += c.bytes.Load()
		st.Writes += c.writes.Load()
		st.Frames += c.frames.Load()
		st.Handovers += c.handovers.Load()
		st.WriteTimeouts += c.timeouts.Load()
		st.Silent += c.silent.Load()
		st.Pings += c.pings.Load()
		st.Discarded += c.discarded.Load()
	}
	return st
}
