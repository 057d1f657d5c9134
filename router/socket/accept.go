package socket

import (
	"net/http"
	"strings"
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
// If w has a method Take() (net.Conn, error), which is Hijack of a connection that
// has no deadline, and of which nothing was read beyond the request, that is called.
func (e *Engine) Accept(w http.ResponseWriter, r *http.Request, o Options) (*Socket, error) {
	o = o.withDefaults()
	u := upgrades.Get().(*upgrade)
	defer u.free()
	u.ResponseWriter = w
	if !u.plain(r, &o) {
		u.offer(r, &o)
		if err := u.accept(r); err != nil {
			return nil, err
		}
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
		partial:  &Frame{wire: u.response},
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
	subprotocol = "Sec-Websocket-Protocol"
	extensions  = "Sec-Websocket-Extensions"
	fullWindow  = "server_max_window_bits=15"
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
