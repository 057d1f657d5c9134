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
	if m.Kind < RoomMessage || m.Kind > UserDisconnected {
		r.count.dropped.count(DroppedUnknown)
		return
	}
	r.count.received.add(int(m.Kind-RoomMessage), 1)
	switch m.Kind {
	case RoomMessage, UserJoined, UserLeft:
		if g := r.rooms.lookup(m.Room); g != nil {
			r.fanOut(g.snapshot(), r.roomItem(g, m), 0)
		}
	case DirectMessage:
		if g := r.users.lookup(m.Target); g != nil {
			r.fanOut(g.snapshot(), socket.Item{Frame: encode(m)}, 0)
		}
	default:
		if list := r.everyone.snapshot(); len(list) > 0 {
			r.fanOut(list, socket.Item{Frame: encode(m)}, m.Conn)
		}
	}
}

// roomItem is the room's event with what should happen to it in a full queue.
func (r *Router) roomItem(g *group, m *Message) socket.Item {
	item := socket.Item{Frame: encode(m), Tag: g}
	switch r.rule(g).Slow {
	case SlowDropOldest:
		item.Policy, item.Gap = socket.DropOldest, g.gap()
	case SlowKeepLatest:
		item.Policy, item.Gap = socket.KeepLatest, g.gap()
		if m.Kind != RoomMessage {
			item.Tag = &g.name // an announcement does not displace the newest message
		}
	}
	return item
}

// gap makes the event that stands in for the room's dropped ones.
func (g *group) gap() func() *socket.Frame {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gapFunc == nil {
		g.gapFunc = func() *socket.Frame {
			return socket.NewFrame(32+len(g.name), func(dst []byte) []byte { return wire.AppendGap(dst, g.name, "", 0) })
		}
	}
	return g.gapFunc
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

// fanOut queues an item for each member but the connection except.
func (r *Router) fanOut(list []*member, item socket.Item, except uint64) {
	var t sent
	for _, m := range list {
		state := m.state.Load()
		if state == gone || m.conn.id == except {
			continue
		}
		if state == joining && m.group.hold(m, item) {
			continue
		}
		t.send(m.conn, item)
	}
	t.settle(r)
}

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
