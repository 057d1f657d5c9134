package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// target is where connections go.
type target struct {
	url    *url.URL
	secure bool           // wss
	addr   netip.AddrPort // of the server
}

// resolveTarget reads a URL and finds its address. Only this machine is a
// target, unless remote is set.
func resolveTarget(ctx context.Context, flag, text string, remote bool) (*target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, fmt.Errorf("--%s: %q is not a URL such as ws://127.0.0.1:8080/ws", flag, text)
	}
	if u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("--%s: %q has a user or a fragment, which no WebSocket URL has", flag, text)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	t := &target{url: u, secure: u.Scheme == "wss"}
	port := u.Port()
	if port == "" {
		port = "80"
		if t.secure {
			port = "443"
		}
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, fmt.Errorf("--%s: %q is not a port", flag, port)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil || len(addrs) == 0 {
		return nil, fmt.Errorf("--%s: the host %s has no address: %w", flag, u.Hostname(), err)
	}
	addr := addrs[0].Unmap()
	for _, a := range addrs { // a node listens on 127.0.0.1 rather than on ::1
		if a.Unmap().Is4() {
			addr = a.Unmap()
			break
		}
	}
	t.addr = netip.AddrPortFrom(addr, uint16(number))
	if !addr.IsLoopback() && !remote {
		return nil, fmt.Errorf("--%s: %s is another machine (%s). A load generator takes a server that is not prepared for it down, "+
			"and whoever else it serves with it: add --remote if the server is yours and may be loaded", flag, u.Hostname(), addr)
	}
	return t, nil
}

// host is the Host header, and the origin's authority.
func (t *target) host() string { return t.url.Host }

// request is the upgrade request of a user. A token goes into the Authorization
// header, or into the query field that is named.
func (t *target) request(user, token, tokenQuery string, compress bool) []byte {
	var b strings.Builder
	query := t.url.RawQuery
	add := func(name, value string) {
		if query != "" {
			query += "&"
		}
		query += url.QueryEscape(name) + "=" + url.QueryEscape(value)
	}
	switch {
	case token == "" && !t.url.Query().Has("token") && !t.url.Query().Has("client_id"):
		add("client_id", user)
	case token != "" && tokenQuery != "":
		add(tokenQuery, token)
	}
	b.WriteString("GET " + t.url.EscapedPath())
	if query != "" {
		b.WriteString("?" + query)
	}
	b.WriteString(" HTTP/1.1\r\nHost: " + t.host() + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + handshakeKey + "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sluice.v1\r\n")
	if token != "" && tokenQuery == "" {
		b.WriteString("Authorization: Bearer " + token + "\r\n")
	}
	if compress {
		b.WriteString("Sec-WebSocket-Extensions: " + deflateOffer + "\r\n")
	}
	b.WriteString("User-Agent: sluice-bench\r\n\r\n")
	return []byte(b.String())
}
