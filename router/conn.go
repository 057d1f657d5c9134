package router

import (
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sluice/router/socket"
	"sluice/router/wire"
)

// conn is one connection. Its goroutine reads, executes one command at a time,
// and lives until all that the connection held has been given back.
type conn struct {
	// Static after construction.
	r      *Router
	sock   *socket.Socket
	id     uint64
	remote string
	self   member // of everyone
	own    member // of the user's connections

	// turn is held by whoever executes something for the connection: its goroutine a
	// command or the end, removeFrom a departure. It is no lock of data: filters and the
	// broker are called meanwhile.
	turn sync.Mutex

	// Owned by who has the turn.
	rooms  memberships
	states []State
	seq    uint64

	// Owned by the connection's goroutine.
	malformed int
	paceAt    time.Duration // see pace
	refreshAt time.Duration // likewise, of refreshes
	expiry    *socket.Timer // nil: the identity does not expire

	// Safe for concurrent use.
	identity atomic.Pointer[Identity]      // replaced by refresh; see expire
	ending   atomic.Bool                   // somebody ends the connection, or it has ended
	closing  atomic.Bool                   // set once the close frame is queued, for the goroutine to stop
	wake     atomic.Pointer[chan struct{}] // closed by close; set while the goroutine sleeps
}

// who is the identity in force.
func (c *conn) who() *Identity { return c.identity.Load() }

// close ends the connection with a close code. It does not wait, and only the
// first call has an effect.
func (c *conn) close(code int, reason string) bool {
	if !c.ending.CompareAndSwap(false, true) {
		return false
	}
	c.sock.Close(code, reason)
	c.closing.Store(true) // not before: the goroutine would release the socket without a close frame
	if wake := c.wake.Swap(nil); wake != nil {
		close(*wake)
	}
	return true
}

// serve is the connection's goroutine.
func (c *conn) serve() {
	defer c.r.running.Done()
	growStack(false)
	if !c.r.guard("a connection", c.run) {
		c.close(wire.CloseInternal, "internal error")
	}
	c.end()
}

// growStack grows the stack to 4 KiB while there is little on it to be moved: that is what the
// first command takes, and an idle connection keeps.
//
//go:noinline
func growStack(use bool) {
	if use { // never: the size of the frame is what counts
		var frame [2 << 10]byte
		clear(frame[:])
		runtime.KeepAlive(&frame)
	}
}

// run greets the client and executes its commands until the connection ends.
func (c *conn) run() {
	c.greet()
	for !c.closing.Load() {
		frame, err := c.sock.Read()
		switch {
		case err == nil:
			c.handle(frame)
		case errors.Is(err, socket.ErrUTF8):
			c.badFrame(MalformedUTF8, &wire.Refusal{Code: wire.BadRequest, Reason: "the frame is not valid UTF-8"})
		case errors.Is(err, socket.ErrBinary):
			c.r.count.malformed.count(MalformedBinary)
			c.close(wire.CloseUnsupportedData, "binary frames are not part of the protocol; send JSON in text frames")
			return
		case errors.Is(err, socket.ErrTooBig):
			c.r.count.malformed.count(MalformedTooBig)
			return
		case errors.Is(err, socket.ErrCorrupt):
			c.r.count.malformed.count(MalformedCorrupt)
			return
		case errors.Is(err, socket.ErrSilent):
			c.close(wire.CloseSilent, "nothing came after a ping")
			return
		case errors.Is(err, socket.ErrStalled):
			c.close(wire.ClosePolicy, "a message was begun and not ended in time")
			return
		default:
			return
		}
	}
}

// greet makes welcome the first event, whatever is delivered meanwhile.
func (c *conn) greet() {
	id := c.who()
	e := wire.Welcome{
		UserID:         id.User,
		ConnectionID:   strconv.FormatUint(c.id, 16),
		PingIntervalMS: c.r.cur.Load().limits.PingInterval.Milliseconds(),
		ExpiresAt:      expiresUnix(id),
		Version:        c.r.opts.Version,
	}
	c.reply(256, func(dst []byte) []byte { return wire.AppendWelcome(dst, &e) })
	c.r.everyone.activate(&c.self, standing{}, c.sendHeld)
	c.own.group.activate(&c.own, standing{}, c.sendHeld)
	c.r.announceConnection(c, UserConnected)
}

// work is what handling a frame needs, and an idle connection does not keep.
type work struct {
	decoder wire.Decoder
	command wire.Command
	event   Event
}

var works = sync.Pool{New: func() any { return new(work) }}

// free gives the memory back, without what it refers to.
func (w *work) free() {
	w.command = wire.Command{}
	w.event = Event{Scratch: w.event.Scratch}
	works.Put(w)
}

// handle decodes a frame and executes its command. It is not part of run, so
// that the stack of an idle connection stays small.
//
//go:noinline
func (c *conn) handle(frame []byte) {
	c.pace()
	if c.closing.Load() || c.expire() {
		return
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	w := works.Get().(*work)
	if bad := w.decoder.Decode(frame, &w.command); bad != nil {
		c.badFrame(malformedCause(bad.Field), &wire.Refusal{ID: bad.ID, Code: bad.Code, Reason: bad.Error()})
	} else {
		c.r.count.commands.add(int(w.command.Type-wire.JoinRoom), 1)
		c.dispatch(w)
	}
	w.free()
}

// badFrame answers a malformed frame, and closes the connection that sent too many.
func (c *conn) badFrame(cause string, e *wire.Refusal) {
	c.r.count.malformed.count(cause)
	c.refuse(e)
	if c.malformed++; c.malformed >= c.r.cur.Load().limits.MalformedFrames {
		c.close(wire.ClosePolicy, "too many malformed frames")
	}
}

// malformedCause is the name under which a malformed field is counted.
func malformedCause(field string) string {
	if field == "" {
		return MalformedFrame
	}
	for i := range len(field) {
		if field[i] == '.' {
			return field[:i]
		}
	}
	return field
}

// maxPause bounds the time for which a connection is not read.
const maxPause = 5 * time.Second

// pace delays a connection that sends more than CommandsPerSecond, after a
// second's worth at once. Its socket is not read meanwhile, so that TCP slows
// the client down.
func (c *conn) pace() {
	rate := c.r.cur.Load().limits.CommandsPerSecond
	if rate <= 0 {
		return
	}
	interval := time.Duration(float64(time.Second) / rate)
	burst := max(0, time.Second-interval)
	now := time.Since(c.r.born)
	// paceAt is when the next command would be due if all came evenly.
	c.paceAt = max(c.paceAt, now)
	if wait := c.paceAt - now - burst; wait > 0 {
		c.r.count.slowed.Add(1)
		if wait > maxPause {
			wait, c.paceAt = maxPause, now+burst+maxPause
		}
		c.sleep(wait)
	}
	c.paceAt += interval
}

// sleep waits, unless the connection is closed meanwhile.
func (c *conn) sleep(d time.Duration) {
	wake := make(chan struct{})
	c.wake.Store(&wake)
	defer c.wake.Store(nil)
	if c.closing.Load() {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	}
}

// end gives back all that the connection held. Whatever goes wrong in one step,
// the others are taken.
func (c *conn) end() {
	c.ending.Store(true) // nobody is left to be told
	c.closing.Store(true)
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.expiry != nil {
		c.expiry.Stop()
	}
	c.rooms.each(func(m *member) {
		c.r.guard("leaving a room", func() { c.leave(m, CauseDisconnected) })
	})
	c.r.guard("ending a connection", func() {
		c.own.group.remove(&c.own)
		c.r.everyone.remove(&c.self)
		c.r.users.release(c.own.group)
		c.r.announceConnection(c, UserDisconnected)
	})
	code := c.sock.CloseCode()
	c.r.guard("a disconnect filter", func() { c.observeDisconnect(code) })
	c.r.count.closed.count(strconv.Itoa(code))
	c.sock.Release()
	c.r.slots.Add(-1)
}
