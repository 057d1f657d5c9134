package plugins

// Retire declares that the chain has been replaced, waits until no event is
// judged by it any more, which includes those whose lookup is under way, and
// closes what no other chain shares. Judge then returns router.ErrRetired.
func (c *Chain) Retire() {
	c.retired.Store(true)
	if c.ended.Swap(true) {
		return
	}
	if c.looks {
		// Once each lane has been visited nothing more is pinned.
		c.host.lanes.visit(func(int) {})
		c.pins.Wait()
	}
	c.host.releaseLookers(c.filters)
	dead := c.host.releasePools(c.filters)
	c.host.closePools(dead)
	c.host.releaseModules(dead)
}

// Park declares that the chain has been replaced, as Retire does, but closes
// nothing, so that Resume can put it back. When it returns, nothing begins to be
// judged by it any more; events whose lookup is under way still end with it.
func (c *Chain) Park() {
	c.retired.Store(true)
	c.host.lanes.visit(func(int) {})
}

// Resume makes a parked chain judge again. It cannot fail: whatever the chain
// needs is still there. It must not have been retired.
func (c *Chain) Resume() {
	c.retired.Store(false)
	c.applyQuotas()
}
