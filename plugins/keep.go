package plugins

import (
	"errors"

	"github.com/tetratelabs/wazero/api"

	"sluice/plugins/store"
)

// What a filter keeps on the node, by metric_add, counter_add, bucket_take,
// kv_get and kv_set: a store.Space for each name of a filter.

// What these calls cost in fuel, beside hostCost. A call that found the quota
// used up has looked everywhere for something to drop.
const (
	keepCost       = 150
	keepRefuseCost = 2000
	bytesPerGet    = 4 // for one unit
	bytesPerSet    = 2
)

// Defaults and maxima of a Quota.
const (
	DefaultCounters = 100_000
	MaxCounters     = 10_000_000
	DefaultValues   = 8 << 20 // bytes
	MaxValues       = 1 << 30 // bytes
	DefaultSeries   = 32
	MaxSeries       = 1000
)

// view reads a string parameter. It is good until the guest runs again.
func view(mod api.Module, ptr, n uint64) []byte {
	b, ok := mod.Memory().Read(uint32(ptr), uint32(n))
	if !ok {
		panic(errBadPointer)
	}
	return b
}

// refusal is the result that tells a guest of an error of its space.
func (in *instance) refusal(mod api.Module, err error) int64 {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return resultNotFound
	case errors.Is(err, store.ErrQuota):
		in.charge(mod, keepRefuseCost)
		return resultQuota
	}
	return resultArgument
}

func hostMetricAdd(in *instance, mod api.Module, stack []uint64) {
	name := view(mod, stack[0], stack[1])
	var result int64
	if err := in.pool.space.MetricAdd(name, int64(stack[2])); err != nil {
		result = in.refusal(mod, err)
	}
	stack[0] = api.EncodeI32(int32(result))
}

func hostCounterAdd(in *instance, mod api.Module, stack []uint64) {
	key := view(mod, stack[0], stack[1])
	args := [3]uint64{stack[2], stack[3]}
	if n := in.replay(askCounter, key, args); n != nil {
		stack[0] = n.result
		return
	}
	value, err := in.pool.space.CounterAdd(key, int64(stack[2]), int64(stack[3]))
	if err != nil {
		value = in.refusal(mod, err)
	}
	in.note(askCounter, key, args, uint64(value), nil)
	stack[0] = uint64(value)
}

func hostBucketTake(in *instance, mod api.Module, stack []uint64) {
	key := view(mod, stack[0], stack[1])
	args := [3]uint64{stack[2], stack[3], stack[4]}
	if n := in.replay(askBucket, key, args); n != nil {
		stack[0] = n.result
		return
	}
	wait, err := in.pool.space.BucketTake(key, int64(stack[2]), int64(stack[3]), int64(stack[4]))
	if err != nil {
		wait = in.refusal(mod, err)
	}
	in.note(askBucket, key, args, uint64(wait), nil)
	stack[0] = uint64(wait)
}

func hostKVGet(in *instance, mod api.Module, stack []uint64) {
	key, out := view(mod, stack[0], stack[1]), view(mod, stack[2], stack[3])
	var value []byte
	if n := in.replay(askValue, key, [3]uint64{}); n != nil {
		value, stack[0] = n.data, n.result
	} else {
		var err error
		if value, err = in.pool.space.Get(key); err == nil {
			stack[0] = api.EncodeI32(int32(len(value)))
		} else {
			stack[0] = api.EncodeI32(int32(in.refusal(mod, err)))
		}
		in.note(askValue, key, [3]uint64{}, stack[0], value)
	}
	if len(value) <= len(out) {
		in.charge(mod, len(value)/bytesPerGet)
		copy(out, value)
	}
}

func hostKVSet(in *instance, mod api.Module, stack []uint64) {
	key, value := view(mod, stack[0], stack[1]), view(mod, stack[2], stack[3])
	in.charge(mod, len(value)/bytesPerSet)
	if in.replayed != nil {
		in.replayed.forget(key)
	}
	var result int64
	if err := in.pool.space.Set(key, value, int64(stack[4])); err != nil {
		result = in.refusal(mod, err)
	}
	stack[0] = api.EncodeI32(int32(result))
}

// space is a filter's, with how many pools have it.
type space struct {
	*store.Space
	refs int
}

// Space returns what the filter of that name keeps, or nil if no chain has one.
// It is for tools: given things before the first event, and what is left.
func (h *Host) Space(filter string) *store.Space {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.spaces[filter]; s != nil {
		return s.Space
	}
	return nil
}

// takeSpace is the space of a pool that is about to be made. A larger quota
// takes effect at once, so that on_configure can use it; see applyQuotas.
func (h *Host) takeSpace(filter string, q Quota) *store.Space {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.spaces[filter]
	if s == nil {
		s = &space{Space: store.New(store.Quota(q), h.clock)}
		h.spaces[filter] = s
	} else {
		s.RaiseQuota(store.Quota(q))
	}
	s.refs++
	return s.Space
}

func (h *Host) releaseSpace(filter string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.releaseSpaceLocked(filter)
}

// releaseSpaceLocked forgets what a filter keeps when its last pool is gone.
func (h *Host) releaseSpaceLocked(filter string) {
	s := h.spaces[filter]
	if s.refs--; s.refs == 0 {
		delete(h.spaces, filter)
	}
}

// applyQuotas sets those of a chain's filters: of a new one that is complete, or
// of the one before, if the new one has failed.
func (c *Chain) applyQuotas() {
	if c == nil || c.retired.Load() {
		return
	}
	for _, f := range versionsOf(c.filters) {
		f.pool.space.SetQuota(store.Quota(f.Quota))
	}
}

// clockOf is the time that spaces go by, in nanoseconds since the host started.
// Unless it is a test's, it never goes backwards.
func clockOf(o *HostOptions) func() int64 {
	if o.Now == nil {
		return nanotime
	}
	now, started := o.Now, o.Now()
	return func() int64 { return int64(now().Sub(started)) }
}
