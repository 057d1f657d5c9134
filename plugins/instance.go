package plugins

import (
	"context"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"

	"sluice/plugins/meter"
	"sluice/router"
)

const (
	// minSlices is how many slices' worth of fuel a call may use in any case. A
	// call that the machine kept from running past its deadline is thus not taken
	// for one that ran too long.
	minSlices = 3

	stackBytes = 1 << 20 // for recursion

	bufferMin = 4 << 10  // bytes asked of a guest's buffer at first
	bufferMax = 4 << 20  // more is never asked for
	maxOthers = 64 << 10 // what a message takes of it beside its content is less

	// asideTime is for how long a call that runs for long steps aside.
	asideTime = 50 * time.Microsecond

	// sampleEvery is how often a call is timed: a look at the clock costs as
	// much as a small filter.
	sampleEvery = 64
)

// instance is one running copy of a guest. Whoever holds its lane owns it; until
// it is put into a lane, its creator does. It is the context of the calls into
// the guest, so that host functions find it without a look-up or an allocation.
type instance struct {
	// Static after creation.
	pool         *pool
	mod          api.Module
	mem          api.Memory
	fuel         api.MutableGlobal
	stackLeft    api.MutableGlobal
	bufferOf     api.Function
	hooks        [router.HookDisconnect + 1]api.Function
	stateVersion uint32
	startPages   uint32
	traced       bool // the host has a tracer

	// Owned by the holder.
	creating context.Context // answers wazero's questions while it instantiates, else nil
	ready    bool            // it has started: calls are about events
	buffer   uint32          // address of the event
	capacity uint32          // bytes usable there
	limit    time.Duration   // of the call under way
	deadline int64           // of the call under way, by nanotime; 0: its clock has not started
	aside    int64           // when it started or last stepped aside, by nanotime
	slices   int             // of fuel that the call under way has used
	excused  time.Duration   // by which its deadline has been moved
	fuelAt   int64           // when the call under way began; of a tracer
	refilled int64           // by which its fuel has been replenished since; of a tracer
	args     [2]uint64
	tail     tail
	noted    *notes // where the host's answers are noted for a candidate, or nil
	replayed *notes // those that a candidate gets, or nil
	tape     *tape  // of the call under way; nil: it is not recorded
}

var _ context.Context = (*instance)(nil)

// Deadline, Done, Err and Value make an instance the context of its calls.
func (in *instance) Deadline() (time.Time, bool) { return time.Time{}, false }
func (in *instance) Done() <-chan struct{}       { return nil }
func (in *instance) Err() error                  { return nil }
func (in *instance) Value(key any) any {
	if in.creating == nil {
		return nil
	}
	return in.creating.Value(key)
}

var processStart = time.Now()

// nanotime is the monotonic clock.
func nanotime() int64 { return int64(time.Since(processStart)) }

// begin prepares the clock of what runs next. It starts when the first slice of
// fuel is used up, so that short calls never look at it.
func (in *instance) begin(limit time.Duration) {
	in.limit, in.deadline, in.slices, in.excused = limit, 0, 0, 0
}

// yield is what a metered guest calls when its fuel is used up.
func (in *instance) yield(mod api.Module) {
	fuel := in.fuel
	if fuel == nil { // in the start function
		fuel, _ = meterGlobals(mod)
	}
	in.slices++
	left := int64(fuel.Get())
	in.refilled += meter.Slice - left
	if left < 0 { // more than a slice's worth, of work that was charged at once
		in.slices += int(-left / meter.Slice)
	}
	if !in.startClock() && in.slices > minSlices {
		now := nanotime()
		if now > in.deadline {
			panic(errTimeout)
		}
		if in.ready && now > in.aside+int64(in.pool.patience) {
			in.stepAside(now)
		}
	}
	fuel.Set(meter.Slice)
}

// startClock sets the deadline of the call under way, unless it is set.
func (in *instance) startClock() (started bool) {
	if in.deadline != 0 {
		return false
	}
	in.aside = nanotime()
	in.deadline = in.aside + int64(in.limit)
	if in.ready {
		in.pool.inFlight.Add(1)
	}
	return true
}

// stepAside lets others have the processor for a moment. A sleep, unlike
// runtime.Gosched, also lets the scheduler look for what the network has
// brought: where processors are few, guests that run for milliseconds, one after
// the other, would hold it up for hundreds of them.
func (in *instance) stepAside(now int64) {
	in.pool.holdSlow(now)
	time.Sleep(asideTime)
	in.aside = nanotime()
	in.excuse(time.Duration(in.aside - now))
}

// charge takes fuel for work that the host does on the guest's behalf. The next
// check in the guest then looks at the clock.
func (in *instance) charge(mod api.Module, units int) {
	fuel := in.fuel
	if fuel == nil {
		fuel, _ = meterGlobals(mod)
	}
	left := int64(fuel.Get())
	fuel.Set(uint64(max(left-int64(units), math.MinInt64/2)))
}

func meterGlobals(mod api.Module) (fuel, stack api.MutableGlobal) {
	fuel, _ = mod.ExportedGlobal(meter.ExportFuel).(api.MutableGlobal)
	stack, _ = mod.ExportedGlobal(meter.ExportStack).(api.MutableGlobal)
	return fuel, stack
}

// call runs one exported function with in.args as parameters and results.
func (in *instance) call(fn api.Function) *failure {
	in.stackLeft.Set(stackBytes)
	if err := fn.CallWithStack(in, in.args[:]); err != nil {
		return classify(err)
	}
	return nil
}

// reserve makes the buffer hold n bytes. It asks for more than that, so that it
// need not ask again for the next event, but is content with n.
func (in *instance) reserve(n int) *failure {
	if n <= int(in.capacity) {
		return nil
	}
	if n > bufferMax {
		return &failure{cause: CauseTooBig, detail: "the event is larger than any buffer"}
	}
	want := uint32(bufferMin)
	for int(want) < n {
		want *= 2
	}
	in.capacity = 0
	for _, size := range []uint32{want, uint32(n)} {
		in.args[0] = uint64(size)
		if f := in.call(in.bufferOf); f != nil {
			return f
		}
		ptr := uint32(in.args[0])
		if ptr == 0 {
			continue
		}
		if ptr%8 != 0 {
			return &failure{cause: CausePointer, detail: "sluice_buffer returned an address that is not a multiple of 8"}
		}
		if _, ok := in.mem.Read(ptr, size); !ok {
			return &failure{cause: CausePointer, detail: "sluice_buffer returned a buffer that lies outside the memory"}
		}
		in.buffer, in.capacity = ptr, size
		return nil
	}
	return &failure{cause: CauseTooBig, detail: "sluice_buffer has no room for the event"}
}

// ask hands the question to its hook. The outputs are a view of the guest's
// memory, good until the guest runs again.
func (in *instance) ask(q *question, limit time.Duration) (verdict int32, out []byte, fail *failure) {
	in.begin(limit)
	in.beginTrace()
	if n := q.size(); n > int(in.capacity) {
		fail = in.reserve(n)
	}
	if fail == nil {
		verdict, out, fail = in.put(q)
	}
	if in.deadline != 0 {
		in.pool.inFlight.Add(-1)
	}
	return verdict, out, fail
}

// put writes the question into the buffer, which is large enough, and calls the
// hook.
func (in *instance) put(q *question) (verdict int32, out []byte, fail *failure) {
	// The view is not kept: the memory may move whenever the guest runs.
	view, ok := in.mem.Read(in.buffer, in.capacity)
	if !ok {
		return 0, nil, &failure{cause: CausePointer, detail: "the buffer lies outside the memory"}
	}
	q.write(view, in.buffer)
	in.args[0] = uint64(in.buffer)
	if fail = in.call(in.hooks[q.event.Hook]); fail != nil {
		return 0, nil, fail
	}
	out, ok = in.mem.Read(in.buffer+outputs, outputsSize)
	if !ok {
		return 0, nil, &failure{cause: CausePointer, detail: "the buffer lies outside the memory"}
	}
	return int32(uint32(in.args[0])), out, nil
}

// wasteful reports whether the instance has grown so close to its limit that a
// fresh one is better: linear memory never shrinks.
func (in *instance) wasteful() bool {
	return in.mem.Size()/pageSize > in.startPages && in.full()
}

// full reports whether more than three quarters of the memory that the instance
// may have are in use.
func (in *instance) full() bool {
	return uint64(in.mem.Size()/pageSize)*4 > uint64(in.pool.module.maxPages)*3
}

func (in *instance) close() { _ = in.mod.Close(context.Background()) }
