package router

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"sluice/router/socket"
	"sluice/router/wire"
)

// refusal is why a connect was refused.
type refusal struct {
	cause   string // a Refused constant
	status  int    // HTTP; 0: what belongs to the code
	close   int    // for ?refusal=close; 0: what belongs to the code
	code    wire.Code
	reason  string
	filter  string
	retry   time.Duration
	revoked string // of RefusedRevoked: the kind of what is revoked
	retired bool   // not a refusal: judge anew
}

// upgradable reports whether a client can be told by an error event.
func (ref *refusal) upgradable() bool {
	switch ref.cause {
	case RefusedNotUpgrade, RefusedDraining, RefusedPanic:
		return false
	}
	return true
}

// refuse answers a refused handshake: by HTTP, or where the client asked for it
// by an error event and a close code.
func (r *Router) refuse(w http.ResponseWriter, req *http.Request, ref *refusal) {
	r.count.refused.count(ref.cause)
	if ref.cause == RefusedFilter {
		r.count.reasons.count(ref.filter, ref.reason)
	}
	r.log.Debug("refused a connect", "cause", ref.cause, "reason", ref.reason, "filter", ref.filter, "peer", req.RemoteAddr)
	event := wire.Refusal{Code: ref.code, Reason: ref.reason, Filter: ref.filter, RetryAfterMS: ref.retry.Milliseconds()}
	if ref.upgradable() && req.URL.Query().Get("refusal") == "close" {
		select {
		case r.refusing <- struct{}{}:
			defer func() { <-r.refusing }()
			r.refuseOpen(w, req, ref, &event)
			return
		default: // too many at once: the cheaper answer
		}
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	if ref.retry > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(ref.retry.Seconds()))))
	}
	status := ref.status
	switch status {
	case 0:
		status = ref.code.HTTPStatus()
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodGet)
	case http.StatusUpgradeRequired:
		header.Set("Connection", "Upgrade")
		header.Set("Upgrade", "websocket")
		header.Set("Sec-WebSocket-Version", "13")
	}
	w.WriteHeader(status)
	w.Write(wire.AppendError(nil, &event))
}

// refuseTime bounds how long a client that is upgraded only to be refused is
// waited for.
const refuseTime = 2 * time.Second

// refuseOpen upgrades, says why not, and closes.
func (r *Router) refuseOpen(w http.ResponseWriter, req *http.Request, ref *refusal, event *wire.Refusal) {
	sock, err := r.engine.Accept(w, req, socket.Options{
		ReadLimit:    512,
		Queue:        8 << 10,
		WriteTimeout: refuseTime,
		Subprotocols: []string{wire.Subprotocol},
	})
	if err != nil {
		return // the response has been written
	}
	defer sock.Release()
	code := ref.close
	if code == 0 {
		code = wire.CloseCodeOf(ref.code)
	}
	sock.Send(socket.Item{Frame: socket.NewFrame(256, func(dst []byte) []byte { return wire.AppendError(dst, event) })})
	sock.Close(code, ref.reason)
	for err = nil; err == nil || errors.Is(err, socket.ErrUTF8); {
		_, err = sock.Read()
	}
}
