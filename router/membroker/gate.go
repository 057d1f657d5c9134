package membroker

import "sync/atomic"

// gate counts the calls under way to a node's sink, and can be shut. A lock
// would do the same, but no sink is called under a lock.
type gate struct {
	state atomic.Int64  // calls under way, plus gateShut
	idle  chan struct{} // of one place: filled when a shut gate is empty
	_     [48]byte      // neighbours are on other cache lines
}

const gateShut = 1 << 62

// pass reports whether the gate is open; if so, done must follow.
func (g *gate) pass() bool {
	if g.state.Add(1) < gateShut {
		return true
	}
	g.done()
	return false
}

func (g *gate) done() {
	if g.state.Add(-1) == gateShut {
		select {
		case g.idle <- struct{}{}:
		default:
		}
	}
}

// shut closes the gate and returns when the calls under way have ended. It is
// called once.
func (g *gate) shut() {
	if g.state.Add(gateShut) != gateShut {
		<-g.idle
	}
}
