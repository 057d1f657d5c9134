package router

import (
	"sluice/router/socket"
	"sluice/router/wire"
)

// Deliver takes a message from the broker and sends it to its receivers on this
// node. It encodes once for all of them and waits for no client. If a large group's
// deliveries come faster than the writers pass them on, it waits for those.
func (r *Router) Deliver(m *Message) {
	r.guard("a delivery", func() { r.deliver(m) })
}

func (r *Router) deliver(m *Message) {
	if m.Kind < RoomMessage || m.Kind > RoomGap {
		r.count.dropped.count(DroppedUnknown)
		return
	}
	r.count.received.add(int(m.Kind-RoomMessage), 1)
	switch m.Kind {
	case RoomMessage, UserJoined, UserLeft:
		if g := r.rooms.lookup(m.Room); g != nil {
			r.spread(g, &delivery{item: r.roomItem(g, m), at: m.Position})
		}
	case DirectMessage:
		if g := r.users.lookup(m.Target); g != nil {
			r.spread(g, &delivery{item: socket.Item{Frame: encode(m)}})
		}
	case ControlMessage:
		r.control(m)
	case RoomGap:
		r.deliverGap(m)
	default:
		if g := r.everyone; g.size() > 0 {
			r.spread(g, &delivery{item: socket.Item{Frame: encode(m)}, except: m.Conn})
		}
	}
}

// spread brings a delivery to the members of a group, or on its way to them.
func (r *Router) spread(g *group, d *delivery) {
	for {
		switch s := g.take(d, r); s.way {
		case full:
			<-s.room
			continue
		case stale:
			r.count.dropped.count(DroppedStale)
		case byFeeds:
			s.feeds.post()
		case direct:
			r.fanOut(g, s.list, d)
		}
		return
	}
}

// deliverGap tells those whom it concerns that messages may be missing.
func (r *Router) deliverGap(m *Message) {
	e := wire.Gap{Room: m.Room, Reason: wire.GapPossible}
	if m.Room != "" && m.Epoch != "" {
		e.Reason, e.Epoch, e.Offset = wire.GapLost, m.Epoch, m.Offset
	}
	d := delivery{item: socket.Item{Frame: gapFrame(&e)}, tells: e.Reason}
	g := r.everyone
	switch {
	case m.Room != "":
		g = r.rooms.lookup(m.Room)
		if g == nil {
			return
		}
		d.item.Tag = &g.name // it neither displaces messages nor is displaced by them
		d.item.Policy, d.item.Gap = r.whenFull(g)
		d.at, d.skips = m.Position, true // behind it deliveries go on
	case m.Target != "":
		g = r.users.lookup(m.Target)
	}
	if g != nil {
		r.spread(g, &d)
	}
}

func gapFrame(e *wire.Gap) *socket.Frame {
	return socket.NewFrame(80+len(e.Room)+len(e.Epoch), func(dst []byte) []byte { return wire.AppendGap(dst, e) })
}

// roomItem is the room's event with what should happen to it in a full queue.
func (r *Router) roomItem(g *group, m *Message) socket.Item {
	item := socket.Item{Frame: encode(m), Tag: g}
	item.Policy, item.Gap = r.whenFull(g)
	if item.Policy == socket.KeepLatest && m.Kind != RoomMessage {
		item.Tag = &g.name // an announcement does not displace the newest message
	}
	return item
}

func (r *Router) whenFull(g *group) (socket.Policy, func() *socket.Frame) {
	switch r.rule(g).Slow {
	case SlowDropOldest:
		return socket.DropOldest, g.gap()
	case SlowKeepLatest:
		return socket.KeepLatest, g.gap()
	}
	return socket.Disconnect, nil
}

// Describe says of this node what the others may know. It is part of Sink.
func (r *Router) Describe() NodeInfo {
	cur := r.cur.Load()
	return NodeInfo{
		ID:          r.opts.NodeID,
		Version:     r.opts.Version,
		Started:     r.born,
		Connections: r.everyone.size(),
		Users:       r.users.len(),
		Rooms:       r.rooms.len(),
		Generation:  cur.Number,
		Filters:     digestOf(cur.Filters),
		Draining:    r.draining.Load(),
	}
}

// digestOf is what the chain says of itself; "" if it says nothing.
func digestOf(f Filters) string {
	if d, ok := f.(interface{ Digest() string }); ok {
		return d.Digest()
	}
	return ""
}

// encode makes the event that receivers get of a message.
func encode(m *Message) *socket.Frame {
	return socket.NewFrame(128+len(m.From)+len(m.Info)+len(m.Content)+len(m.Room), func(dst []byte) []byte {
		switch m.Kind {
		case UserJoined, UserLeft, UserConnected, UserDisconnected:
			return wire.AppendUserEvent(dst, userEvents[m.Kind], m.From, m.Info, m.Room)
		}
		d := wire.Delivery{
			From:      m.From,
			Info:      m.Info,
			Content:   m.Content,
			Room:      m.Room,
			MessageID: m.ID,
			Offset:    m.Offset,
			Direct:    m.Kind == DirectMessage,
		}
		return wire.AppendDelivery(dst, &d)
	})
}

var userEvents = [...]string{UserJoined: "user_joined", UserLeft: "user_left", UserConnected: "user_connected", UserDisconnected: "user_disconnected"}

// fanOut sends a delivery to the members of a small group, and ends it.
func (r *Router) fanOut(g *group, list []*member, d *delivery) {
	defer g.give(d)
	var t sent
	defer t.settle(r)
	for _, m := range list {
		t.pass(m, d, true)
	}
	r.tell(d, &t)
}

// tell counts a gap for each receiver.
func (r *Router) tell(d *delivery, t *sent) {
	if d.tells != "" {
		r.count.gaps.countN(d.tells, t.receivers)
	}
}

// queueLimit is how many bytes may wait for the connection.
func (c *conn) queueLimit() int { return c.r.cur.Load().limits.Queue }

// sendHeld queues a delivery that was held back while the connection joined.
func (c *conn) sendHeld(item socket.Item) {
	var t sent
	t.send(c, item, true)
	t.settle(c.r)
}

// sent counts the outcomes of one fan-out.
type sent struct {
	receivers                    uint64 // members for whom there was a delivery, those included that wait for theirs
	delivered, overflow, closing uint64
	pushed                       [3]uint64 // by socket.Policy: frames that made room for others, or found none
	slow                         [3]uint64 // by socket.Policy: queues that were full
}

// pass sends a delivery to a member, if it is for him, now or later.
func (t *sent) pass(m *member, d *delivery, now bool) {
	state := m.state.Load()
	if state == gone || m.conn.id == d.except {
		return
	}
	if state != active {
		switch m.group.divert(m, d, m.conn.queueLimit()) {
		case withheld:
			t.receivers++
			return
		case flooded:
			t.overflow++
			if m.conn.close(wire.CloseSlowConsumer, "more came while joining than is held for a connection") {
				t.slow[socket.Disconnect]++
			}
			return
		}
	}
	t.receivers++
	t.send(m.conn, d.item, now)
}

// send sends an item to one connection, and ends the connection if it does not
// fit into its queue. now says that it may be written right away.
func (t *sent) send(c *conn, item socket.Item, now bool) {
	var outcome socket.Outcome
	var pushed int
	if now {
		outcome, pushed = c.sock.SendNow(item)
	} else {
		outcome, pushed = c.sock.Send(item)
	}
	if pushed > 0 {
		t.pushed[item.Policy] += uint64(pushed)
		t.slow[item.Policy]++
	}
	switch outcome {
	case socket.Queued:
		t.delivered++
	case socket.Dropped: // counted as pushed
	case socket.Closed:
		t.closing++
	case socket.Overflow:
		t.overflow++
		if c.close(wire.CloseSlowConsumer, "reading too slowly: the queue is full") {
			t.slow[socket.Disconnect]++
		}
	}
}

// settle adds the outcomes to the node's counters. It is deferred, so that a fault
// in between loses none.
func (t *sent) settle(r *Router) {
	if t.delivered > 0 {
		r.count.delivered.Add(t.delivered)
	}
	if t.closing > 0 {
		r.count.dropped.countN(DroppedClosing, t.closing)
	}
	if t.overflow > 0 {
		r.count.dropped.countN(DroppedOverflow, t.overflow)
	}
	for p, n := range t.slow {
		if n > 0 {
			r.count.slow.add(p, n)
			if socket.Policy(p) != socket.Disconnect {
				r.count.gaps.countN(wire.GapSlow, n)
			}
		}
	}
	if n := t.pushed[socket.DropOldest]; n > 0 {
		r.count.dropped.countN(DroppedOldest, n)
	}
	if n := t.pushed[socket.KeepLatest]; n > 0 {
		r.count.dropped.countN(DroppedKeepLatest, n)
	}
}

// reply sends an event to this connection alone.
func (c *conn) reply(sizeHint int, build func(dst []byte) []byte) {
	outcome, _ := c.sock.SendNow(socket.Item{Frame: socket.NewFrame(sizeHint, build)})
	if outcome == socket.Overflow && c.close(wire.CloseSlowConsumer, "reading too slowly: the queue is full") {
		c.r.count.slow.add(int(socket.Disconnect), 1)
		c.r.count.dropped.count(DroppedOverflow)
	}
}

// refuse answers with an error event.
func (c *conn) refuse(e *wire.Refusal) {
	c.r.count.errors.count(string(e.Code))
	c.reply(96+len(e.Reason), func(dst []byte) []byte { return wire.AppendError(dst, e) })
}
