package socket

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Accept upgrades the request. The origin is the caller's to check. After it
// returns a nil error the handler of net/http must return: the socket does not
// use its goroutine or buffers, and another goroutine calls Read until it
// fails, then Release. Headers set on w are part of the response, which leaves
// with the first frame that is sent, or with the first Read or Release. On error
// the response has been written.
//
// w must be an http.Hijacker, or have one under it. Of what Hijack gives, the
// net.Conn is the socket's from then on; of the bufio.ReadWriter only what its
// reader has buffered is copied, and nothing is kept once Accept has returned.
func (e *Engine) Accept(w http.ResponseWriter, r *http.Request, o Options) (*Socket, error) {
	o = o.withDefaults()
	u := upgrades.Get().(*upgrade)
	defer u.free()
	u.ResponseWriter = w
	u.options.Subprotocols = o.Subprotocols
	u.options.CompressionMode = websocket.CompressionDisabled
	if o.Deflate > 0 {
		u.options.CompressionMode = websocket.CompressionNoContextTakeover
		u.window = asksForWindow(r.Header)
	}
	if err := u.accept(r); err != nil {
		return nil, err
	}
	if u.nc.SetDeadline(time.Time{}) != nil { // net/http may have left some
		abort(u.nc)
		return nil, net.ErrClosed
	}
	if u.Header().Get(extensions) == "" {
		o.Deflate = 0
	}
	s := &Socket{
		settings: e.shared.of(&o, o.Deflate),
		engine:   e,
		writer:   e.nextWriter(),
		nc:       u.nc,
		raw:      rawConn(u.nc),
		in:       u.early,
		partial:  &Frame{wire: bytes.Clone(u.response.Bytes())},
	}
	if s.raw != nil {
		s.take = s.takeNow
	}
	u.early = nil
	e.sockets.Add(1)
	s.heartbeat.start(s)
	return s, nil
}

const (
	extensions = "Sec-Websocket-Extensions"
	fullWindow = "server_max_window_bits=15"
)

// asksForWindow says whether the offer that the library takes bounds our window, at the
// full one. Who takes that has to say so (RFC 7692, 7.1.2.1), and the library does not.
func asksForWindow(h http.Header) bool {
	for _, line := range h[extensions] {
		for offer := range strings.SplitSeq(line, ",") {
			params := strings.Split(offer, ";")
			if strings.TrimSpace(params[0]) != "permessage-deflate" {
				continue
			}
			taken, window := true, false
			for _, p := range params[1:] {
				switch p = strings.TrimSpace(p); {
				case p == fullWindow:
					window = true
				case p == "client_no_context_takeover" || p == "server_no_context_takeover":
				case p == "client_max_window_bits" || strings.HasPrefix(p, "client_max_window_bits="):
				default:
					taken = false
				}
			}
			if taken {
				return window
			}
		}
	}
	return false
}

// isResponse tells the handshake's response from the frames, all of which have
// their FIN bit set.
func (f *Frame) isResponse() bool { return f.wire[0]&finBit == 0 }

// taken is what Hijack panics with, to end the library's part in a connection. It has
// verified the handshake and decided on the response by then; a connection of its own would
// cost more than our whole socket, and an error it would wrap, and answer.
type taken struct{}

// upgrade is the ResponseWriter of the library during the handshake.
type upgrade struct {
	http.ResponseWriter
	options websocket.AcceptOptions
	window  bool // asksForWindow

	// Set by Hijack.
	nc       net.Conn
	early    *input
	response bytes.Buffer
}

var upgrades = sync.Pool{New: func() any {
	// The origin is checked by the caller of Accept.
	return &upgrade{options: websocket.AcceptOptions{InsecureSkipVerify: true}}
}}

func (u *upgrade) free() {
	if u.early != nil {
		u.early.free()
	}
	u.ResponseWriter, u.options.Subprotocols, u.window, u.nc, u.early = nil, nil, false, nil, nil
	u.response.Reset()
	upgrades.Put(u)
}

// accept has the library judge the request. Unless it refuses, u has what Hijack took.
func (u *upgrade) accept(r *http.Request) error {
	defer func() {
		if u.nc == nil {
			return // no panic, or somebody else's
		}
		if f := recover(); f != nil && f != any(taken{}) {
			panic(f)
		}
	}()
	_, err := websocket.Accept(u, r, &u.options)
	return err
}

// Hijack takes the connection from net/http, and everything from the library.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u.nc = nc
	if early, err := brw.Reader.Peek(brw.Reader.Buffered()); err == nil {
		u.early = earlyInput(early)
	}
	if agreed := u.Header().Get(extensions); agreed != "" && u.window {
		u.Header().Set(extensions, agreed+"; "+fullWindow)
	}
	u.response.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = u.Header().Write(&u.response) // a buffer does not fail
	u.response.WriteString("\r\n")
	panic(taken{})
}

// WriteHeader leaves the response of success to the socket.
func (u *upgrade) WriteHeader(code int) {
	if code != http.StatusSwitchingProtocols {
		u.ResponseWriter.WriteHeader(code)
	}
}
