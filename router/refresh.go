package router

import (
	"bytes"
	"errors"
	"time"

	"sluice/router/wire"
)

// refresh executes refresh: the connect filters judge the token, and the
// identity that they give replaces the connection's. Whatever goes wrong, the
// connection keeps the identity that it has.
func (c *conn) refresh(cur *current, w *work) judgement {
	cmd := &w.command
	old := c.who()
	if ref := c.mayRefresh(cur, old); ref != nil {
		return c.refuseRefresh(cmd, ref)
	}
	e := c.event(w, HookConnect)
	e.Kind, e.Payload = KindRefresh, cmd.Token
	e.Claims, e.Expires = nil, 0 // the new identity comes from the token alone
	if errors.Is(cur.Filters.Judge(e), ErrRetired) {
		c.r.count.retired.Add(1)
		return retired
	}
	c.refreshAt = max(c.refreshAt, time.Since(c.r.born)) + refreshInterval
	given, ref := c.r.connectVerdict(&e.Verdict)
	if ref != nil {
		if ref.close != 0 {
			c.r.count.refreshes.count(ref.cause)
			c.close(ref.close, ref.reason)
			return refused
		}
		return c.refuseRefresh(cmd, ref)
	}
	id, ref := c.r.named(given)
	if ref == nil && id.User != old.User {
		ref = &refusal{cause: RefreshOtherUser, code: wire.Forbidden, reason: "the token is another user's; open a connection of its own for it"}
	}
	if ref != nil {
		return c.refuseRefresh(cmd, ref)
	}
	c.renew(cur, cmd, old, id)
	return admitted
}

// Bounds of how often a connection may refresh, for it costs the node much more
// than it costs the client.
const (
	refreshInterval = time.Second
	refreshBurst    = 5
)

// mayRefresh says why a token is not even looked at; nil: it is.
func (c *conn) mayRefresh(cur *current, old *Identity) *refusal {
	if cur.open {
		return &refusal{cause: RefreshUnsupported, code: wire.Unsupported, reason: "this node asks nobody for an identity, so there is none to renew"}
	}
	if isAnonymous(old.User) {
		return &refusal{cause: RefreshOtherUser, code: wire.Forbidden, reason: "this connection is anonymous; connect again with the token"}
	}
	if wait := c.refreshAt - time.Since(c.r.born) - (refreshBurst-1)*refreshInterval; wait > 0 {
		return &refusal{cause: RefusedRate, code: wire.RateLimited, reason: "refreshing too often", retry: max(wait, time.Millisecond)}
	}
	return nil
}

func (c *conn) refuseRefresh(cmd *wire.Command, ref *refusal) judgement {
	c.r.count.refreshes.count(ref.cause)
	c.refuse(&wire.Refusal{ID: cmd.ID, Code: ref.code, Reason: ref.reason, Filter: ref.filter, RetryAfterMS: ref.retry.Milliseconds()})
	return refused
}

// renew puts the new identity in force, and ends what it does not allow.
func (c *conn) renew(cur *current, cmd *wire.Command, old, id *Identity) {
	if !c.identity.CompareAndSwap(old, id) {
		c.r.count.refreshes.count(RefusedExpired) // meanwhile; expire has closed the connection
		return
	}
	if ref := c.r.revoked.refusal(id); ref != nil { // meanwhile: Revoke may have seen the old one
		c.r.count.refreshes.count(ref.cause)
		c.cutOff(ref)
		return
	}
	c.r.count.refreshes.count(RefreshRenewed)
	c.watchExpiry()
	e := wire.Refreshed{ID: cmd.ID, ExpiresAt: expiresUnix(id)}
	c.reply(96, func(dst []byte) []byte { return wire.AppendRefreshed(dst, &e) })
	c.leaveUngranted(cur, id)
	if !bytes.Equal(old.Info, id.Info) {
		c.renewPresence()
	}
}

// leaveUngranted leaves the rooms that the identity may not join.
func (c *conn) leaveUngranted(cur *current, id *Identity) {
	grants := cur.grants(id)
	c.rooms.each(func(m *member) {
		room := m.group.name
		if grants.may(actJoin, room, id.User) {
			return
		}
		c.remove(m, "the refreshed identity may not be in this room")
	})
}

// renewPresence shows the new info where the connection is seen.
func (c *conn) renewPresence() {
	ctx, cancel := c.r.brokerCtx()
	defer cancel()
	c.rooms.each(func(m *member) {
		if !m.present {
			return
		}
		if _, err := c.r.broker.Enter(ctx, m.group.name, c.occupant()); err != nil {
			c.r.brokerFailed("renewing presence", err)
		}
	})
}

// watchExpiry has the connection closed when its identity expires. It belongs
// to the connection's goroutine, as c.expiry does.
func (c *conn) watchExpiry() {
	if c.expiry != nil {
		c.expiry.Stop()
		c.expiry = nil
	}
	id := c.who()
	if id.Expires.IsZero() {
		return
	}
	if left := time.Until(id.Expires); left < maxExpiry {
		c.expiry = c.r.engine.AfterFunc(left, func() { c.expire() })
	}
}

// expire closes the connection if its identity has expired, and reports whether
// it has. Of an expiry and a refresh at the same time one replaces the
// identity, and the other sees that it did.
func (c *conn) expire() bool {
	id := c.who()
	if !id.expired() {
		return false // a timer that was stopped too late
	}
	last := *id
	if c.identity.CompareAndSwap(id, &last) {
		c.close(wire.CloseExpired, "the identity has expired; connect again with a fresh token")
	}
	return true
}
