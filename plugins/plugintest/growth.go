package plugintest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// Growth is how the linear memory of an instance develops over many events.
type Growth struct {
	Events       int
	Start, End   uint64  // bytes of linear memory before the first event and after the last
	Replacements int     // of instances that failed, or had used up their memory
	PerEvent     float64 // least-squares slope over the last three quarters, in bytes; replaced instances' memory is added up
	Leaks        bool    // it kept growing up to the end, or until its memory was used up
}

// leakSteps is how many of the last looks must have found more memory than the
// look before: memory grows in pages of 64 KiB, and a buffer that grows once is
// no leak.
const (
	growthLooks = 200
	leakSteps   = 2
)

func (g Growth) String() string {
	text := fmt.Sprintf("%d KiB before, %d KiB after %d events", g.Start>>10, g.End>>10, g.Events)
	if g.Replacements > 0 {
		text += fmt.Sprintf(", %s replaced", plural(g.Replacements, "instance"))
	}
	if g.Leaks {
		return text + fmt.Sprintf(": LEAKS about %s an event", bytesText(g.PerEvent))
	}
	return text + ": no leak"
}

func bytesText(b float64) string {
	if b < 10 {
		return fmt.Sprintf("%.2g bytes", b)
	}
	return fmt.Sprintf("%.0f bytes", b)
}

// lookTime is after how long the memory is looked at in any case.
const lookTime = 20 * time.Millisecond

// growth judges so many events, or as many as fit into the time, and looks at
// the memory in between. The host has the meter as its tracer.
func (b *bench) growth(ctx context.Context, m *growthMeter, events int, most time.Duration) (Growth, error) {
	m.start = b.chain.Stats()[0].Memory
	m.last = m.start
	every := max(1, events/growthLooks)
	began := time.Now()
	looked := began
	for i, over := 1, false; i <= events && !over; i++ {
		if _, err := b.judge(); err != nil {
			return Growth{}, err
		}
		now := looked
		if i%16 == 0 {
			now = time.Now()
		}
		over = now.Sub(began) > most
		if i%every == 0 || i == events || over || now.Sub(looked) > lookTime {
			if ctx.Err() != nil {
				return Growth{}, ctx.Err()
			}
			m.look(i)
			looked = now
		}
	}
	return m.result(), nil
}

// growthMeter adds up the memory that instances took after they had started.
type growthMeter struct {
	start, last  uint64
	high         uint64 // the most that counts as known
	limit        uint64 // of an instance's memory
	calls        int
	replacements int
	exhausted    bool   // an instance came to need more than three quarters of its limit
	grown        uint64 // bytes, by call lastGrown
	lastGrown    int
	x, y         []float64 // events, and what had been taken by then
}

func newGrowthMeter(spec *plugins.Spec) *growthMeter {
	m := &growthMeter{limit: uint64(spec.Memory)}
	if m.limit == 0 {
		m.limit = plugins.DefaultMemory
	}
	return m
}

var _ plugins.Tracer = (*growthMeter)(nil)

// Called looks at the memory after each event. Less of it is another instance's.
func (m *growthMeter) Called(c plugins.Call) {
	if c.Hook == router.HookConfigure {
		return // maybe in the background
	}
	m.calls++
	if c.Memory < m.last {
		m.replacements++
		if m.last > m.limit/4*3 {
			m.high = m.start // all that the next one takes is taken anew
		}
	}
	// What an instance that replaces a failed one needs again is no growth.
	if m.high = max(m.high, m.start); c.Memory > m.high {
		m.grown += c.Memory - m.high
		m.high = c.Memory
		m.lastGrown = m.calls
	}
	m.last = c.Memory
	m.exhausted = m.exhausted || m.last > m.start && m.last > m.limit/4*3
}

// Logged is of no interest here.
func (m *growthMeter) Logged(string, slog.Level, string) {}

func (m *growthMeter) look(event int) {
	m.x, m.y = append(m.x, float64(event)), append(m.y, float64(m.grown))
}

func (m *growthMeter) result() Growth {
	n := len(m.x)
	g := Growth{Events: int(m.x[n-1]), Start: m.start, End: m.last, Replacements: m.replacements}
	g.PerEvent = math.Max(0, slope(m.x[n/4:], m.y[n/4:]))
	steps := 0
	for i := n/2 + 1; i < n; i++ {
		if m.y[i] > m.y[i-1] {
			steps++
		}
	}
	g.Leaks = steps >= leakSteps && g.PerEvent > 0
	if m.exhausted { // it may have stopped growing only because it could not
		g.Leaks = true
		g.PerEvent = max(g.PerEvent, float64(m.grown)/float64(m.lastGrown))
	}
	return g
}

// slope is that of the least-squares line.
func slope(x, y []float64) float64 {
	n := float64(len(x))
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	if d := n*sxx - sx*sx; d != 0 {
		return (n*sxy - sx*sy) / d
	}
	return 0
}

// Footprint is what an instance holds once it has started.
type Footprint struct {
	Instances int    // that were measured
	Linear    uint64 // bytes of linear memory of one
	Resident  uint64 // bytes of the process for one; 0: this system does not say
	PerGiB    int    // how many fit in a GiB, by Resident, or by Linear without it
}

func (f Footprint) String() string {
	if f.Resident == 0 {
		return fmt.Sprintf("%d KiB an instance: %d in a GiB (linear memory, %s measured)", f.Linear>>10, f.PerGiB, plural(f.Instances, "instance"))
	}
	return fmt.Sprintf("%d KiB an instance: %d in a GiB (%d KiB of linear memory, %s measured)",
		f.Resident>>10, f.PerGiB, f.Linear>>10, plural(f.Instances, "instance"))
}

// footprint compares a host with one instance with one that has many, so that
// what they share does not count.
func footprint(ctx context.Context, spec plugins.Spec, inputs []*Input, o BenchOptions) (Footprint, error) {
	cost := func(lanes int) (resident int64, s plugins.Stats, err error) {
		debug.FreeOSMemory()
		before := residentBytes()
		b, err := newBench(ctx, spec, inputs, o, benchHost{lanes: lanes})
		if err != nil {
			return 0, s, err
		}
		debug.FreeOSMemory()
		resident, s = residentBytes()-before, b.chain.Stats()[0]
		return resident, s, b.close()
	}
	one, few, err := cost(1)
	if err != nil {
		return Footprint{}, err
	}
	all, many, err := cost(1 + o.Instances)
	if err != nil {
		return Footprint{}, err
	}
	f := Footprint{Instances: int(many.Created - few.Created), Linear: many.Memory / uint64(max(1, many.Instances))}
	if f.Instances < 1 {
		return f, errors.New("no instance could be made to measure its memory")
	}
	unit := f.Linear
	if residentBytes() > 0 && all > one {
		f.Resident = uint64(all-one) / uint64(f.Instances)
		unit = f.Resident
	}
	f.PerGiB = int((1 << 30) / max(1, unit))
	return f, nil
}

// residentBytes is the memory of this process, as Linux counts it; 0 elsewhere.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
