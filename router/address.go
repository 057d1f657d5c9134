package router

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// clientAddr is the address of the client. X-Forwarded-For is read from the
// right, where the nearest proxy wrote, and only as far as the hops are trusted.
// It is the zero Addr if the transport has none.
func clientAddr(req *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap().WithZone("")
	lines := req.Header.Values("X-Forwarded-For")
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for more := true; more; {
			if !isTrusted(addr, trusted) {
				return addr
			}
			hop := rest
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				more = false
			}
			next, ok := parseHop(hop)
			if !ok {
				return addr // what a trusted hop wrote is the best there is
			}
			addr = next
		}
	}
	return addr
}

// parseHop reads an address as proxies write it: some add a port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		var withPort netip.AddrPort
		if withPort, err = netip.ParseAddrPort(s); err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func addrText(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

// origins are the origins that browsers may come from.
type origins struct {
	any      bool
	patterns []originPattern
}

type originPattern struct {
	scheme string // "": any
	host   Pattern
}

func parseOrigins(list []string) (*origins, error) {
	o := &origins{}
	for _, s := range list {
		if s == "*" {
			o.any = true
			continue
		}
		var p originPattern
		scheme, host, found := strings.Cut(strings.ToLower(s), "://")
		if found {
			p.scheme = scheme
		} else {
			host = scheme
		}
		var err error
		if p.host, err = ParsePattern(host); err != nil {
			return nil, fmt.Errorf("router: allowed origin %q: %w", s, err)
		}
		if strings.ContainsAny(host, "/?#@") || found && scheme == "" {
			return nil, fmt.Errorf("router: allowed origin %q: write host or scheme://host, without a path", s)
		}
		o.patterns = append(o.patterns, p)
	}
	return o, nil
}

// allow reports whether the request's origin may connect. Without an origin it
// does not come from a browser, which alone needs protection from other sites.
func (o *origins) allow(req *http.Request) bool {
	origin := req.Header.Get("Origin")
	if origin == "" || o.any {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, req.Host) {
		return true
	}
	return o.listed(u)
}

// listed reports whether the operator allowed the origin by name.
func (o *origins) listed(u *url.URL) bool {
	host := strings.ToLower(u.Host)
	for _, p := range o.patterns {
		if (p.scheme == "" || p.scheme == strings.ToLower(u.Scheme)) && p.host.Match(host) {
			return true
		}
	}
	return false
}

// rebound reports whether the request may be that of a web page which has made
// its own name resolve to this machine, to be of the same origin as the node:
// a browser's request, to a loopback address, under a name that is neither of
// loopback nor listed. A reverse proxy passes such requests on too: it shows by a
// header that no script can give to a WebSocket handshake, or by an origin of
// https, from where browsers let no page connect without TLS.
func (o *origins) rebound(req *http.Request) bool {
	u, err := url.Parse(req.Header.Get("Origin"))
	if err != nil || u.Host == "" || o.any || !toLoopback(req) || LoopbackHost(u.Host) {
		return false
	}
	if strings.EqualFold(u.Scheme, "https") || o.listed(u) {
		return false
	}
	for _, name := range proxyHeaders {
		if req.Header.Get(name) != "" {
			return false
		}
	}
	return true
}

// proxyHeaders are those that reverse proxies add.
var proxyHeaders = []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-Ip", "Via"}

// toLoopback reports whether the request came in at a loopback address.
func toLoopback(req *http.Request) bool {
	local, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && LoopbackHost(local.String())
}

// AllowsHost reports whether a request that a web page may make and read, which is
// not a WebSocket handshake, names the node by a name that is its own: on a
// loopback address, one of loopback or one in Options.AllowedOrigins.
func (r *Router) AllowsHost(req *http.Request) bool {
	if r.origins.any || !toLoopback(req) || LoopbackHost(req.Host) {
		return true
	}
	return r.origins.listed(&url.URL{Scheme: "http", Host: req.Host}) || r.origins.listed(&url.URL{Scheme: "https", Host: req.Host})
}

// LoopbackHost reports whether a host, with or without a port, is loopback by
// name or address. Names that a page can make resolve to loopback are not.
func LoopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// addrLimiter limits the handshakes of each client address. It remembers a
// bounded number of addresses: when full it forgets those that have been quiet
// for long enough to be at their full allowance, else arbitrary ones.
type addrLimiter struct {
	mu sync.Mutex
	// Guarded by mu.
	addrs map[netip.Addr]*rate.Limiter
	rate  float64 // of the limiters in addrs
}

const (
	maxAddrs   = 1 << 16
	addrsSweep = 64 // addresses looked at to make room
)

func newAddrLimiter() *addrLimiter {
	return &addrLimiter{addrs: make(map[netip.Addr]*rate.Limiter)}
}

// take counts a handshake and returns how long it comes too early; 0: it may go
// on. The rate is per second, with as many at once, and at least one.
func (l *addrLimiter) take(addr netip.Addr, perSecond float64, now time.Time) time.Duration {
	if perSecond <= 0 || !addr.IsValid() {
		return 0
	}
	if addr.Is6() { // one client has a whole network of addresses
		prefix, _ := addr.Prefix(64)
		addr = prefix.Addr()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate != perSecond {
		clear(l.addrs)
		l.rate = perSecond
	}
	lim := l.addrs[addr]
	if lim == nil {
		l.makeRoomLocked(now)
		lim = rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(perSecond)))
		l.addrs[addr] = lim
	}
	if lim.AllowN(now, 1) {
		return 0
	}
	missing := 1 - lim.TokensAt(now)
	return max(time.Millisecond, time.Duration(missing/perSecond*float64(time.Second)))
}

func (l *addrLimiter) makeRoomLocked(now time.Time) {
	if len(l.addrs) < maxAddrs {
		return
	}
	looked, victim := 0, netip.Addr{}
	for addr, lim := range l.addrs { // Go begins at a random place
		if lim.TokensAt(now) >= float64(lim.Burst()) {
			delete(l.addrs, addr)
		} else {
			victim = addr
		}
		if looked++; looked == addrsSweep {
			break
		}
	}
	if len(l.addrs) >= maxAddrs {
		delete(l.addrs, victim)
	}
}
