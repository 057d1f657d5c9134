package plugins

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/router"
)

const (
	// reportEvery is how often the same kind of failure of one filter is logged;
	// the others in between are counted.
	reportEvery = time.Second

	// linesPerSecond is how many lines of its own a filter may log.
	linesPerSecond = 20

	reportQueue = 256
)

// reports writes logs from a goroutine of its own, so that no event waits for
// a disk or a terminal. What it does not keep up with is counted.
type reports struct {
	// Static after construction.
	log  *slog.Logger
	in   chan report // sent by whoever runs guests; closed by nobody
	stop chan struct{}
	done sync.WaitGroup

	lost atomic.Uint64

	// Owned by the run goroutine.
	seen map[reportKey]*reportLimit
}

// report is a failure, or a line that a guest logs.
type report struct {
	filter, version string
	shadow          bool // it is about a candidate that runs beside the active version
	hook            router.Hook
	fail            *failure
	level           slog.Level
	line            string
}

type reportKey struct {
	filter string
	shadow bool
	cause  Cause // CauseNone: its own lines
}

type reportLimit struct {
	since      time.Time
	count      int
	suppressed int
}

func newReports(log *slog.Logger) *reports {
	r := &reports{log: log, in: make(chan report, reportQueue), stop: make(chan struct{}), seen: make(map[reportKey]*reportLimit)}
	r.done.Add(1)
	go r.run()
	return r
}

func (r *reports) close() {
	close(r.stop)
	r.done.Wait()
}

func (r *reports) send(rep report) bool {
	select {
	case r.in <- rep:
		return true
	default:
		r.lost.Add(1)
		return false
	}
}

func (r *reports) failure(p *pool, hook router.Hook, f *failure) {
	r.send(report{filter: p.key.name, version: p.module.version(), shadow: p.shadow != nil, hook: hook, fail: f})
}

func (r *reports) guestLine(p *pool, level slog.Level, line string) {
	if !r.send(report{filter: p.key.name, version: p.module.version(), level: level, line: line}) {
		p.logLost.Add(1)
	}
}

func (r *reports) run() {
	defer r.done.Done()
	for {
		select {
		case rep := <-r.in:
			r.write(rep)
		case <-r.stop:
			for {
				select {
				case rep := <-r.in:
					r.write(rep)
				default:
					return
				}
			}
		}
	}
}

// write logs unless there was too much of the same.
func (r *reports) write(rep report) {
	key, allowed := reportKey{rep.filter, rep.shadow, CauseNone}, linesPerSecond
	if rep.fail != nil {
		key.cause, allowed = rep.fail.cause, 1
	}
	limit := r.seen[key]
	now := time.Now()
	if limit == nil {
		limit = &reportLimit{since: now}
		r.seen[key] = limit
	}
	if now.Sub(limit.since) >= reportEvery {
		limit.since, limit.count = now, 0
	}
	if limit.count++; limit.count > allowed {
		limit.suppressed++
		return
	}
	attrs := []slog.Attr{slog.String("filter", rep.filter), slog.String("version", rep.version)}
	if limit.suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", limit.suppressed))
		limit.suppressed = 0
	}
	if rep.fail == nil {
		r.log.LogAttrs(context.Background(), rep.level, rep.line, attrs...)
		return
	}
	attrs = append(attrs, slog.String("hook", hookExports[rep.hook]), slog.String("cause", rep.fail.cause.String()),
		slog.String("detail", rep.fail.detail))
	if rep.fail.tail != "" {
		attrs = append(attrs, slog.String("output", strings.ToValidUTF8(rep.fail.tail, "\uFFFD")))
	}
	what := "a filter failed"
	if rep.fail.cause == CauseLookup {
		what = "a lookup of a filter failed"
	}
	if rep.shadow {
		what = "a candidate failed beside its filter"
	}
	r.log.LogAttrs(context.Background(), slog.LevelError, what, attrs...)
}
