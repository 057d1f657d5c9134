package router

import "sluice/router/wire"

// Renew puts an identity in force on the only connection, which is idle, as a
// refresh does that has found the identity to be in order a moment before.
func (r *Router) Renew(id *Identity) {
	c := r.everyone.snapshot()[0].conn
	c.renew(r.cur.Load(), &wire.Command{Type: wire.Refresh}, c.who(), id)
}
