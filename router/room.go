package router

import (
	"fmt"

	"sluice/router/wire"
)

// join executes join_room. Joining twice is as good as once.
func (c *conn) join(cur *current, w *work) judgement {
	cmd := &w.command
	if m := c.rooms.find(cmd.Room); m != nil {
		return c.joinAgain(cur, cmd, m)
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
	g, err := c.r.rooms.acquire(ctx, room, 0)
	cancel()
	if err != nil {
		return c.cannotJoin(cmd, "subscribing to a room", err)
	}
	rule := c.r.rule(g)
	m := &member{conn: c, group: g, present: rule.Presence}
	c.rooms.add(m)
	here, at := g.enter(m, rule) // from here on m's deliveries wait for it
	undo := func() {
		g.remove(m)
		c.rooms.remove(m)
		c.r.rooms.release(g)
	}
	rec, err := c.recovered(cur, cmd, rule, g.name, standing{Position: at})
	if err != nil {
		undo()
		return c.cannotJoin(cmd, "reading what was missed", err)
	}
	first := here.alone
	if m.present {
		if first, err = c.enterPresence(g.name); err != nil {
			undo()
			return c.cannotJoin(cmd, "entering a room", err)
		}
	}
	c.sendJoined(cmd.ID, g.name, rule, here.announced, rec)
	g.activate(m, rec.has, c.sendHeld)
	if here.announced && (first || rule.AnnouncePer == AnnouncePerConnection) {
		c.announce(UserJoined, g.name)
	}
	return admitted
}

func (c *conn) cannotJoin(cmd *wire.Command, doing string, err error) judgement {
	c.r.brokerFailed(doing, err)
	return c.deny(cmd, wire.Unavailable, "the room cannot be joined now; try again")
}

// joinAgain answers join_room in a room that the connection is in. It says where
// the deliveries are, so they wait meanwhile.
func (c *conn) joinAgain(cur *current, cmd *wire.Command, m *member) judgement {
	g, rule := m.group, c.r.rule(m.group)
	at, members := g.again(m)
	rec, err := c.recovered(cur, cmd, rule, g.name, at)
	if err != nil {
		g.activate(m, at, c.sendHeld)
		c.r.brokerFailed("reading what was missed", err)
		return c.deny(cmd, wire.Unavailable, "what you missed cannot be read now; try again")
	}
	c.sendJoined(cmd.ID, g.name, rule, rule.announces(members), rec)
	g.activate(m, rec.has, c.sendHeld)
	return admitted
}

func (c *conn) enterPresence(room string) (first bool, err error) {
	ctx, cancel := c.r.brokerCtx()
	defer cancel()
	return c.r.broker.Enter(ctx, room, c.occupant())
}

func (c *conn) occupant() Occupant {
	id := c.who()
	return Occupant{Conn: c.id, User: id.User, Info: id.Info}
}

func (c *conn) sendJoined(id []byte, room string, rule *boundRule, announced bool, rec recovery) {
	e := wire.RoomJoined{ID: id, Room: room, Announced: announced, Asked: rec.asked, Recovered: rec.recovered, Messages: rec.messages}
	if rule.keepsHistory() {
		e.Epoch, e.Offset = rec.has.Epoch, rec.has.Offset
	}
	c.reply(128+len(room)+len(e.Epoch)+len(e.Messages), func(dst []byte) []byte { return wire.AppendJoined(dst, &e) })
}

// leave ends a membership.
func (c *conn) leave(m *member, cause uint32) { c.leaveWith(m, cause, nil) }

// leaveWith ends a membership, calling told, unless it is nil, between the end of its
// deliveries and the announcement of its end.
func (c *conn) leaveWith(m *member, cause uint32, told func()) {
	g := m.group
	rule := c.r.rule(g)
	here := g.leave(m, rule)
	c.rooms.remove(m)
	if told != nil {
		g.settle() // a delivery that has seen m as a member may come still
		told()
	}
	last := here.alone
	if m.present {
		last = c.leavePresence(g.name)
	}
	if here.announced && (last || rule.AnnouncePer == AnnouncePerConnection) {
		c.announce(UserLeft, g.name)
	}
	c.r.rooms.release(g)
	c.observeLeave(g.name, cause)
}

// leavePresence reports that the user is not in the room any more, as far as the
// broker knows.
func (c *conn) leavePresence(room string) (last bool) {
	ctx, cancel := c.r.brokerCtx()
	defer cancel()
	last, err := c.r.broker.Leave(ctx, room, c.occupant())
	if err != nil {
		c.r.brokerFailed("leaving a room", err)
	}
	return last
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
