package plugins

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero/api"

	"sluice/plugins/keys"
	"sluice/plugins/meter"
)

// What a verification costs in fuel, beside hostCost: hashing the message, and
// one slice for a signature of a public key, which takes about as long, so that
// the clock is looked at when the host returns.
const (
	verifyCost     = 2000
	verifyByteCost = 4
	verifyKeyCost  = meter.Slice
)

// maxExcuse is how much longer a call may take because of verifications, and of
// stepping aside. A signature takes some milliseconds of a slow machine, about as much as the whole
// time of a call; a token has one, tried with a few keys at most.
const maxExcuse = 10 * time.Millisecond

// excuse moves the deadline of the call under way by time that was not the
// guest's, within maxExcuse a call.
func (in *instance) excuse(took time.Duration) {
	if in.pool.shadow == nil {
		took = min(took, maxExcuse-in.excused)
	}
	in.excused += took
	in.deadline += int64(took)
}

// dear reports whether a signature of the algorithm takes milliseconds. A filter
// that verifies such passes the gate of slow ones, so that a flood of tokens,
// good or forged, leaves lanes and processors to others.
func dear(alg []byte) bool { return string(alg) == "ES384" || string(alg) == "ES512" }

// hostVerify is verify(alg, kid, message, signature): 1 if one of the filter's
// keys verifies the signature, 0 if none does.
func hostVerify(in *instance, mod api.Module, stack []uint64) {
	mem := mod.Memory()
	var args [4][]byte
	for i := range args {
		b, ok := mem.Read(uint32(stack[2*i]), uint32(stack[2*i+1]))
		if !ok {
			panic(errBadPointer)
		}
		args[i] = b
	}
	alg, kid, message, signature := args[0], args[1], args[2], args[3]
	set := in.pool.keys
	if set == nil {
		stack[0] = api.EncodeI32(resultUnsupported)
		return
	}
	if len(alg) == 0 {
		stack[0] = api.EncodeI32(resultArgument)
		return
	}
	cost := verifyCost + verifyByteCost*(len(message)+len(signature))
	if alg[0] != 'H' {
		cost += verifyKeyCost
	}
	in.startClock()
	in.charge(mod, cost)
	begin := nanotime()
	result := set.Verify(alg, kid, message, signature)
	end := nanotime()
	in.excuse(time.Duration(end - begin))
	if in.ready && dear(alg) && (result == keys.Verified || result == keys.BadSignature) {
		in.pool.holdSlow(end)
	}
	switch result {
	case keys.Verified:
		stack[0] = 1
	case keys.NoKeys:
		stack[0] = api.EncodeI32(resultUnavailable)
	default:
		stack[0] = 0
	}
}

// keySet reads the filter's keys, which fetches nothing; nil if it has none.
func (h *Host) keySet(s *settings) (*keys.Set, error) {
	if len(s.Keys) == 0 {
		return nil, nil
	}
	return keys.NewSet(s.Keys, keys.Options{Log: h.log.With("filter", s.Name)})
}

// startKeys fetches what the pool's keys need, unless another set has it.
func (p *pool) startKeys(ctx context.Context, from *keys.Set) error {
	if p.keys == nil {
		return nil
	}
	return p.keys.Start(ctx, from)
}

// keysOf is the set of the filter with that name, or nil.
func (c *Chain) keysOf(name string) *keys.Set {
	if c == nil {
		return nil
	}
	for i := range c.filters {
		if p := c.filters[i].pool; p.key.name == name {
			return p.keys
		}
	}
	return nil
}

// sameKeys reports whether a pool with one set can serve for the other.
func sameKeys(a, b *keys.Set) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Same(b)
}

func closeKeys(set *keys.Set) {
	if set != nil {
		set.Close()
	}
}
