package plugins

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"sluice/plugins/meter"
)

// bulkSpec may hold a gigabyte, which it goes through in single instructions.
func bulkSpec() Spec {
	s := guest("bulk")
	s.Memory = MaxMemory
	return s
}

// The machine's noise only ever adds, so the best of some rounds is compared
// with a bound that is far above the promise, and far below what a single
// instruction over a gigabyte takes.
func TestOneInstructionOverAllOfAGigabyteIsInterrupted(t *testing.T) {
	for content, what := range map[string]string{"1": "fill", "2": "copy up", "3": "copy down"} {
		t.Run(what, func(t *testing.T) {
			h := newTestHost(t, HostOptions{})
			c := h.chain(nil, bulkSpec())
			best := hang
			for range 5 {
				best = min(best, within(t, what, func() {
					if v := say(t, c, content); v.Failure != "timeout" {
						t.Errorf("verdict %+v, want a time-out", *v)
					}
				}))
			}
			t.Logf("stopped after %s at best", best)
			if best > DefaultTime+60*time.Millisecond {
				t.Errorf("stopped after %s at best, with a limit of %s", best, DefaultTime)
			}
		})
	}
}

// What was charged at once counts as the slices that it is.
func TestTheClockIsLookedAtWhenOneOperationUsedUpManySlices(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("noop"))
	in := c.filters[0].pool.slots[0].in
	in.begin(time.Nanosecond)
	in.fuel.Set(0)
	in.yield(in.mod) // starts the clock
	in.charge(in.mod, 5*meter.Slice)
	defer func() {
		if got := recover(); got != errTimeout {
			t.Errorf("recovered %v, want the time-out", got)
		}
	}()
	in.yield(in.mod)
}

func TestGrowingNeitherMovesNorClearsMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the collector owns the memory here")
	}
	h := newTestHost(t, HostOptions{})
	spec := guest("grow")
	spec.Memory = MaxMemory
	c := h.chain(nil, spec)
	in := c.filters[0].pool.slots[0].in
	at := func() *byte {
		b, _ := in.mem.Read(0, 1)
		return unsafe.SliceData(b)
	}
	before := at()
	for range 40 {
		say(t, c, "9")
	}
	if in.mem.Size() < 300*pageSize || at() != before {
		t.Errorf("after growing to %d bytes the memory has moved", in.mem.Size())
	}
}

// Whoever loops leaves the only processor to others in the meantime, and what
// that takes is not its own time.
func TestACallThatRunsForLongStepsAside(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("noop"))
	in := c.filters[0].pool.slots[0].in
	in.begin(time.Hour)
	in.startClock()
	in.slices = minSlices
	in.yield(in.mod)
	if in.excused != 0 {
		t.Skip("the machine was too busy for this test")
	}
	in.aside -= int64(slowLoop)
	before := in.deadline
	in.yield(in.mod)
	if in.excused < asideTime || in.deadline != before+int64(in.excused) || !in.pool.slow.Load() {
		t.Errorf("excused %s, its deadline moved by %d, slow: %v", in.excused, in.deadline-before, in.pool.slow.Load())
	}
}
