package socket

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Errors that end Read. Anything else is the connection's own end.
var (
	ErrBinary = errors.New("socket: binary message")  // the peer sent a binary message
	ErrTooBig = errors.New("socket: message too big") // over Options.ReadLimit; 1009 was sent
	ErrSilent = errors.New("socket: no heartbeat")    // nothing came after a ping

	ErrStalled = errors.New("socket: message not complete in time") // Options.MessageTime
)

// ErrUTF8 is returned by Read for a text message that is not UTF-8; the next
// Read goes on with the next message.
var ErrUTF8 = errors.New("socket: text message is not UTF-8")

const (
	closeGrace = time.Second // from Close to the end of Read, for the peer's answer
	goneGrace  = time.Second // for the rest of the queue once the peer has ended
	lingerTime = time.Second // for the peer to end after our close frame
	lingerSize = 1 << 20     // bytes read meanwhile

	// stuckTime is after how long a write that is waited for is taken to wait itself: the
	// one way to tell where the connection is no plain socket.
	stuckTime = 100 * time.Millisecond

	smallPerSecond = 100 // pings, pongs and tiny fragments of a peer that are read without delay
)

// Options of one socket. A zero value takes the default in brackets.
type Options struct {
	ReadLimit    int           // bytes of a message that is read (64 KiB)
	Queue        int           // bytes that may wait to be written (1 MiB)
	WriteTimeout time.Duration // for one write to make progress (10 s)
	MessageTime  time.Duration // from the begin of a message to its end; looked at whenever something comes (30 s, and 1 s for each 16 KiB of ReadLimit)
	PingInterval time.Duration // from ping to ping (0: no heartbeat)
	PongTimeout  time.Duration // from a ping until anything must have come, and before the next ping (8 s)
	Subprotocols []string      // that may be chosen, the preferred first
	Deflate      int           // level of permessage-deflate, 1 to 9, offered to who asks for it (0: never)
	DeflateMin   int           // bytes of a text below which it is not compressed (512)
	JSONPing     *Frame        // if set, sent at PingInterval instead of a WebSocket ping
}

func (o Options) withDefaults() Options {
	if o.ReadLimit <= 0 {
		o.ReadLimit = 64 << 10
	}
	if o.Queue <= 0 {
		o.Queue = 1 << 20
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.MessageTime <= 0 {
		o.MessageTime = 30*time.Second + time.Duration(o.ReadLimit/(16<<10))*time.Second
	}
	if o.PongTimeout <= 0 {
		o.PongTimeout = 8 * time.Second
	}
	if o.DeflateMin <= 0 {
		o.DeflateMin = 512
	}
	return o
}

// Socket is one connection. Read and Release belong to one goroutine; the
// other methods are safe for concurrent use.
type Socket struct {
	// Static after Accept.
	*settings
	engine *Engine
	writer *writer
	nc     net.Conn
	raw    syscall.RawConn       // nil: nc can only be read and written by waiting for it
	take   func(fd uintptr) bool // takeNow, for raw

	// Owned by the reader.
	in         *input        // what has come of the peer; nil while there is nothing
	ended      error         // what Read returns from now on
	smallSince time.Duration // by the wheel
	small      int32         // frames of a flood since then
	peerGone   bool          // the peer has said goodbye, or the connection has ended

	// Any goroutine.
	silent  atomic.Bool   // set by the heartbeat
	closing atomic.Bool   // no frame is queued any more; set under mu
	reads   atomic.Uint32 // odd while the reader waits for the peer
	code    atomic.Int32  // close code; 0: none yet

	// Guarded by mu.
	mu        sync.Mutex
	queue     queue
	pong      *Frame        // to be written before the queue
	ping      *Frame        // likewise
	goodbye   *Frame        // close frame, to be written behind the queue
	byeTaken  bool          // goodbye is being written, or is written
	byeDone   bool          // goodbye is written
	partial   *Frame        // of which written bytes are on the wire, and the rest must be next
	written   int           // bytes
	busy      bool          // somebody has the right to write: a writer, drain, or a Run
	blocked   bool          // drain has it, for the socket was full
	writing   time.Duration // by the wheel, since when drainPlain has been in a write; 0: it is not
	overflown bool          // a frame found no room since the queue was last empty
	failed    bool          // the connection takes no more
	released  bool          // Release was called
	idle      chan struct{} // made by Release, closed by who gives up busy
	heartbeat heartbeat
}

// Close queues a close frame behind what is queued, and makes Read return
// within a second; it does not wait. What the peer sends from now on is not
// delivered. If the peer does not take what is queued (a write waits for it, or
// Send reported Overflow), the queue is discarded but for what is being
// written, and the close frame is next; where the connection is no plain socket that may
// be found out as late as Release. Only the first call has an
// effect, and none after the peer has closed. The reason is cut at 123 bytes.
func (s *Socket) Close(code int, reason string) {
	if s.sayGoodbye(closeFrame(code, reason)) {
		_ = s.nc.SetReadDeadline(time.Now().Add(closeGrace))
	}
}

// sayGoodbye queues a close frame unless there is one.
func (s *Socket) sayGoodbye(f *Frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.goodbye != nil || s.failed || s.released {
		return false
	}
	s.goodbye = f
	s.closing.Store(true)
	s.code.CompareAndSwap(0, int32(closeCode(f)))
	if s.blocked || s.overflown || s.stuckLocked() {
		s.discardLocked()
	}
	s.ping = nil
	s.scheduleLocked()
	return true
}

// stuckLocked reports that a write to a connection that is no plain socket waits for the
// peer, as blocked does for those that are.
func (s *Socket) stuckLocked() bool {
	return s.writing > 0 && s.engine.wheel.elapsed()-s.writing > stuckTime
}

func (s *Socket) discardLocked() {
	s.writer.counts.discarded.Add(uint64(s.queue.discard()))
}

// Writer is the one of the engine's writers that writes to the socket: 0 up to
// Engine.Writers.
func (s *Socket) Writer() int { return s.writer.index }

// CloseCode is the code that the peer or Close ended the connection with, 1005
// for a close frame of the peer without one; 1006 if there was no close frame.
func (s *Socket) CloseCode() int {
	if c := s.code.Load(); c != 0 {
		return int(c)
	}
	return statusAbnormal
}

// QueuedBytes is how much waits to be written, frame headers and what is being
// written included, the handshake's response not.
func (s *Socket) QueuedBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queuedLocked()
}

func (s *Socket) queuedLocked() int {
	n := s.queue.bytes
	if s.partial != nil && !s.partial.isResponse() {
		n += len(s.wireOf(s.partial)) - s.written
	}
	return n
}
