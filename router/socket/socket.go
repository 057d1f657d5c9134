// Package socket is one WebSocket connection on coder/websocket, as cheap as
// it can be held: the library does the handshake, reading and control frames;
// frames that were encoded once are written by us, all that is queued for a
// connection in one write, by a few writers that never wait for a socket. It
// is a leaf: it knows neither the protocol nor rooms.
package socket

import (
	"errors"
	"net/http"
	"time"
)

// Errors that end Read. Anything else is the connection's own end.
var (
	ErrBinary = errors.New("socket: binary message")  // the peer sent a binary message
	ErrTooBig = errors.New("socket: message too big") // over Options.ReadLimit; 1009 was sent
	ErrSilent = errors.New("socket: no heartbeat")    // nothing came after a ping
)

// ErrUTF8 is returned by Read for a text message that is not UTF-8; the next
// Read goes on with the next message.
var ErrUTF8 = errors.New("socket: text message is not UTF-8")

// Policy says what Send does when the queue is full.
type Policy uint8

const (
	Disconnect Policy = iota // report Overflow; the caller closes
	DropOldest               // drop the oldest queued frames of the same Tag
	KeepLatest               // replace all queued frames of the same Tag
)

// Outcome of a Send.
type Outcome uint8

const (
	Queued   Outcome = iota
	Overflow         // nothing was queued: the queue is full, the caller should close
	Closed           // nothing was queued: the socket is closing
)

// Engine owns what sockets share: writer goroutines and the timer wheel.
type Engine struct{}

// NewEngine starts the engine's goroutines; Close ends them, after every socket has ended.
func NewEngine() *Engine { return nil }
func (e *Engine) Close() {}

// Options of one socket.
type Options struct {
	ReadLimit    int
	Queue        int           // bytes that may wait to be written
	WriteTimeout time.Duration // for one write to make progress
	PingInterval time.Duration // 0: no heartbeat
	PongTimeout  time.Duration
	Subprotocols []string // offered to the client, our order
	JSONPing     *Frame   // if set, sent at PingInterval instead of a WebSocket ping
}

// Accept upgrades the request. After it returns nil error the handler of net/http may return:
// the socket does not use its goroutine or buffers. On error the response has been written.
func (e *Engine) Accept(w http.ResponseWriter, r *http.Request, o Options) (*Socket, error) {
	return nil, nil
}

// Frame is a text message encoded once for all its receivers; immutable.
type Frame struct{}

// NewFrame encodes what build appends. sizeHint is the expected payload size in bytes.
func NewFrame(sizeHint int, build func(dst []byte) []byte) *Frame { return nil }

// Payload is the frame's text, without its header.
func (f *Frame) Payload() []byte { return nil }

// Item is a frame with what should happen to it in a full queue.
type Item struct {
	Frame  *Frame
	Policy Policy
	Tag    any           // frames of one room share a tag (a pointer); nil: never dropped
	Gap    func() *Frame // what stands in for dropped frames of the tag, once per run of drops
}

// Socket is one connection. Read belongs to one goroutine; the other methods are safe for concurrent use.
type Socket struct{}

// Read waits for the next text message. The slice is valid until the next Read.
func (s *Socket) Read() ([]byte, error) { return nil, nil }

// Send queues a frame without ever blocking. dropped counts the frames that it pushed out.
func (s *Socket) Send(it Item) (o Outcome, dropped int) { return 0, 0 }

// Close queues a close frame behind what is queued (or, for a queue that does not drain, in its place)
// and makes Read return; it does not wait. Only the first call has an effect. The reason is cut at 123 bytes.
func (s *Socket) Close(code int, reason string) {}

// Release ends the socket after Read has returned an error: it waits until what is queued has been written, at most
// WriteTimeout (bounded), closes the TCP connection and gives everything back.
func (s *Socket) Release() {}

// CloseCode is the code that the peer or Close ended the connection with; 1006 if none was seen.
func (s *Socket) CloseCode() int { return 0 }

// SetReadLimit etc. may change later with the generation.
func (s *Socket) QueuedBytes() int { return 0 }

// Timer calls f once, on the wheel's goroutine (f must not block), about d from now.
type Timer struct{}

func (e *Engine) AfterFunc(d time.Duration, f func()) *Timer { return nil }
func (t *Timer) Stop()                                       {}
