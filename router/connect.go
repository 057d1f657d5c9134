package router

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sluice/router/socket"
	"sluice/router/wire"
)

// handshake is a connection on its way in.
type handshake struct {
	r      *Router
	req    *http.Request
	query  query
	remote string
	id     uint64
	states []State
	seq    uint64
}

// ServeHTTP is the WebSocket endpoint. It returns once the connection is open
// or refused; an open one has a goroutine of its own. The time until a
// request has come is bounded by the server's ReadHeaderTimeout.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !r.begin() {
		r.refuse(w, req, &refusal{cause: RefusedDraining, code: wire.Unavailable, reason: drainReason, retry: time.Second})
		return
	}
	served := false
	if !r.guard("a handshake", func() { served = r.connect(w, req) }) {
		r.refuse(w, req, &refusal{cause: RefusedPanic, status: http.StatusInternalServerError, code: wire.Unavailable, reason: "internal error"})
	}
	if !served {
		r.running.Done()
	}
}

// connect admits or refuses a client. It reports whether a connection's
// goroutine took over.
func (r *Router) connect(w http.ResponseWriter, req *http.Request) (served bool) {
	addr := clientAddr(req, r.opts.TrustedProxies)
	h := &handshake{r: r, req: req, id: rand.Uint64() | 1, remote: addrText(addr)}
	if ref := checkUpgrade(req); ref != nil {
		r.refuse(w, req, ref)
		return false
	}
	cur := r.cur.Load()
	if wait := r.addrs.take(addr, cur.limits.HandshakesPerAddr, time.Now()); wait > 0 {
		r.refuse(w, req, &refusal{cause: RefusedRate, code: wire.RateLimited, reason: "too many connects from your address", retry: wait})
		return false
	}
	var err error
	if h.query, err = parseQuery(req.URL.RawQuery); err != nil {
		r.refuse(w, req, &refusal{cause: RefusedQuery, code: wire.BadRequest, reason: "the query cannot be parsed: " + clip(err.Error()) + "; encode its values"})
		return false
	}
	served, ref := r.admit(w, h)
	if ref != nil {
		r.refuse(w, req, ref) // holds no place any more: it may take seconds
	}
	return served
}

// admit takes a connection's place on the node, and gives it back unless the
// connection's goroutine took over. Without a refusal a client that is not
// served has been answered.
func (r *Router) admit(w http.ResponseWriter, h *handshake) (served bool, ref *refusal) {
	slots := r.slots.Add(1)
	defer func() {
		if !served {
			r.slots.Add(-1)
		}
	}()

	var cur *current
	var id *Identity
	ref = &refusal{retired: true}
	for tries := 0; ref != nil && ref.retired; tries++ {
		if tries == maxRetries {
			ref = &refusal{cause: RefusedUnavailable, code: wire.Unavailable, reason: "the filters are being replaced; try again"}
			break
		}
		cur = r.cur.Load()
		id, ref = h.judge(cur, slots)
	}
	if ref != nil {
		return false, ref
	}
	group, ref := h.enlist(cur, id)
	if ref != nil {
		return false, ref
	}
	defer func() {
		if !served {
			r.users.release(group)
		}
	}()
	sock, err := r.engine.Accept(w, h.req, h.socketOptions(cur))
	if err != nil {
		r.count.refused.count(RefusedHandshake)
		r.log.Debug("an upgrade failed", "remote", h.remote, "error", err)
		return false, nil
	}
	r.start(h, sock, id, group)
	return true, nil
}

// start registers an accepted connection and starts its goroutine, which gives
// everything back, after a fault here too.
func (r *Router) start(h *handshake, sock *socket.Socket, id *Identity, g *group) {
	c := &conn{r: r, sock: sock, id: h.id, remote: h.remote, states: h.states, seq: h.seq}
	c.identity.Store(id)
	c.self = member{conn: c, group: r.everyone}
	c.own = member{conn: c, group: g}
	if !r.guard("starting a connection", func() { r.register(c, id) }) {
		c.close(wire.CloseInternal, "internal error")
	}
	r.count.accepted.Add(1)
	go c.serve()
}

// register makes a connection known to those that deliver to it or close it.
func (r *Router) register(c *conn, id *Identity) {
	c.own.group.add(&c.own)
	r.everyone.add(&c.self)
	// What has come since this handshake began may have missed the connection.
	if r.draining.Load() {
		c.close(wire.CloseDraining, drainReason)
	}
	if ref := r.revoked.refusal(id); ref != nil {
		c.cutOff(ref)
	}
	c.watchExpiry()
}

// judge decides by one generation whether the client may connect, and who
// it is.
func (h *handshake) judge(cur *current, slots int64) (*Identity, *refusal) {
	if max := cur.limits.Connections; max > 0 && slots > int64(max) {
		return nil, &refusal{cause: RefusedCapacity, code: wire.Unavailable, reason: "this node has as many connections as it takes", retry: time.Second}
	}
	if !h.r.origins.allow(h.req) {
		return nil, &refusal{cause: RefusedOrigin, code: wire.Forbidden, reason: "origin " + strconv.Quote(clip(h.req.Header.Get("Origin"))) + " is not allowed"}
	}
	if (cur.open || h.r.opts.Anonymous) && h.r.origins.rebound(h.req) {
		return nil, &refusal{cause: RefusedOrigin, code: wire.Forbidden, reason: "origin " + strconv.Quote(clip(h.req.Header.Get("Origin"))) +
			" reaches this node at a loopback address, where everyone is admitted; if it is yours, add it to allowed_origins"}
	}
	if cur.open {
		return h.selfNamed()
	}
	return h.authenticate(cur)
}

// selfNamed is the identity of a client on a node that asks nobody: the name
// that it gives itself.
func (h *handshake) selfNamed() (*Identity, *refusal) {
	name := strings.Clone(h.query.get("client_id")) // not the whole request with it
	if name == "" {
		name = randomName()
	}
	if reason := wire.CheckName([]byte(name)); reason != "" {
		return nil, &refusal{cause: RefusedClientID, code: wire.BadRequest, reason: "client_id " + reason}
	}
	return h.r.admissible(&Identity{User: name})
}

// authenticate asks the connect filters who the client is.
func (h *handshake) authenticate(cur *current) (*Identity, *refusal) {
	h.seq++
	w := works.Get().(*work)
	defer w.free()
	e := &w.event
	*e = Event{
		Hook:    HookConnect,
		Kind:    KindNew,
		Time:    time.Now().UnixNano(),
		Conn:    h.id,
		Seq:     h.seq,
		Remote:  h.remote,
		Request: h.req,
		States:  &h.states,
		Scratch: e.Scratch,
	}
	if errors.Is(cur.Filters.Judge(e), ErrRetired) {
		h.r.count.retired.Add(1)
		h.states, h.seq = nil, 0
		return nil, &refusal{retired: true}
	}
	id, ref := h.r.connectVerdict(&e.Verdict)
	if ref != nil {
		return nil, ref
	}
	if h.r.opts.Anonymous && (id == nil || id.User == "") {
		return h.anonymous(id)
	}
	return h.r.named(id)
}

// anonymous is the identity of a client whom no filter named, with what they
// said besides.
func (h *handshake) anonymous(given *Identity) (*Identity, *refusal) {
	id := Identity{}
	if given != nil {
		id = *given
	}
	id.User = anonymousUser()
	return h.r.admissible(&id)
}

// connectVerdict is what the filters say of a client that connects or refreshes:
// who it is, nil if they do not know, or why it is refused.
func (r *Router) connectVerdict(v *Verdict) (*Identity, *refusal) {
	switch v.Action {
	case Continue, Allow:
		return v.Identity, nil
	case Disconnect:
		r.count.verdicts.count("connect/disconnect")
		return nil, &refusal{cause: RefusedFilter, code: wire.Forbidden, close: closeCodeOf(v), reason: reasonOf(v), filter: v.Filter}
	case Drop:
		r.count.verdicts.count("connect/drop")
	default:
		r.count.verdicts.count("connect/deny")
	}
	return nil, &refusal{cause: RefusedFilter, code: v.WireCode(), reason: reasonOf(v), filter: v.Filter, retry: v.RetryAfter}
}

// enlist finds the group of the user's connections, and has the broker deliver
// to it.
func (h *handshake) enlist(cur *current, id *Identity) (*group, *refusal) {
	ctx, cancel := withPatience(h.r.ctx, cur.limits.HandshakeTimeout)
	defer cancel()
	g, err := h.r.users.acquire(ctx, id.User, cur.limits.ConnectionsPerUser)
	switch {
	case errors.Is(err, errGroupFull):
		return nil, &refusal{cause: RefusedUserCapacity, code: wire.RateLimited, reason: "you have as many connections as you may", retry: time.Second}
	case err != nil:
		h.r.brokerFailed("subscribing to a user", err)
		return nil, &refusal{cause: RefusedUnavailable, code: wire.Unavailable, reason: "the node cannot take connections now; try again", retry: time.Second}
	}
	return g, nil
}

func (h *handshake) socketOptions(cur *current) socket.Options {
	o := socket.Options{
		ReadLimit:    cur.limits.Frame,
		Queue:        cur.limits.Queue,
		WriteTimeout: cur.limits.WriteTimeout,
		PingInterval: cur.limits.PingInterval,
		PongTimeout:  cur.limits.PongTimeout,
		Subprotocols: []string{wire.Subprotocol},
		Deflate:      cur.Compression.Level,
		DeflateMin:   cur.Compression.MinSize,
	}
	if h.query.get("ping") == "json" {
		o.JSONPing = h.r.ping
	}
	return o
}

// checkUpgrade refuses what is not a WebSocket handshake.
func checkUpgrade(req *http.Request) *refusal {
	switch {
	case req.Method != http.MethodGet:
		return &refusal{cause: RefusedNotUpgrade, status: http.StatusMethodNotAllowed, code: wire.BadRequest, reason: "a WebSocket handshake is a GET request"}
	case !hasToken(req.Header, "Connection", "upgrade") || !hasToken(req.Header, "Upgrade", "websocket"):
		return &refusal{cause: RefusedNotUpgrade, status: http.StatusUpgradeRequired, code: wire.BadRequest, reason: "this is a WebSocket endpoint; connect with a WebSocket client"}
	case !req.ProtoAtLeast(1, 1):
		return &refusal{cause: RefusedNotUpgrade, code: wire.BadRequest, reason: "a WebSocket handshake needs HTTP/1.1"}
	case req.Header.Get("Sec-Websocket-Version") != "13":
		return &refusal{cause: RefusedNotUpgrade, status: http.StatusUpgradeRequired, code: wire.BadRequest, reason: "the header Sec-WebSocket-Version must be 13"}
	case !validKey(req.Header["Sec-Websocket-Key"]):
		return &refusal{cause: RefusedNotUpgrade, code: wire.BadRequest, reason: "the header Sec-WebSocket-Key must be there once, with 16 bytes in base64"}
	}
	return nil
}

func validKey(keys []string) bool {
	if len(keys) != 1 {
		return false
	}
	const size = 16
	text := strings.TrimSpace(keys[0])
	if len(text) != base64.StdEncoding.EncodedLen(size) {
		return false
	}
	var key [size + 2]byte // the padding's bytes too
	n, err := base64.StdEncoding.Decode(key[:], []byte(text))
	return err == nil && n == size
}

// hasToken reports whether a header's comma-separated list has the token.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
