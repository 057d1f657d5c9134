package listener

import (
	"context"
	"net"
	"net/http"
	"strings"
)

// parse makes a request of a complete head, or returns nil if it is not a handshake that
// net/http's server would pass on as it is.
func (c *conn) parse(s *scratch) *http.Request {
	s.source.Reset(s.head.buf)
	s.reader.Reset(&s.source)
	req, err := http.ReadRequest(s.reader)
	if err != nil || !isHandshake(req) {
		return nil
	}
	req.RemoteAddr = c.tcp.RemoteAddr().String()
	return req.WithContext(&requestContext{Context: c.server.ctx, local: c.tcp.LocalAddr()})
}

// isHandshake reports whether a request is a plain handshake. Its beginnings are those of
// head.look: GET, HTTP/1.1 and a path.
func isHandshake(req *http.Request) bool {
	h := req.Header
	if req.Body != http.NoBody || h["Expect"] != nil {
		return false
	}
	if !strings.EqualFold(one(h, "Upgrade"), "websocket") || one(h, "Sec-Websocket-Version") != "13" || one(h, "Sec-Websocket-Key") == "" {
		return false
	}
	if req.Host == "" || strings.Trim(req.Host, hostLetters) != "" {
		return false
	}
	for name := range h {
		if strings.Contains(name, " ") { // http.ReadRequest lets it pass, the server does not
			return false
		}
	}
	return true
}

// one is the value of a header that is there once, else "".
func one(h http.Header, name string) string {
	if v := h[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// hostLetters are those of nearly all hosts. net/http's server takes some more.
const hostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"

// requestContext is the server's, which knows the address that the request came in at.
type requestContext struct {
	context.Context
	local net.Addr
}

func (c *requestContext) Value(key any) any {
	if key == http.LocalAddrContextKey {
		return c.local
	}
	return c.Context.Value(key)
}
