package router

import (
	"context"
	"time"

	"sluice/router/wire"
)

// dispatch executes a command by one generation; by the next one if the filters
// were replaced meanwhile, which they report before anything has happened.
func (c *conn) dispatch(w *work) {
	for range maxRetries {
		if c.execute(c.r.cur.Load(), w) != retired {
			return
		}
	}
	c.refuse(&wire.Refusal{ID: w.command.ID, Code: wire.Unavailable, Reason: "the filters are being replaced; try again"})
}

func (c *conn) execute(cur *current, w *work) judgement {
	cmd := &w.command
	switch cmd.Type {
	case wire.JoinRoom:
		return c.join(cur, w)
	case wire.LeaveRoom:
		c.leaveRoom(cmd)
	case wire.RoomMessage, wire.Chat, wire.DirectMessage:
		return c.publish(cur, w)
	case wire.Presence:
		c.presence(cur, cmd)
	case wire.History:
		return c.history(cur, cmd)
	case wire.Refresh:
		return c.refresh(cur, w)
	case wire.Ping:
		c.reply(64, func(dst []byte) []byte { return wire.AppendPong(dst, cmd.ID) })
	case wire.Pong: // the socket noticed that something came
	}
	return admitted
}

// deny answers a command with an error of the node's own.
func (c *conn) deny(cmd *wire.Command, code wire.Code, reason string) judgement {
	c.refuse(&wire.Refusal{ID: cmd.ID, Code: code, Reason: reason})
	return refused
}

func (c *conn) leaveRoom(cmd *wire.Command) {
	room := string(cmd.Room)
	if m := c.rooms.find(cmd.Room); m != nil {
		c.leaveWith(m, CauseLeft, func() { c.sendLeft(cmd.ID, room, "") })
		return
	}
	c.sendLeft(cmd.ID, room, "")
}

func (c *conn) sendLeft(id []byte, room, reason string) {
	c.reply(64+len(room)+len(reason), func(dst []byte) []byte { return wire.AppendLeft(dst, id, room, reason) })
}

// publish executes room_message, chat and direct_message.
func (c *conn) publish(cur *current, w *work) judgement {
	cmd := &w.command
	id := c.who()
	m := &Message{From: id.User, Conn: c.id, Info: id.Info, Key: clientKey(cmd.Key)}
	if code, reason := c.address(cur, cmd, m); reason != "" {
		return c.deny(cmd, code, reason)
	}
	content := cmd.Content
	if cur.handles(HookMessage) {
		e := c.event(w, HookMessage)
		e.Kind, e.Payload, e.Room, e.Target = eventKinds[m.Kind], content, m.Room, m.Target
		switch j := c.judge(cur, e, cmd.ID); j {
		case refused, retired:
			return j
		case dropped:
			c.ack(cmd, Receipt{ID: c.r.ids.next()})
			return j
		}
		if e.Verdict.Payload != nil {
			content = e.Verdict.Payload
		}
		if e.Verdict.Room != "" && m.Kind == RoomMessage {
			room, problem := c.reroute(cur, &e.Verdict)
			if problem != "" {
				return c.deny(cmd, wire.Forbidden, problem)
			}
			m.Room = room
		}
	}
	m.ID = c.r.ids.next()
	m.Content = append(make([]byte, 0, len(content)), content...)
	receipt, err := c.r.publish(m)
	if err != nil {
		return c.deny(cmd, wire.Unavailable, "the message could not be sent; try again")
	}
	c.ack(cmd, receipt)
	return admitted
}

var eventKinds = [...]uint32{RoomMessage: KindRoom, BroadcastMessage: KindBroadcast, DirectMessage: KindDirect}

// address finds out to whom the command's message goes, and whether the
// sender may send it there.
func (c *conn) address(cur *current, cmd *wire.Command, m *Message) (code wire.Code, problem string) {
	id := c.who()
	grants := cur.grants(id)
	switch {
	case cmd.Type == wire.DirectMessage:
		m.Kind, m.Target = DirectMessage, string(cmd.TargetUser)
		if !grants.direct {
			return wire.Forbidden, "you may not send direct messages"
		}
	case cmd.Room == nil:
		m.Kind = BroadcastMessage
		if !grants.broadcast {
			return wire.Forbidden, "you may not send to everyone; name a room"
		}
	default:
		m.Kind = RoomMessage
		if member := c.rooms.find(cmd.Room); member != nil {
			m.Room = member.group.name
		} else if cur.open {
			m.Room = string(cmd.Room)
		} else {
			return wire.Forbidden, "you are not in this room; send join_room first"
		}
		if !grants.may(actSend, m.Room, id.User) {
			return wire.Forbidden, "you may not send to this room"
		}
	}
	return "", ""
}

// publish hands a message to the broker.
func (r *Router) publish(m *Message) (Receipt, error) { return r.publishIn(r.ctx, m) }

func (r *Router) publishIn(ctx context.Context, m *Message) (Receipt, error) {
	m.Time = time.Now().UnixMilli()
	if m.Kind == RoomMessage {
		m.Keep = r.keepOf(m.Room)
	}
	receipt, err := r.broker.Publish(ctx, m)
	if err != nil {
		r.brokerFailed("publish", err)
		return receipt, err
	}
	if receipt.Repeated {
		r.count.repeated.Add(1)
	} else {
		r.count.published.add(int(m.Kind-RoomMessage), 1)
	}
	if receipt.ID == "" {
		receipt.ID = m.ID
	}
	return receipt, nil
}

// keepOf is how much is kept of what is said in a room.
func (r *Router) keepOf(room string) Keep {
	if g := r.rooms.lookup(room); g != nil {
		return r.rule(g).History
	}
	return r.cur.Load().rules.rule(room).History
}

// clientKey and serverKey keep the keys of clients and those of the server API apart:
// nobody can use a key up that belongs to a message of the server under his name.
func clientKey(key []byte) string { return originKey('c', string(key)) }

func serverKey(key string) string { return originKey('s', key) }

func originKey(origin byte, key string) string {
	if key == "" {
		return ""
	}
	return string(origin) + key
}

// ack confirms a publish that carried an id.
func (c *conn) ack(cmd *wire.Command, receipt Receipt) {
	if cmd.ID == nil {
		return
	}
	a := wire.Acknowledgement{ID: cmd.ID, MessageID: receipt.ID, Offset: receipt.Offset, Epoch: receipt.Epoch}
	c.reply(128, func(dst []byte) []byte { return wire.AppendAck(dst, &a) })
}

// Bounds of an answer to presence.
const (
	defaultPage  = 100       // users; a client may ask for wire.MaxLimit
	maxPageBytes = 256 << 10 // of the event
)

// presence answers who is in a room.
func (c *conn) presence(cur *current, cmd *wire.Command) {
	m := c.rooms.find(cmd.Room)
	switch {
	case m == nil:
		c.deny(cmd, wire.Forbidden, "you are not in this room; send join_room first")
		return
	case !c.may(cur, actPresence, m.group.name):
		c.deny(cmd, wire.Forbidden, "you may not see who is in this room")
		return
	case !cur.rules.rule(m.group.name).Presence:
		c.deny(cmd, wire.Unsupported, "presence is not kept in this room")
		return
	}
	limit := cmd.Limit
	if limit == 0 {
		limit = defaultPage
	}
	answer, err := c.presencePage(m.group.name, limit, cmd)
	if err != nil {
		c.r.brokerFailed("reading presence", err)
		code := wire.Unavailable
		if !isTemporary(err) && len(cmd.Cursor) > 0 {
			code = wire.BadRequest
		}
		c.deny(cmd, code, "the room's presence could not be read; try again from the start")
		return
	}
	c.reply(len(answer), func(dst []byte) []byte { return append(dst, answer...) })
}

// presencePage encodes a page; a shorter one if the users' info makes it too
// large for a client's queue.
func (c *conn) presencePage(room string, limit int, cmd *wire.Command) ([]byte, error) {
	ctx, cancel := c.r.brokerCtx()
	defer cancel()
	for {
		page, err := c.r.broker.Present(ctx, room, limit, string(cmd.Cursor))
		if err != nil {
			return nil, err
		}
		e := wire.PresencePage{ID: cmd.ID, Room: room, Total: page.Total, Cursor: page.Cursor, Users: make([]wire.Occupant, 0, len(page.Users))}
		size := 0 // at least
		for i, u := range page.Users {
			if size += len(u.User) + len(u.Info); size > maxPageBytes && i > 0 {
				break
			}
			e.Users = append(e.Users, wire.Occupant{UserID: u.User, Info: u.Info, Connections: u.Connections})
		}
		// The cursor belongs to the whole page: a shorter one must be asked for.
		if n := len(e.Users); n < len(page.Users) {
			limit = n
			continue
		}
		answer := wire.AppendPresence(nil, &e)
		if len(answer) <= maxPageBytes || limit == 1 {
			return answer, nil
		}
		limit = max(1, min(limit-1, limit*maxPageBytes/len(answer)))
	}
}
