package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/router/wire"
)

// ServerUser is whom clients see as the sender of a ServerMessage without From.
const ServerUser = "server"

// MaxServerRooms is how many rooms Router.PublishAll takes.
const MaxServerRooms = 1000

// ServerMessage is what the operator's own programs say to clients: the server
// API rather than a connection. It needs no grants, but passes the message filters
// like any other, with Event.FromServer set.
type ServerMessage struct {
	From    string // the sender that clients see; "": ServerUser
	Info    []byte // raw JSON beside it, or nil
	Content []byte // raw JSON; at most Limits.Frame bytes
	Key     string // idempotency key, remembered per From, receiver and Key for KeyTTL; ""
}

// Published is what became of a server's message that was accepted.
type Published struct {
	Room string // where it went, which need not be where it was sent: filters may reroute; "": no room
	Receipt
}

// ServerError is why a request of the server API was not carried out. Its code is one of the
// client protocol's.
type ServerError struct {
	Code       wire.Code
	Reason     string
	Filter     string        // which refused; "": the node itself
	RetryAfter time.Duration // 0: not said
}

// Error implements error.
func (e *ServerError) Error() string {
	if e.Filter == "" {
		return e.Reason
	}
	return e.Filter + ": " + e.Reason
}

// refusef makes a refusal of the node's own.
func refusef(code wire.Code, format string, args ...any) *ServerError {
	return &ServerError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// Publish sends a message to the members of a room, on all nodes. The error is a
// *ServerError. What a filter drops counts as accepted, as for clients: it has an id,
// and no receiver.
func (r *Router) Publish(ctx context.Context, room string, s *ServerMessage) (Published, error) {
	return r.say(ctx, &Message{Kind: RoomMessage, Room: room}, s)
}

// Broadcast sends a message to every connection, on all nodes. The error is a *ServerError.
func (r *Router) Broadcast(ctx context.Context, s *ServerMessage) (Published, error) {
	return r.say(ctx, &Message{Kind: BroadcastMessage}, s)
}

// Direct sends a message to the connections of a user, on all nodes; if he has none,
// nobody gets it. The error is a *ServerError.
func (r *Router) Direct(ctx context.Context, user string, s *ServerMessage) (Published, error) {
	return r.say(ctx, &Message{Kind: DirectMessage, Target: user}, s)
}

// RoomResult is what became of one room's copy of a message: Err is nil or a *ServerError.
type RoomResult struct {
	Published
	Err error
}

// errFault is the answer where this program failed.
var errFault = refusef(wire.Unavailable, "a fault of the node; its log has more")

// publishers is how many rooms of one PublishAll are on their way at once: brokers
// send together what waits together.
const publishers = 16

// PublishAll sends a message to several rooms at once, with an answer for each, in
// their order. Each copy is a message of its own to filters, and in every room it has its
// own id. In which order the rooms get theirs is not said. It panics beyond
// MaxServerRooms.
func (r *Router) PublishAll(ctx context.Context, rooms []string, s *ServerMessage) []RoomResult {
	if len(rooms) > MaxServerRooms {
		panic("router: PublishAll: too many rooms")
	}
	results := make([]RoomResult, len(rooms))
	work := make(chan int)
	done := make(chan struct{})
	workers := min(publishers, len(rooms))
	for range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range work {
				results[i].Err = errFault
				r.guard("a publish", func() { results[i].Published, results[i].Err = r.Publish(ctx, rooms[i], s) })
			}
		}()
	}
	for i := range rooms {
		work <- i
	}
	close(work)
	for range workers {
		<-done
	}
	return results
}

// say sends a server's message to whom m names.
func (r *Router) say(ctx context.Context, m *Message, s *ServerMessage) (Published, error) {
	if ref := r.checkServerMessage(m, s); ref != nil {
		return Published{}, ref
	}
	m.From, m.Info, m.Key = s.From, s.Info, serverKey(s.Key)
	if m.From == "" {
		m.From = ServerUser
	}
	for range maxRetries {
		p, again, err := r.sayBy(ctx, r.cur.Load(), *m, s.Content)
		if !again {
			return p, err
		}
	}
	return Published{}, refusef(wire.Unavailable, "the filters are being replaced; try again")
}

// checkServerMessage holds a message against what a client's frame is held against.
func (r *Router) checkServerMessage(m *Message, s *ServerMessage) *ServerError {
	if m.Kind == RoomMessage {
		if ref := checkName("room", m.Room); ref != nil {
			return ref
		}
	}
	if m.Kind == DirectMessage {
		if ref := checkName("user", m.Target); ref != nil {
			return ref
		}
	}
	if s.From != "" {
		if ref := checkName("from", s.From); ref != nil {
			return ref
		}
	}
	if limit := r.FrameLimit(); len(s.Content)+len(s.Info) > limit {
		return refusef(wire.TooLarge, "content and info have %d bytes, and limits.frame allows %d; send less, or raise it", len(s.Content)+len(s.Info), limit)
	}
	if len(s.Key) > wire.MaxKey {
		return refusef(wire.BadRequest, "key is longer than %d bytes", wire.MaxKey)
	}
	if reason := wire.CheckJSON(s.Content); reason != "" {
		return refusef(wire.BadRequest, "content is %s", reason)
	}
	if s.Info != nil {
		if reason := wire.CheckJSON(s.Info); reason != "" {
			return refusef(wire.BadRequest, "info is %s", reason)
		}
	}
	return nil
}

// checkName holds a name of a room or user against the protocol.
func checkName(field, name string) *ServerError {
	if reason := wire.CheckName([]byte(name)); reason != "" {
		return refusef(wire.BadRequest, "%s %s", field, reason)
	}
	return nil
}

// sayBy judges and publishes a message by one generation; again reports that its filters
// were replaced before anything had happened.
func (r *Router) sayBy(ctx context.Context, cur *current, m Message, content []byte) (p Published, again bool, err error) {
	if cur.handles(HookMessage) {
		w := works.Get().(*work)
		defer w.free()
		w.event = Event{
			Hook: HookMessage, Kind: eventKinds[m.Kind], FromServer: true, Time: time.Now().UnixNano(),
			Payload: content, Room: m.Room, Target: m.Target, User: m.From, Scratch: w.event.Scratch,
		}
		if errors.Is(cur.Filters.Judge(&w.event), ErrRetired) {
			r.count.retired.Add(1)
			return p, true, nil
		}
		v := &w.event.Verdict
		if v.Action == Drop {
			r.count.verdicts.count("message/drop")
			r.count.dropped.count(DroppedFilter)
			return Published{Room: m.Room, Receipt: Receipt{ID: r.ids.next()}}, false, nil
		}
		if ref := r.refusalOf(v); ref != nil {
			return p, false, ref
		}
		if v.Payload != nil {
			content = v.Payload
		}
		if v.Room != "" && m.Kind == RoomMessage {
			if reason := wire.CheckName([]byte(v.Room)); reason != "" {
				return p, false, &ServerError{Code: wire.Forbidden, Reason: "a filter rerouted the message to a room whose name " + reason}
			}
			m.Room = string([]byte(v.Room)) // the filter's own may live in memory that is used again
		}
	}
	p, err = r.accept(ctx, &m, content)
	return p, false, err
}

// refusalOf is what a verdict on a server's message comes to; nil: it may go on.
// There is no connection to disconnect.
func (r *Router) refusalOf(v *Verdict) *ServerError {
	switch v.Action {
	case Continue, Allow:
		return nil
	case Disconnect:
		r.count.verdicts.count("message/disconnect")
		return &ServerError{Code: wire.Forbidden, Reason: reasonOf(v), Filter: v.Filter}
	}
	r.count.verdicts.count("message/deny")
	return &ServerError{Code: v.WireCode(), Reason: reasonOf(v), Filter: v.Filter, RetryAfter: v.RetryAfter}
}

// accept hands a judged message to the broker.
func (r *Router) accept(ctx context.Context, m *Message, content []byte) (Published, error) {
	m.ID = r.ids.next()
	m.Content = append(make([]byte, 0, len(content)), content...) // the caller's, or the filters'
	if m.Info != nil {
		m.Info = append(make([]byte, 0, len(m.Info)), m.Info...)
	}
	ctx, cancel := r.serverCtx(ctx)
	defer cancel()
	receipt, err := r.publishIn(ctx, m)
	if err != nil {
		return Published{}, unavailable("the message could not be sent", err)
	}
	return Published{Room: m.Room, Receipt: receipt}, nil
}

// unavailable is the refusal for a failure of the broker.
func unavailable(what string, err error) *ServerError {
	return &ServerError{Code: wire.Unavailable, Reason: what + ": " + err.Error() + "; try again", RetryAfter: retryBroker}
}

// retryBroker is when a request that the broker failed is worth sending again.
const retryBroker = time.Second

// serverCtx is the context of a call of the broker that a server waits for.
func (r *Router) serverCtx(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, brokerTime)
	stop := context.AfterFunc(r.ctx, cancel)
	if r.ctx.Err() != nil {
		cancel() // AfterFunc takes its time
	}
	return ctx, func() {
		stop()
		cancel()
	}
}

// FrameLimit is how many bytes a ServerMessage may have, Content and Info together.
func (r *Router) FrameLimit() int { return r.cur.Load().limits.Frame }
