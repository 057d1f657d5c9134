package router

import (
	"fmt"

	"sluice/router/wire"
)

// join executes join_room. Joining twice is as good as once.
func (c *conn) join(cur *current, w *work) judgement {
	cmd := &w.command
	if cmd.HasRecover {
		return c.deny(cmd, wire.Unsupported, "recover: this node keeps no history; join without it")
	}
	if m := c.rooms.find(cmd.Room); m != nil {
		c.sendJoined(cmd.ID, m.group.name, c.r.rule(m.group).announces(m.group.size()))
		return admitted
	}
	room := string(cmd.Room)
	if !c.may(cur, actJoin, room) {
		return c.deny(cmd, wire.Forbidden, "you may not join this room")
	}
	if max := cur.limits.RoomsPerConnection; c.rooms.len() >= max {
		return c.deny(cmd, wire.Forbidden, fmt.Sprintf("you are in %d rooms, which is the most; leave one first", max))
	}
	if cur.handles(HookJoin) {
		e := c.event(w, HookJoin)
		e.Room = room
		if j := c.judge(cur, e, cmd.ID); j != admitted {
			return j
		}
	}
	return c.enter(cur, cmd, room)
}

// enter makes the connection a member: whole, or not at all.
func (c *conn) enter(cur *current, cmd *wire.Command, room string) judgement {
	ctx, cancel := c.r.brokerCtx()
	defer cancel()
	g, err := c.r.rooms.acquire(ctx, room, 0)
	if err != nil {
		c.r.brokerFailed("subscribing to a room", err)
		return c.deny(cmd, wire.Unavailable, "the room cannot be joined now; try again")
	}
	m := &member{conn: c, group: g, present: cur.rules.rule(room).Presence}
	if m.present {
		if err := c.r.broker.Enter(ctx, g.name, c.occupant()); err != nil {
			c.r.rooms.release(g)
			c.r.brokerFailed("entering a room", err)
			return c.deny(cmd, wire.Unavailable, "the room cannot be joined now; try again")
		}
	}
	c.rooms.add(m)
	announced := c.r.rule(g).announces(g.add(m))
	c.sendJoined(cmd.ID, g.name, announced)
	g.activate(m, c.sendHeld)
	if announced {
		c.announce(UserJoined, g.name)
	}
	return admitted
}

func (c *conn) occupant() Occupant {
	id := c.who()
	return Occupant{Conn: c.id, User: id.User, Info: id.Info}
}

func (c *conn) sendJoined(id []byte, room string, announced bool) {
	e := wire.RoomJoined{ID: id, Room: room, Announced: announced}
	c.reply(96+len(room), func(dst []byte) []byte { return wire.AppendJoined(dst, &e) })
}

// leave ends a membership.
func (c *conn) leave(m *member, cause uint32) { c.leaveWith(m, cause, func() {}) }

// leaveWith ends a membership, calling told between the end of its deliveries
// and the announcement of its end.
func (c *conn) leaveWith(m *member, cause uint32, told func()) {
	g := m.group
	left := g.remove(m)
	c.rooms.remove(m)
	told()
	if m.present {
		c.leavePresence(g.name)
	}
	if c.r.rule(g).announces(left + 1) {
		c.announce(UserLeft, g.name)
	}
	c.r.rooms.release(g)
	c.observeLeave(g.name, cause)
}

func (c *conn) leavePresence(room string) {
	ctx, cancel := c.r.brokerCtx()
	defer cancel()
	if err := c.r.broker.Leave(ctx, room, c.occupant()); err != nil {
		c.r.brokerFailed("leaving a room", err)
	}
}

// announces reports whether arrivals and departures are announced in a room
// with that many members on this node.
func (b *boundRule) announces(members int) bool {
	switch b.Announce {
	case AnnounceOn:
		return true
	case AnnounceOff:
		return false
	}
	return members <= AnnounceMax
}

// announce tells a room that the user came or left.
func (c *conn) announce(kind MessageKind, room string) {
	id := c.who()
	c.r.publish(&Message{Kind: kind, ID: c.r.ids.next(), Room: room, From: id.User, Conn: c.id, Info: id.Info})
}

// announceConnection tells everyone else that the user connected or
// disconnected, if this node does so.
func (r *Router) announceConnection(c *conn, kind MessageKind) {
	switch r.opts.AnnounceConnections {
	case AnnounceOff:
		return
	case AnnounceAuto:
		connections := r.everyone.size()
		if kind == UserDisconnected {
			connections++ // this one has left already
		}
		if !r.cur.Load().open || connections > AnnounceMax {
			return
		}
	}
	c.announce(kind, "")
}
