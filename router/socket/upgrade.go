package socket

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// taken is what Hijack panics with, to end the library's part in a connection. It has
// verified the handshake and decided on the response by then; a connection of its own would
// cost more than our whole socket, and an error it would wrap, and answer.
type taken struct{}

// upgrade is the ResponseWriter of the library during the handshake.
type upgrade struct {
	http.ResponseWriter
	options websocket.AcceptOptions
	window  bool // asksForWindow

	// Set by take and respond.
	nc       net.Conn
	early    *input
	response []byte
}

var upgrades = sync.Pool{New: func() any {
	// The origin is checked by the caller of Accept.
	return &upgrade{options: websocket.AcceptOptions{InsecureSkipVerify: true}}
}}

func (u *upgrade) free() {
	if u.early != nil {
		u.early.free()
	}
	u.ResponseWriter, u.options.Subprotocols, u.window, u.nc, u.early, u.response = nil, nil, false, nil, nil, nil
	upgrades.Put(u)
}

const (
	switching = "HTTP/1.1 101 Switching Protocols\r\n"
	plainHead = switching + "Connection: Upgrade\r\nSec-Websocket-Accept: "
	plainTerm = "\r\nSec-Websocket-Protocol: "
	plainTail = "\r\nUpgrade: websocket\r\n\r\n"
)

// plain takes the connection of a handshake that asks for nothing that could be agreed on
// but one subprotocol, which is ours, as most do, and responds as the library would. Of
// every other one, and of what is not flawless, it leaves the decision to the library,
// and reports false.
func (u *upgrade) plain(r *http.Request, o *Options) bool {
	h := r.Header
	switch {
	case r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor != 1,
		!strings.EqualFold(one(h, "Connection"), "upgrade") || !strings.EqualFold(one(h, "Upgrade"), "websocket"),
		one(h, "Sec-Websocket-Version") != "13",
		o.Deflate > 0 && h[extensions] != nil,
		len(u.Header()) > 0:
		return false
	}
	term := one(h, subprotocol)
	if len(o.Subprotocols) > 0 && h[subprotocol] != nil && !slices.Contains(o.Subprotocols, term) {
		return false
	}
	accept, ok := acceptKey(one(h, "Sec-Websocket-Key"))
	if !ok || u.take() != nil {
		return false
	}
	b := make([]byte, 0, len(plainHead)+len(accept)+len(plainTerm)+len(term)+len(plainTail))
	b = append(b, plainHead...)
	b = append(b, accept[:]...)
	if len(o.Subprotocols) > 0 && term != "" {
		b = append(b, plainTerm...)
		b = append(b, term...)
	}
	u.response = append(b, plainTail...)
	return true
}

// one is the value of a header that is there once, else "".
func one(h http.Header, name string) string {
	if v := h[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// acceptKey answers the client's key (RFC 6455, 4.2.2).
func acceptKey(key string) (accept [28]byte, ok bool) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var text [24 + len(guid)]byte
	if len(key) != 24 || copy(text[:], key) != len(key) {
		return accept, false
	}
	var nonce [18]byte // what the decoder may write, whatever it finds
	if n, err := base64.StdEncoding.Decode(nonce[:], text[:24]); err != nil || n != 16 {
		return accept, false
	}
	copy(text[24:], guid)
	sum := sha1.Sum(text[:])
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept, true
}

// offer says what the library may agree on.
func (u *upgrade) offer(r *http.Request, o *Options) {
	u.options.Subprotocols = o.Subprotocols
	u.options.CompressionMode = websocket.CompressionDisabled
	if o.Deflate > 0 {
		u.options.CompressionMode = websocket.CompressionNoContextTakeover
		u.window = asksForWindow(r.Header)
	}
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

// Hijack takes the connection, and everything from the library.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := u.take(); err != nil {
		return nil, nil, err
	}
	if agreed := u.Header().Get(extensions); agreed != "" && u.window {
		u.Header().Set(extensions, agreed+"; "+fullWindow)
	}
	var b bytes.Buffer
	b.WriteString(switching)
	_ = u.Header().Write(&b) // a buffer does not fail
	b.WriteString("\r\n")
	u.response = b.Bytes()
	panic(taken{})
}

// taker is a ResponseWriter whose connection has neither a deadline nor anything buffered.
type taker interface{ Take() (net.Conn, error) }

// take takes the connection from the HTTP server.
func (u *upgrade) take() (err error) {
	if t, ok := u.ResponseWriter.(taker); ok {
		u.nc, err = t.Take()
		return err
	}
	nc, brw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return err
	}
	if err := nc.SetDeadline(time.Time{}); err != nil { // net/http may have left some
		abort(nc)
		return err
	}
	u.nc = nc
	if early, err := brw.Reader.Peek(brw.Reader.Buffered()); err == nil {
		u.early = earlyInput(early)
	}
	return nil
}

// WriteHeader leaves the response of success to the socket.
func (u *upgrade) WriteHeader(code int) {
	if code != http.StatusSwitchingProtocols {
		u.ResponseWriter.WriteHeader(code)
	}
}
