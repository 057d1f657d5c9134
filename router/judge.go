package router

import (
	"errors"
	"strings"
	"time"

	"sluice/router/wire"
)

// maxRetries bounds how often an event is judged anew. Each time means that the
// filters were replaced during the event.
const maxRetries = 32

// event begins an event of the connection.
func (c *conn) event(w *work, h Hook) *Event {
	c.seq++
	id := c.who()
	w.event = Event{
		Hook:    h,
		Time:    time.Now().UnixNano(),
		Conn:    c.id,
		Seq:     c.seq,
		User:    id.User,
		Claims:  id.Claims,
		Expires: expiresMilli(id),
		Remote:  c.remote,
		States:  &c.states,
		Scratch: w.event.Scratch,
	}
	return &w.event
}

func expiresMilli(id *Identity) int64 {
	if id.Expires.IsZero() {
		return 0
	}
	return id.Expires.UnixMilli()
}

func expiresUnix(id *Identity) int64 {
	if id.Expires.IsZero() {
		return 0
	}
	return id.Expires.Unix()
}

// judgement is what became of an event.
type judgement uint8

const (
	admitted judgement = iota
	refused            // and the sender has been told
	dropped            // and the sender is to believe that it was accepted
	retired            // the filters have been replaced: judge the event anew
)

// judge asks the filters about an event that the generation has a hook for,
// and carries out a refusal. id is the command's, for the error.
func (c *conn) judge(cur *current, e *Event, id []byte) judgement {
	if errors.Is(cur.Filters.Judge(e), ErrRetired) {
		c.r.count.retired.Add(1)
		return retired
	}
	v := &e.Verdict
	switch v.Action {
	case Continue, Allow:
		return admitted
	case Drop:
		if e.Hook == HookMessage {
			c.r.count.verdicts.count("message/drop")
			c.r.count.dropped.count(DroppedFilter)
			return dropped
		}
	case Disconnect:
		c.r.count.verdicts.count(hookNames[e.Hook] + "/disconnect")
		c.close(closeCodeOf(v), reasonOf(v))
		return refused
	}
	c.r.count.verdicts.count(hookNames[e.Hook] + "/deny")
	c.refuse(&wire.Refusal{
		ID:           id,
		Code:         v.WireCode(),
		Reason:       reasonOf(v),
		Filter:       v.Filter,
		RetryAfterMS: v.RetryAfter.Milliseconds(),
	})
	return refused
}

var hookNames = [...]string{HookConnect: "connect", HookJoin: "join", HookMessage: "message", HookLeave: "leave", HookDisconnect: "disconnect"}

// closeCodeOf is the close code of a disconnect verdict.
func closeCodeOf(v *Verdict) int {
	if v.Code >= 4000 && v.Code <= 4999 {
		return int(v.Code)
	}
	return wire.ClosePolicy
}

func reasonOf(v *Verdict) string {
	if v.Reason != "" {
		return v.Reason
	}
	return "refused by a filter"
}

// observe shows the filters what happened; nothing they say changes it.
func (c *conn) observe(e *Event) {
	for range maxRetries {
		cur := c.r.cur.Load()
		if !cur.handles(e.Hook) {
			return
		}
		if !errors.Is(cur.Filters.Judge(e), ErrRetired) {
			return
		}
		c.r.count.retired.Add(1)
	}
	c.r.log.Warn("filters were replaced too fast to see an event", "hook", hookNames[e.Hook])
}

func (c *conn) observeLeave(room string, cause uint32) {
	if !c.r.cur.Load().handles(HookLeave) {
		return
	}
	w := works.Get().(*work)
	defer w.free()
	e := c.event(w, HookLeave)
	e.Room, e.Cause = room, cause
	c.observe(e)
}

func (c *conn) observeDisconnect(code int) {
	if !c.r.cur.Load().handles(HookDisconnect) {
		return
	}
	w := works.Get().(*work)
	defer w.free()
	e := c.event(w, HookDisconnect)
	e.Cause = uint32(code)
	c.observe(e)
}

// reroute is the room that the filters chose for a message, as long as the
// sender may send there.
func (c *conn) reroute(cur *current, v *Verdict) (room, problem string) {
	if reason := wire.CheckName([]byte(v.Room)); reason != "" {
		return "", "a filter rerouted the message to a room whose name " + reason
	}
	if !c.may(cur, actSend, v.Room) {
		return "", "a filter rerouted the message to a room that you may not send to"
	}
	return strings.Clone(v.Room), ""
}
