package router

import (
	"sluice/router/socket"
	"sluice/router/wire"
)

// Deliver takes a message from the broker and queues it for its receivers on
// this node. It encodes once for all of them and never waits.
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
			r.deliverRoom(g, m)
		}
	case DirectMessage:
		if g := r.users.lookup(m.Target); g != nil {
			r.fanOut(g.snapshot(), socket.Item{Frame: encode(m)}, 0, Position{})
		}
	case ControlMessage:
		r.control(m)
	case RoomGap:
		r.deliverGap(m)
	default:
		if list := r.everyone.snapshot(); len(list) > 0 {
			r.fanOut(list, socket.Item{Frame: encode(m)}, m.Conn, Position{})
		}
	}
}

func (r *Router) deliverRoom(g *group, m *Message) {
	list, ok := g.take(m.Position)
	if !ok {
		r.count.dropped.count(DroppedStale)
		return
	}
	defer g.give(m.Position)
	if len(list) > 0 {
		r.fanOut(list, r.roomItem(g, m), 0, m.Position)
	}
}

// deliverGap tells those whom it concerns that messages may be missing.
func (r *Router) deliverGap(m *Message) {
	e := wire.Gap{Room: m.Room, Reason: wire.GapPossible}
	if m.Room != "" && m.Epoch != "" {
		e.Reason, e.Epoch, e.Offset = wire.GapLost, m.Epoch, m.Offset
	}
	item := socket.Item{Frame: gapFrame(&e)}
	told := 0
	switch {
	case m.Room != "":
		g := r.rooms.lookup(m.Room)
		if g == nil {
			return
		}
		item.Tag = &g.name // it neither displaces messages nor is displaced by them
		item.Policy, item.Gap = r.whenFull(g)
		list := g.skipTo(m.Position)
		defer g.give(m.Position)
		told = r.fanOut(list, item, 0, m.Position)
	case m.Target != "":
		if g := r.users.lookup(m.Target); g != nil {
			told = r.fanOut(g.snapshot(), item, 0, Position{})
		}
	default:
		told = r.fanOut(r.everyone.snapshot(), item, 0, Position{})
	}
	r.count.gaps.countN(e.Reason, uint64(told))
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

// fanOut queues an item with its place in the room's history for each member but the
// connection except. It returns for how many it was.
func (r *Router) fanOut(list []*member, item socket.Item, except uint64, at Position) (receivers int) {
	var t sent
	for _, m := range list {
		state := m.state.Load()
		if state == gone || m.conn.id == except {
			continue
		}
		if state != active {
			switch m.group.divert(m, item, at, m.conn.queueLimit()) {
			case withheld:
				receivers++
				continue
			case flooded:
				t.overflow++
				if m.conn.close(wire.CloseSlowConsumer, "more came while joining than is held for a connection") {
					t.slow[socket.Disconnect]++
				}
				continue
			}
		}
		receivers++
		t.send(m.conn, item)
	}
	t.settle(r)
	return receivers
}

// queueLimit is how many bytes may wait for the connection.
func (c *conn) queueLimit() int { return c.r.cur.Load().limits.Queue }

// sendHeld queues a delivery that was held back while the connection joined.
func (c *conn) sendHeld(item socket.Item) {
	var t sent
	t.send(c, item)
	t.settle(c.r)
}

// sent counts the outcomes of one fan-out.
type sent struct {
	delivered, overflow, closing uint64
	pushed                       [3]uint64 // by socket.Policy: frames that made room for others, or found none
	slow                         [3]uint64 // by socket.Policy: queues that were full
}

// send queues an item for one connection, and ends the connection if
// it does not fit.
func (t *sent) send(c *conn, item socket.Item) {
	outcome, pushed := c.sock.Send(item)
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

// settle adds the outcomes to the node's counters.
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

// reply queues an event for this connection alone.
func (c *conn) reply(sizeHint int, build func(dst []byte) []byte) {
	outcome, _ := c.sock.Send(socket.Item{Frame: socket.NewFrame(sizeHint, build)})
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
