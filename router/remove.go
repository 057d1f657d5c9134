package router

import "sync"

// removeFromRoom takes the connections that a user has on this node out of a room, or
// out of all rooms if room is "", and returns how many memberships that ended. A
// connection that is executing a command leaves when that has ended, and the
// broker may be asked: Deliver must not call this.
func (r *Router) removeFromRoom(user, room, reason string) (removed int) {
	g := r.users.lookup(user)
	if g == nil {
		return 0
	}
	if reason == "" {
		reason = defaultRemoval
	}
	var busy []*conn
	for _, m := range g.snapshot() {
		switch {
		case m.state.Load() == gone:
		case m.conn.turn.TryLock():
			removed += m.conn.removeFrom(room, reason)
		default:
			busy = append(busy, m.conn)
		}
	}
	var later sync.WaitGroup
	counts := make([]int, len(busy))
	for i, c := range busy {
		later.Go(func() {
			c.turn.Lock()
			counts[i] = c.removeFrom(room, reason)
		})
	}
	later.Wait()
	for _, n := range counts {
		removed += n
	}
	return removed
}

const defaultRemoval = "you have been removed from this room"

// removeFrom ends memberships on behalf of the node's operator. The caller has the
// connection's turn, which ends with it.
func (c *conn) removeFrom(room, reason string) (removed int) {
	defer c.turn.Unlock()
	c.r.guard("a removal from a room", func() {
		if room != "" {
			if m := c.rooms.find([]byte(room)); m != nil {
				removed++
				c.remove(m, reason)
			}
			return
		}
		c.rooms.each(func(m *member) {
			removed++
			c.remove(m, reason)
		})
	})
	return removed
}

// remove ends a membership that the client did not end, and says so.
func (c *conn) remove(m *member, reason string) {
	c.r.count.removed.Add(1)
	c.leaveWith(m, CauseRemoved, func() { c.sendLeft(nil, m.group.name, reason) })
}
