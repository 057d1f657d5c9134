package listener

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strconv"
	"time"
)

// response is what a handler of handshakes writes to. Only its goroutine uses it.
type response struct {
	conn     *conn
	header   http.Header
	status   int    // 0: not said yet
	body     []byte // of the answer
	hijacked bool
}

var _ interface {
	http.ResponseWriter
	http.Hijacker
} = (*response)(nil)

func (w *response) init(c *conn) { w.conn, w.header = c, make(http.Header, 4) }

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Nothing is sent until the handler returns
// or hijacks the connection; the header may be changed until then.
func (w *response) WriteHeader(status int) {
	switch {
	case w.hijacked:
		w.conn.server.logf("http: response.WriteHeader on hijacked connection")
	case w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols):
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if !w.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// hasBody reports whether an answer with that status has a body, be it empty.
func (w *response) hasBody() bool {
	return w.status >= 200 && w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

// SetReadDeadline and SetWriteDeadline serve http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error  { return w.conn.tcp.SetReadDeadline(t) }
func (w *response) SetWriteDeadline(t time.Time) error { return w.conn.tcp.SetWriteDeadline(t) }

// smallest is the least that a bufio.Reader takes. A client of a handshake has sent
// nothing that would be in it, and who hijacks a connection has buffers of his own.
const smallest = 16

// Hijack implements http.Hijacker. The connection has no deadline, and its bufio pair is
// empty and small.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, err := w.Take()
	if err != nil {
		return nil, nil, err
	}
	return c, bufio.NewReadWriter(bufio.NewReaderSize(c, smallest), bufio.NewWriterSize(c, smallest)), nil
}

// Take is Hijack without the bufio pair. The connection is closed on an error.
func (w *response) Take() (net.Conn, error) {
	c := w.conn
	if w.hijacked || !c.server.forget(c) {
		return nil, http.ErrHijacked
	}
	w.hijacked = true
	err := c.tcp.SetDeadline(time.Time{})
	if err == nil && w.status != 0 {
		_, err = c.tcp.Write(w.appendHead(nil))
	}
	if err != nil {
		_ = c.tcp.Close()
		return nil, err
	}
	return c.tcp, nil
}

// finish sends the answer of a handler that did not hijack, and closes the connection.
func (w *response) finish() {
	c := w.conn
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if d := c.server.http.WriteTimeout; d > 0 {
		_ = c.tcp.SetWriteDeadline(time.Now().Add(d))
	}
	h := w.header
	if h["Date"] == nil {
		h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if w.hasBody() {
		h.Set("Content-Length", strconv.Itoa(len(w.body)))
	}
	h.Add("Connection", "close")
	_, _ = c.tcp.Write(append(w.appendHead(nil), w.body...))
	c.close()
}

// appendHead appends the status line and the headers.
func (w *response) appendHead(b []byte) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(w.status)...)
	b = append(b, "\r\n"...)
	buf := bytes.NewBuffer(b)
	_ = w.header.Write(buf) // a Buffer takes everything
	buf.WriteString("\r\n")
	return buf.Bytes()
}
