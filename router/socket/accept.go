package socket

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

const (
	readBuffer  = 512                // of the library; larger messages are read past it
	writeBuffer = 2 + maxControl + 1 // of the library: a control frame is one Write
)

// Accept upgrades the request. The origin is the caller's to check. After it
// returns a nil error the handler of net/http must return: the socket does not
// use its goroutine or buffers, and another goroutine calls Read until it
// fails, then Release. Headers set on w are part of the response. On error the
// response has been written.
func (e *Engine) Accept(w http.ResponseWriter, r *http.Request, o Options) (*Socket, error) {
	o = o.withDefaults()
	s := &Socket{
		engine:       e,
		writer:       e.nextWriter(),
		readLimit:    o.ReadLimit,
		queueLimit:   o.Queue,
		writeTimeout: o.WriteTimeout,
		messageTime:  o.MessageTime,
	}
	up := &upgrade{ResponseWriter: w, s: s}
	ws, err := websocket.Accept(up, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the origin is checked
		Subprotocols:       o.Subprotocols,
		OnPingReceived: func(_ context.Context, payload []byte) bool {
			s.setPong(pongFrame(payload))
			return false
		},
	})
	if err != nil {
		if s.nc != nil {
			abort(s.nc)
		}
		return nil, err
	}
	ws.SetReadLimit(-1) // Read has its own
	s.ws = ws
	e.sockets.Add(1)
	s.heartbeat.start(s, o)
	return s, nil
}

// upgrade is the ResponseWriter of the library during the handshake. It gives
// it the socket instead of net/http's connection and buffers.
type upgrade struct {
	http.ResponseWriter
	s        *Socket
	hijacked bool
}

// WriteHeader leaves the response of success to Hijack.
func (u *upgrade) WriteHeader(code int) {
	if code != http.StatusSwitchingProtocols && !u.hijacked {
		u.ResponseWriter.WriteHeader(code)
	}
}

func (u *upgrade) Write(p []byte) (int, error) {
	if u.hijacked {
		return 0, http.ErrHijacked
	}
	return u.ResponseWriter.Write(p)
}

// Hijack takes the connection from net/http and writes the response.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u.hijacked = true
	s := u.s
	s.nc = nc
	s.raw = rawConn(nc)
	if n := brw.Reader.Buffered(); n > 0 {
		b, err := brw.Reader.Peek(n)
		if err != nil {
			return nil, nil, err
		}
		s.early = append([]byte(nil), b...)
	}
	if err := u.respond(nc); err != nil {
		return nil, nil, err
	}
	lib := (*libConn)(s)
	return lib, bufio.NewReadWriter(bufio.NewReaderSize(lib, readBuffer), bufio.NewWriterSize(lib, writeBuffer)), nil
}

// respond writes the handshake's response and clears net/http's deadlines.
func (u *upgrade) respond(nc net.Conn) error {
	if err := nc.SetDeadline(time.Now().Add(u.s.writeTimeout)); err != nil {
		return err
	}
	buf := bufio.NewWriterSize(nc, 1024)
	if _, err := buf.WriteString("HTTP/1.1 101 Switching Protocols\r\n"); err != nil {
		return err
	}
	if err := u.Header().Write(buf); err != nil {
		return err
	}
	if _, err := buf.WriteString("\r\n"); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("writing the handshake: %w", err)
	}
	return nc.SetDeadline(time.Time{})
}

// rawConn gives access to the descriptor of a connection that is nothing but a
// socket. Other types may do more in their Write.
func rawConn(nc net.Conn) syscall.RawConn {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil || !canWriteRaw {
		return nil
	}
	return raw
}
