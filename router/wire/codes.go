package wire

import (
	"net/http"
	"strconv"
)

// Subprotocol is the WebSocket subprotocol that a node speaks, also to clients
// that ask for none.
const Subprotocol = "sluice.v1"

// Limits of the protocol that no configuration changes.
const (
	MaxName   = 255  // bytes of a room or user name
	MaxID     = 64   // bytes of an id's text
	MaxKey    = 128  // bytes of an idempotency key
	MaxCursor = 1024 // bytes of a cursor
	MaxEpoch  = 64   // bytes of an epoch
	MaxLimit  = 1000 // users or messages asked for at once
	MaxDepth  = 64   // nested arrays and objects in a frame, the frame's own object counted
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

// CodeOf is the word for a code of the plugin ABI. A number that the ABI gives
// no meaning, 0 included, is Forbidden: it comes from a filter that refuses
// without saying why, and no client should try that again.
func CodeOf(n uint32) Code {
	switch {
	case n >= 1000 && n <= 3999:
		return FilterCode(n)
	case n == http.StatusBadRequest:
		return BadRequest
	case n == http.StatusUnauthorized:
		return Unauthorized
	case n == http.StatusNotFound:
		return NotFound
	case n == http.StatusConflict:
		return Conflict
	case n == http.StatusRequestEntityTooLarge:
		return TooLarge
	case n == http.StatusUnprocessableEntity:
		return Invalid
	case n == http.StatusTooManyRequests:
		return RateLimited
	case n == http.StatusNotImplemented:
		return Unsupported
	case n == http.StatusServiceUnavailable:
		return Unavailable
	}
	return Forbidden
}

// HTTPStatus is the status of a connect that was refused with the code.
func (c Code) HTTPStatus() int {
	switch c {
	case BadRequest:
		return http.StatusBadRequest
	case Unauthorized:
		return http.StatusUnauthorized
	case NotFound:
		return http.StatusNotFound
	case Conflict:
		return http.StatusConflict
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Invalid:
		return http.StatusUnprocessableEntity
	case RateLimited:
		return http.StatusTooManyRequests
	case Unsupported:
		return http.StatusNotImplemented
	case Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden // Forbidden, and a filter's own codes
}

// CloseCodeOf is the close code of a connect that was refused with the code,
// for clients that cannot read an HTTP status (?refusal=close).
func CloseCodeOf(c Code) int {
	switch c {
	case Unauthorized:
		return CloseUnauthorized
	case RateLimited, Unavailable:
		return CloseRate
	}
	return CloseForbidden
}

// Close codes tell a client what to do next: 4000 to 4099 do not reconnect,
// 4100 to 4199 reconnect with backoff, 4200 after a random 0 to 5 s, 4201 with
// a fresh token.
const (
	CloseProtocol        = 1002 // frames that RFC 6455 does not allow (section 7.4.1)
	CloseUnsupportedData = 1003 // a binary frame (RFC 6455, section 7.4.1)
	CloseInvalid         = 1007 // a compressed message that cannot be decompressed (RFC 6455, section 7.4.1)
	CloseTooBig          = 1009 // a frame over the cap (RFC 6455, section 7.4.1)
	CloseInternal        = 1011 // an error of the node's own (RFC 6455, section 7.4.1)
	CloseUnauthorized    = 4001
	CloseForbidden       = 4003
	ClosePolicy          = 4008 // repeated malformed frames, or a filter's disconnect without a code
	CloseSlowConsumer    = 4100
	CloseRate            = 4101
	CloseSilent          = 4102
	CloseDraining        = 4200
	CloseExpired         = 4201
)
