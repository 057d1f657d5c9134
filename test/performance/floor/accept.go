package main

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// frameLimit is the largest message of a client, in bytes.
const frameLimit = 1 << 20

// serveHTTP takes a connection over from net/http.
func (h *hub) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if c := h.upgrade(w, r); c != nil {
		c.serve()
	}
}

// readers read requests. They are given back when the connection is upgraded.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4096) }}

// serveRaw does the handshake on a connection of our own listener.
func (h *hub) serveRaw(nc net.Conn) {
	br := readers.Get().(*bufio.Reader)
	br.Reset(nc)
	defer func() {
		br.Reset(nil)
		readers.Put(br)
	}()
	r, err := http.ReadRequest(br)
	if err != nil {
		nc.Close()
		return
	}
	w := &response{nc: nc, br: br, header: http.Header{}, hub: h}
	c := h.upgrade(w, r)
	if c == nil {
		nc.Close()
		return
	}
	go c.serve() // on a stack that no handshake has grown
}

func (h *hub) upgrade(w http.ResponseWriter, r *http.Request) *client {
	hj := &hijack{ResponseWriter: w, outlet: h.Out == "inline" || h.Out == "shard"}
	ws, err := websocket.Accept(hj, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		if hj.nc != nil {
			hj.nc.Close()
		}
		return nil
	}
	ws.SetReadLimit(frameLimit)
	return &client{id: r.URL.Query().Get("client_id"), hub: h, ws: ws, nc: hj.nc, out: hj.out}
}

// hijack shows us the connection that the library takes over, and puts an
// outlet around it where deliveries are written past the library.
type hijack struct {
	http.ResponseWriter
	outlet bool
	nc     net.Conn // once hijacked
	out    *outlet
}

var _ http.Hijacker = (*hijack)(nil)

func (j *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := j.ResponseWriter.(http.Hijacker).Hijack()
	if err != nil {
		return nil, nil, err
	}
	j.nc = nc
	if j.outlet {
		if j.out, err = newOutlet(nc); err != nil {
			return nil, nil, err
		}
		j.nc = j.out
		brw.Writer.Reset(j.out)
	}
	return j.nc, brw, nil
}

// response is what the library needs to answer a handshake.
type response struct {
	nc     net.Conn
	br     *bufio.Reader
	header http.Header
	hub    *hub
}

var (
	_ http.ResponseWriter = (*response)(nil)
	_ http.Hijacker       = (*response)(nil)
)

func (w *response) Header() http.Header         { return w.header }
func (w *response) Write(b []byte) (int, error) { return w.nc.Write(b) }

// WriteHeader writes the status and the headers, at once.
func (w *response) WriteHeader(status int) {
	p := buffers.Get().(*[]byte)
	b := append((*p)[:0], "HTTP/1.1 "...)
	b = append(b, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10), ' ')
	b = append(append(b, http.StatusText(status)...), "\r\n"...)
	for name, values := range w.header {
		for _, value := range values {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	b = append(b, "\r\n"...)
	_, _ = w.nc.Write(b)
	*p = b
	buffers.Put(p)
}

func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.br.Buffered() > 0 {
		return nil, nil, errors.New("there is data before the upgrade")
	}
	return w.nc, bufio.NewReadWriter(bufio.NewReaderSize(w.nc, w.hub.ReadBuffer), bufio.NewWriterSize(w.nc, w.hub.WriteBuffer)), nil
}
