package plugins

import (
	"context"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/experimental"

	"sluice/plugins/keys"
	"sluice/plugins/store"
	"sluice/router"
)

const (
	// An instance that starts within so much fuel (a slice is about 50 µs) and
	// memory is replaced while its lane waits. Dearer ones get a successor that
	// was made in the background. It is not the clock that decides, so that a
	// filter behaves alike on a busy machine and on an idle one.
	cheapSlices = 4
	cheapPages  = 32

	// inPlaceTime bounds a creation that a lane waits for.
	inPlaceTime = 20 * time.Millisecond

	// slowCall is the time above which a call is slow. Filters whose calls mostly
	// are pass a gate.
	slowCall = 100 * time.Microsecond

	// slowLoop is the time after which a call that is still under way steps aside
	// for others, again and again, and makes its filter slow at once, and slowHold how long a filter stays so at least: its
	// next calls may be quick, and the one after them not.
	slowLoop = time.Millisecond
	slowHold = time.Second

	// recycleEvery is how long an instance that came close to its memory limit
	// is kept at least.
	recycleEvery = time.Minute
)

// Backoff between creations that fail, and between renewals.
const (
	backoffMin = 10 * time.Millisecond
	backoffMax = time.Second
)

// poolKey says which filters of successive chains share instances: what a
// guest can observe of its settings is equal, but for its keys (see sameKeys).
type poolKey struct {
	module moduleKey
	name   string
	config string
	beside [32]byte // of a shadow: the version that it runs beside, see besideKey; else zero
}

// pool is the instances of one plugin with one configuration, one for each
// lane. Chains share it.
type pool struct {
	// Static after construction.
	host   *Host
	key    poolKey
	module *module
	keys   *keys.Set // of verify; nil: none
	space  *store.Space
	cheap  bool // instances are replaced in place
	loaded time.Time
	done   chan struct{}

	patience time.Duration // slowLoop, or what stands for it

	slots []slot // slot i is owned by the holder of lane i; a shadow's only one by its worker

	shadow *shadow // nil: the pool is on the path of events

	closed     atomic.Bool
	slow       atomic.Bool
	slowUntil  atomic.Int64 // nanotime
	inFlight   atomic.Int64 // calls whose clock has started: short ones are not counted
	overloaded atomic.Uint64
	created    atomic.Uint64
	logLost    atomic.Uint64

	lookupDenied atomic.Uint64 // events refused because of a miss
	lookupFailed atomic.Uint64 // events refused, or passed by the filter, because of a failure

	// Guarded by Host.mu.
	refs int

	spares spares // has a lock of its own
}

// slot is a pool's place in one lane, with the lane's counts.
type slot struct {
	in        *instance
	calls     uint64
	verdicts  [router.Disconnect + 1]uint64
	failures  [numCauses]uint64
	mean      time.Duration // of the timed calls, the latest weighing most
	timed     uint64
	timedFor  time.Duration // of all timed calls
	history   uint8         // of the last eight timed calls: whether they were slow
	recycleAt int64         // nanotime
	renewAt   int64         // nanotime
	renewals  time.Duration // the time between the last two
	retryAt   int64         // nanotime
	backoff   time.Duration
	_         [64]byte
}

// newPool creates an instance for each lane.
func newPool(h *Host, m *module, key poolKey, set *keys.Set, q Quota) (*pool, *failure) {
	p := &pool{host: h, key: key, module: m, keys: set, loaded: time.Now(), done: make(chan struct{}), slots: make([]slot, len(h.lanes.all))}
	p.patience = slowLoop
	if key.beside != ([32]byte{}) {
		p.patience = shadowLoop
		p.slots = p.slots[:1]
		p.shadow = newShadow(p)
		p.space = h.shadowSpace(p.shadow, key.name, q)
	} else {
		p.space = h.takeSpace(key.name, q)
	}
	for i := range p.slots {
		in, f := p.create(StartTime)
		if f != nil {
			p.closeSlots()
			if p.shadow == nil {
				h.releaseSpace(key.name)
			}
			return nil, f
		}
		p.cheap = in.slices <= cheapSlices && in.startPages <= cheapPages
		p.slots[i].in = in
	}
	p.spares.fillFirst(p, p.slots[0].in.startPages)
	if p.shadow != nil {
		p.shadow.start()
	}
	return p, nil
}

// create makes an instance and runs everything that precedes its first event,
// within the time.
func (p *pool) create(limit time.Duration) (in *instance, fail *failure) {
	in = &instance{pool: p, traced: p.host.tracer != nil && p.shadow == nil}
	defer func() {
		if r := recover(); r != nil {
			fail = &failure{cause: CauseInternal, detail: fmt.Sprint(r)}
		}
		if fail != nil {
			fail.tail = in.tail.take()
			if in.mod != nil {
				in.close()
			}
			in = nil
		}
	}()
	in.begin(limit)
	var memory *guestMemory
	allocate := experimental.MemoryAllocatorFunc(func(_, limit uint64) experimental.LinearMemory {
		memory = newGuestMemory(p.host, limit)
		return memory
	})
	in.creating = experimental.WithMemoryAllocator(
		experimental.WithImportResolver(context.Background(), p.module.resolve), allocate)
	mod, err := p.module.runtime.InstantiateModule(in, p.module.compiled, p.module.instantiable)
	if err != nil {
		if memory != nil { // a start function failed: wazero has forgotten the memory
			memory.Free()
		}
		return in, classify(err)
	}
	in.creating, in.mod, in.mem = nil, mod, mod.Memory()
	in.fuel, in.stackLeft = meterGlobals(mod)
	in.startPages = in.mem.Size() / pageSize
	in.bufferOf = mod.ExportedFunction(exportBuffer)
	for h := router.HookConfigure; h <= router.HookDisconnect; h++ {
		if p.module.hooks.has(h) {
			in.hooks[h] = mod.ExportedFunction(hookExports[h])
		}
	}
	if fail = in.start(); fail != nil {
		return in, fail
	}
	in.startPages = in.mem.Size() / pageSize
	in.ready = true
	p.created.Add(1)
	return in, nil
}

// start runs what initialises the guest, and its on_configure.
func (in *instance) start() *failure {
	m := in.pool.module
	if m.hasInit {
		if f := in.call(in.mod.ExportedFunction(exportInit)); f != nil {
			return f.during(exportInit)
		}
	}
	if m.hasState {
		if f := in.call(in.mod.ExportedFunction(exportState)); f != nil {
			return f.during(exportState)
		}
		in.stateVersion = uint32(in.args[0])
	}
	if !m.hooks.has(router.HookConfigure) {
		return in.reserve(inputsAt).during(exportBuffer)
	}
	event := router.Event{Hook: router.HookConfigure, Time: in.pool.host.now().UnixNano()}
	q := question{event: &event, payload: []byte(in.pool.key.config)}
	in.beginTrace()
	verdict, f := in.configure(&q)
	in.trace(router.HookConfigure, verdict, f)
	return f
}

// configure calls on_configure and judges its answer.
func (in *instance) configure(q *question) (int32, *failure) {
	if f := in.reserve(q.size()); f != nil {
		return 0, f.during(exportBuffer)
	}
	verdict, out, f := in.put(q)
	if f != nil {
		return 0, f.during(hookExports[router.HookConfigure])
	}
	return verdict, in.configured(verdict, out)
}

// configured judges on_configure's answer: 0 accepts, 2 (deny) refuses with a
// reason.
func (in *instance) configured(verdict int32, out []byte) *failure {
	if verdict == int32(router.Continue) {
		return nil
	}
	if verdict > int32(router.Continue) && verdict != int32(router.Deny) {
		return &failure{cause: CauseVerdict, detail: fmt.Sprintf("on_configure returned %d, which is no verdict of it", verdict)}
	}
	r := reader{in: in, out: out}
	reason := string(r.text(outReason, maxReason).bytes)
	if reason == "" {
		reason = fmt.Sprintf("on_configure returned %d without a reason", verdict)
	}
	return &failure{cause: CauseGuest, detail: RefusedConfiguration + reason}
}

// instance is the lane's, or its successor, or nil if there is none yet.
func (p *pool) instance(i int) *instance {
	s := &p.slots[i]
	if s.in == nil && !p.closed.Load() {
		s.in = p.successor(s)
	}
	return s.in
}

func (p *pool) successor(s *slot) *instance {
	if !p.cheap {
		return p.spares.take()
	}
	if s.retryAt != 0 && nanotime() < s.retryAt {
		return nil
	}
	in, f := p.create(inPlaceTime)
	if f != nil {
		s.backoff = min(max(2*s.backoff, backoffMin), backoffMax)
		s.retryAt = nanotime() + int64(s.backoff)
		p.host.reports.failure(p, router.HookConfigure, f)
		return nil
	}
	s.backoff, s.retryAt = 0, 0
	return in
}

// discard closes the lane's instance.
func (s *slot) discard() {
	s.in.close()
	s.in = nil
}

// settle looks after a slot's instance when a call has succeeded: one that has
// come close to its memory limit is replaced, but not all the time.
func (s *slot) settle() {
	if !s.in.wasteful() {
		return
	}
	if now := nanotime(); now >= s.recycleAt {
		s.recycleAt = now + int64(recycleEvery)
		s.discard()
	}
}

// renew looks after a slot's instance when a call has failed, but left it as it
// was: one that is close to its memory limit may be failing for want of memory,
// and would for ever. The wait doubles while one renewal follows the other.
func (s *slot) renew(in *instance) {
	if !in.full() {
		return
	}
	now := nanotime()
	if now < s.renewAt {
		return
	}
	if now > s.renewAt+int64(backoffMax) {
		s.renewals = 0
	}
	s.renewals = min(max(2*s.renewals, backoffMin), backoffMax)
	s.renewAt = now + int64(s.renewals)
	s.discard()
}

// observe notes the time of a timed call. A filter is slow if most of its latest
// timed calls were: a machine that is busy with something else makes single
// calls of any filter look slow.
func (p *pool) observe(s *slot, d time.Duration) {
	s.history <<= 1
	if d > slowCall {
		s.history |= 1
	}
	if s.timed++; s.timed == 1 {
		s.mean = d
	}
	s.timedFor += d
	s.mean += (d - s.mean) / 4
	if s.timed < 8 {
		return
	}
	slow := bits.OnesCount8(s.history) > 4
	if slow != p.slow.Load() && (slow || nanotime() >= p.slowUntil.Load()) {
		p.slow.Store(slow)
	}
}

// holdSlow makes the filter slow for a while, from now on.
func (p *pool) holdSlow(now int64) {
	p.slowUntil.Store(now + int64(slowHold))
	p.slow.Store(true)
}

// retire closes what the pool holds beside its lanes, and lets nothing new be
// made. The lanes' instances are closed by whoever visits the lanes.
func (p *pool) retire() {
	if !p.closed.Swap(true) {
		close(p.done)
		closeKeys(p.keys)
	}
	p.spares.close()
}

// closeSlot closes the instance of a lane that the caller holds.
func (p *pool) closeSlot(i int) {
	if p.slots[i].in != nil {
		p.slots[i].discard()
	}
}

// closeSlots closes the instances of a pool that is in no chain yet.
func (p *pool) closeSlots() {
	for i := range p.slots {
		p.closeSlot(i)
	}
}
