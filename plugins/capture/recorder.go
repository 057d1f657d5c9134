package capture

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// Options say what is captured and for how long.
type Options struct {
	File    string
	For     time.Duration
	MaxSize int64 // bytes of the file; at least MinSize

	// Sample is the part of the connections that is recorded, above 0 and up to
	// 1. A connection's events are recorded all or not at all; those of the server
	// API, which have none, one by one.
	Sample float64

	// Headers keeps the values of request headers, but for those that carry
	// credentials.
	Headers bool

	// Redact are JSON pointers into the content of messages, what filters make of
	// it, and what lookups find; and names of claims.
	Redact []string

	Log  *slog.Logger // nil: slog.Default
	Node string       // the node's version, for the header
}

// Bounds of what waits to be written. Beyond them events are dropped.
const (
	maxQueue      = 1024
	maxQueueBytes = 32 << 20
	maxSources    = 10_000 // filters, over all reloads

	flushEvery = time.Second
)

// Why a capture ended.
const (
	EndTime    = "time"
	EndSize    = "size"
	EndStopped = "stopped" // by Close
	EndError   = "error"   // it could not be written
)

// Capture writes what filters are asked and answer to a file, until its time or
// its size is reached. It harms nothing that it cannot keep up, or that it ends.
type Capture struct {
	// Static after construction.
	options   Options
	threshold uint64 // of a connection's hash
	redactor  *redactor
	began     time.Time
	queue     chan *plugins.Record
	stop      chan struct{}
	done      chan struct{} // closed when run has ended

	closing sync.Once

	ended       atomic.Bool
	queued      atomic.Int64  // bytes in queue
	overflowed  atomic.Uint64 // events that found the queue full
	recordedAll atomic.Uint64 // events that were written
	tooLong     atomic.Uint64 // events that no line holds
	why         atomic.Pointer[string]

	// Owned by run.
	file    *file
	sources map[*plugins.Source]int
	known   map[string]int // sources by what they say
	told    uint64         // drops that the file tells of
}

var _ plugins.Recorder = (*Capture)(nil)

// Start begins a capture.
func Start(o Options) (*Capture, error) {
	c, err := prepare(o)
	if err != nil {
		return nil, err
	}
	c.options.Log.Info("a capture has begun", "file", o.File, "for", o.For.String(), "max_size", o.MaxSize, "sample", o.Sample)
	go c.run()
	return c, nil
}

// prepare makes a capture that does not run yet.
func prepare(o Options) (*Capture, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	switch {
	case o.For <= 0:
		return nil, fmt.Errorf("capture: a time of %s is none", o.For)
	case o.MaxSize < MinSize:
		return nil, fmt.Errorf("capture: a size of %d bytes is below %d", o.MaxSize, MinSize)
	case !(o.Sample > 0 && o.Sample <= 1):
		return nil, fmt.Errorf("capture: a sample of %v is not above 0 and at most 1", o.Sample)
	}
	redactor, err := newRedactor(o.Headers, o.Redact)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	c := &Capture{
		options: o, redactor: redactor, began: time.Now(), threshold: math.MaxUint64,
		queue: make(chan *plugins.Record, maxQueue), stop: make(chan struct{}), done: make(chan struct{}),
		sources: make(map[*plugins.Source]int), known: make(map[string]int),
	}
	if o.Sample < 1 {
		c.threshold = uint64(o.Sample * math.MaxUint64)
	}
	if c.file, err = create(o.File, o.MaxSize); err != nil {
		return nil, fmt.Errorf("capture: %w", openError(o.File, err))
	}
	h := &Header{Version: Version, Time: c.began.UTC(), Node: o.Node, Sample: o.Sample, Headers: o.Headers, Redact: o.Redact}
	if err = c.file.add(&line{Header: h}); err == nil {
		err = c.file.flush()
	}
	if err != nil {
		c.file.abandon()
		return nil, fmt.Errorf("capture: %w", err)
	}
	return c, nil
}

func openError(path string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the folder of %s does not exist: make it, or name another file", path)
	}
	return fmt.Errorf("%w; name a file in a folder that the node may write to, as %s", err, filepath.Join(os.TempDir(), "sluice.capture"))
}

// Wants reports whether the capture is under way and the event in its sample.
func (c *Capture) Wants(e *router.Event) bool {
	if c.ended.Load() {
		return false
	}
	if c.threshold == math.MaxUint64 {
		return true
	}
	by := e.Conn
	if by == 0 {
		by = uint64(e.Time)
	}
	return spread(by) < c.threshold
}

// spread is the finaliser of splitmix64.
func spread(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Judged queues the record, or drops it if the queue is full. Events of which no
// filter was asked are left out.
func (c *Capture) Judged(r *plugins.Record) {
	if c.ended.Load() || len(r.Asked) == 0 {
		return
	}
	n := int64(r.Bytes)
	if c.queued.Add(n) > maxQueueBytes {
		c.queued.Add(-n)
		c.overflowed.Add(1)
		return
	}
	select {
	case c.queue <- r:
	default:
		c.queued.Add(-n)
		c.overflowed.Add(1)
	}
}

// Close ends the capture, if it has not, with what is queued. It may be called
// more than once.
func (c *Capture) Close() {
	c.closing.Do(func() { close(c.stop) })
	<-c.done
}

// Done is closed when the capture has ended.
func (c *Capture) Done() <-chan struct{} { return c.done }

// Stats are the figures of a capture.
type Stats struct {
	File       string
	Ended      string // "": it is under way; else EndTime, EndSize, EndStopped, EndError
	Recorded   uint64 // events that were written
	Overflowed uint64 // events that were dropped because the queue was full
	TooLong    uint64 // events that were dropped because they are longer than a line may be
}

// Stats may be called at any time.
func (c *Capture) Stats() Stats {
	s := Stats{File: c.options.File, Recorded: c.recordedAll.Load(), Overflowed: c.overflowed.Load(), TooLong: c.tooLong.Load()}
	if why := c.why.Load(); why != nil {
		s.Ended = *why
	}
	return s
}

func (c *Capture) dropped() uint64 { return c.overflowed.Load() + c.tooLong.Load() }

func (c *Capture) run() {
	defer close(c.done)
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	deadline := time.NewTimer(c.options.For)
	defer deadline.Stop()
	why, err := EndStopped, error(nil)
	for running := true; running; {
		select {
		case r := <-c.queue:
			err = c.write(r)
		case <-flush.C:
			err = c.file.flush()
		case <-deadline.C:
			why, running = EndTime, false
		case <-c.stop:
			running = false
		}
		running = running && err == nil
	}
	c.ended.Store(true)
	if err == nil {
		err = c.drain()
	}
	c.finish(why, err)
	c.forget()
}

// forget lets go of what is left in the queue when the file cannot be written to
// any more: the capture lives as long as the node.
func (c *Capture) forget() {
	for {
		select {
		case r := <-c.queue:
			c.queued.Add(-int64(r.Bytes))
		default:
			return
		}
	}
}

// drain writes what is queued. The capture has been declared ended, so that
// hardly more is added.
func (c *Capture) drain() error {
	for range maxQueue {
		select {
		case r := <-c.queue:
			if err := c.write(r); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// finish closes the file and says so, once.
func (c *Capture) finish(why string, err error) {
	if errors.Is(err, errFull) {
		why, err = EndSize, nil
	}
	if err == nil {
		err = c.file.end(&End{Why: why, Time: time.Now().UTC(), Events: c.recordedAll.Load(), Dropped: c.dropped()})
	} else {
		c.file.abandon()
	}
	s := c.Stats()
	args := []any{"file", s.File, "events", s.Recorded, "dropped", s.Overflowed + s.TooLong}
	if err != nil {
		why = EndError
		c.options.Log.Warn("a capture has ended: it cannot be written; what is there can be replayed", append(args, "error", err)...)
	} else {
		c.options.Log.Info("a capture has ended", append(args, "why", why, "bytes", c.file.written)...)
	}
	c.why.Store(&why)
}

// write adds one record. A record that cannot be put into a line is dropped.
func (c *Capture) write(r *plugins.Record) (err error) {
	c.queued.Add(-int64(r.Bytes))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a bug: %v", p)
		}
	}()
	var fail error
	e := eventOf(r, func(s *plugins.Source) int {
		id, err := c.number(s)
		if err != nil {
			fail = err
		}
		return id
	})
	if fail != nil {
		return fail
	}
	c.redactor.redact(e)
	dropped := c.dropped()
	e.Dropped = dropped - c.told
	switch err := c.file.add(&line{Event: e}); {
	case errors.Is(err, errTooLong):
		c.tooLong.Add(1)
		return nil
	case err != nil:
		return err
	}
	c.told = dropped
	c.recordedAll.Add(1)
	return nil
}

// number is the filter's in the file, which tells of it first.
func (c *Capture) number(s *plugins.Source) (int, error) {
	if id := c.sources[s]; id != 0 {
		return id, nil
	}
	if len(c.sources) >= maxSources {
		clear(c.sources)
	}
	key := sourceKey(sourceOf(0, s))
	id := c.known[key]
	if id == 0 {
		if len(c.known) >= maxSources {
			return 0, errFull
		}
		id = len(c.known) + 1
		if err := c.file.add(&line{Filter: sourceOf(id, s)}); err != nil {
			return 0, err
		}
		c.known[key] = id
	}
	c.sources[s] = id
	return id, nil
}
