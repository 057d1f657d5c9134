package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"sluice/router"
	"sluice/router/wire"
)

// Limits of requests.
const (
	maxRooms     = router.MaxServerRooms
	maxCommands  = 1000     // of a batch
	maxOrderBody = 16 << 10 // bytes of an order
	// Beside limits.frame for a content:
	maxMessageExtra = 2 << 20 // bytes of a message's other fields; a thousand rooms fit
	maxBatchExtra   = 8 << 20 // bytes of a batch

	// requestTime bounds one request, however many commands it has. It is longer than
	// what a listener allows for ordinary ones.
	requestTime = 30 * time.Second
	answerTime  = 10 * time.Second // beyond it, to write the answer
)

// problem is why a request, or a command of a batch, was not carried out.
type problem struct {
	Code         string `json:"code"`
	Reason       string `json:"reason"`
	Filter       string `json:"filter,omitempty"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`

	status int
}

// problemOf is the problem for an error of the router.
func problemOf(err error) *problem {
	var refused *router.ServerError
	if !errors.As(err, &refused) {
		return &problem{Code: string(wire.Unavailable), Reason: err.Error(), status: wire.Unavailable.HTTPStatus()}
	}
	return &problem{Code: string(refused.Code), Reason: refused.Reason, Filter: refused.Filter,
		RetryAfterMS: refused.RetryAfter.Milliseconds(), status: refused.Code.HTTPStatus()}
}

// write answers with the problem.
func (p *problem) write(w http.ResponseWriter) {
	if p.RetryAfterMS > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(float64(p.RetryAfterMS)/1000)), 10))
	} else if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, p.status, p)
}

// command is a request of the server API, decoded.
type command interface {
	// fields are where the request is decoded to.
	fields() []field

	// do carries it out. The answer has a JSON form.
	do(ctx context.Context, r *router.Router) (answer any, p *problem)
}

// operation is one kind of command.
type operation struct {
	name  string
	make  func() command
	reads bool                       // by GET with a query; else by POST with a body
	body  func(r *router.Router) int // bytes
}

// operations are those of the server API that a batch may have too; Handler serves each
// at /api/ and its name.
var operations = []operation{
	{name: "publish", make: func() command { return new(publish) }, body: messageBody},
	{name: "broadcast", make: func() command { return new(broadcast) }, body: messageBody},
	{name: "direct", make: func() command { return new(direct) }, body: messageBody},
	{name: "disconnect", make: func() command { return new(disconnect) }, body: orderBody},
	{name: "unsubscribe", make: func() command { return new(unsubscribe) }, body: orderBody},
	{name: "presence", make: func() command { return new(presence) }, reads: true},
	{name: "history", make: func() command { return new(history) }, reads: true},
	{name: "rooms", make: func() command { return new(rooms) }, reads: true},
	{name: "info", make: func() command { return new(info) }, reads: true},
}

func messageBody(r *router.Router) int { return r.FrameLimit() + maxMessageExtra }
func batchBody(r *router.Router) int   { return r.FrameLimit() + maxBatchExtra }
func orderBody(*router.Router) int     { return maxOrderBody }

// serveOperation answers the requests of an operation.
func (o Options) serveOperation(op *operation, counts *apiCounts) http.Handler {
	return counts.counting(op.name, func(w http.ResponseWriter, r *http.Request) *problem {
		cmd := op.make()
		if p := o.decode(w, r, op, cmd); p != nil {
			return p
		}
		ctx, cancel := bounded(w, r)
		defer cancel()
		answer, p := cmd.do(ctx, o.Router)
		if p != nil {
			return p
		}
		writeJSON(w, http.StatusOK, answer)
		return nil
	})
}

func (o Options) decode(w http.ResponseWriter, r *http.Request, op *operation, cmd command) *problem {
	if op.reads {
		return decodeQuery(r.URL.RawQuery, cmd.fields())
	}
	if r.URL.RawQuery != "" {
		return badRequest("parameters belong into the body, not into the query")
	}
	raw, p := readAll(w, r, op.body(o.Router))
	if p != nil {
		return p
	}
	if p := decodeObject(raw, cmd.fields()); p != nil {
		return p
	}
	if keyed, ok := cmd.(interface{ useKey(header string) *problem }); ok {
		return keyed.useKey(r.Header.Get(keyHeader))
	}
	return nil
}

// keyHeader is the header of an idempotency key.
const keyHeader = "Idempotency-Key"

// readAll reads a body of at most limit bytes.
func readAll(w http.ResponseWriter, r *http.Request, limit int) ([]byte, *problem) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		p := badRequest("the body has more than %d bytes; send less at once", limit)
		p.Code, p.status = string(wire.TooLarge), http.StatusRequestEntityTooLarge
		return nil, p
	case err != nil:
		return nil, badRequest("the body broke off: %v", err)
	}
	return raw, nil
}

// bounded is the context of a request that has been read, and gives it its time.
func bounded(w http.ResponseWriter, r *http.Request) (context.Context, context.CancelFunc) {
	// The listener's own deadline is for short requests. A writer without one has none to
	// move. (Reading has ended, and with it that deadline.)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(requestTime + answerTime))
	return context.WithTimeout(r.Context(), requestTime)
}

// rawOrNil is a value as answers carry it; nil is left out.
func rawOrNil(b []byte) json.RawMessage {
	if len(b) == 0 {
		return nil
	}
	return b
}
