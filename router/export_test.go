package router

import "sluice/router/wire"

// Renew puts an identity in force on the only connection, which is idle, as a
// refresh does that has found the identity to be in order a moment before.
func (r *Router) Renew(id *Identity) {
	c := r.everyone.snapshot()[0].conn
	c.renew(r.cur.Load(), &wire.Command{Type: wire.Refresh}, c.who(), id)
}

// RemoveFromRoom is what an order to remove a user comes to on a node.
func (r *Router) RemoveFromRoom(user, room, reason string) int {
	return r.removeFromRoom(user, room, reason)
}
