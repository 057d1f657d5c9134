package wire

import "strconv"

// Subprotocol is the WebSocket subprotocol that a node speaks, also to clients
// that ask for none.
const Subprotocol = "sluice.v1"

// Limits of the protocol that no configuration changes.
const (
	MaxName  = 255 // bytes of a room or user name
	MaxID    = 64  // bytes of an id's text
	MaxKey   = 128 // bytes of an idempotency key
	MaxDepth = 64  // nested arrays and objects in a frame
)

// Code is the word in an error event that tells a client what kind of refusal
// it met. The reason beside it is for people.
type Code string

// The codes of the protocol. A filter's own codes (1000 to 3999) are written
// filter_<n>; see FilterCode.
const (
	BadRequest   Code = "bad_request"  // 400: malformed input
	Unauthorized Code = "unauthorized" // 401: no valid identity
	Forbidden    Code = "forbidden"    // 403: not allowed to this identity
	NotFound     Code = "not_found"    // 404
	Conflict     Code = "conflict"     // 409
	TooLarge     Code = "too_large"    // 413
	Invalid      Code = "invalid"      // 422: well formed, but not acceptable
	RateLimited  Code = "rate_limited" // 429
	Unavailable  Code = "unavailable"  // 503: temporary, try again
	Unsupported  Code = "unsupported"  // 501: this node does not offer it
)

// FilterCode is the code of a filter's own number, 1000 to 3999.
func FilterCode(n uint32) Code { return Code("filter_" + strconv.FormatUint(uint64(n), 10)) }

// Close codes tell a client what to do next: 4000 to 4099 do not reconnect,
// 4100 to 4199 reconnect with backoff, 4200 after a random 0 to 5 s, 4201 with
// a fresh token.
const (
	CloseUnsupportedData = 1003 // a binary frame (RFC 6455, section 7.4.1)
	CloseTooBig          = 1009 // a frame over the cap (RFC 6455, section 7.4.1)
	CloseUnauthorized    = 4001
	CloseForbidden       = 4003
	ClosePolicy          = 4008 // repeated malformed frames, or a filter's disconnect without a code
	CloseSlowConsumer    = 4100
	CloseRate            = 4101
	CloseDraining        = 4200
	CloseExpired         = 4201
)
