package main

import sluice "sluice/sdk/go"

// codeOf is the code of a denial for the code of an error: Centrifugo's own,
// HTTP's where clients have a word for it, and 1000 to 3999 as they are.
func codeOf(code int64) sluice.Code {
	switch code {
	case 100: // internal server error
		return sluice.Unavailable
	case 101, 109, 110: // unauthorized, token expired, expired
		return sluice.Unauthorized
	case 102: // unknown channel
		return sluice.NotFound
	case 104, 107: // method not found, bad request
		return sluice.BadRequest
	case 105, 112: // already subscribed, unrecoverable position
		return sluice.Conflict
	case 106, 111: // limit exceeded, too many requests
		return sluice.RateLimited
	case 400, 401, 403, 404, 409, 413, 422, 429, 503:
		return sluice.Code(code)
	}
	switch {
	case code >= 1000 && code <= 3999:
		return sluice.Code(code)
	case code >= 500 && code <= 599:
		return sluice.Unavailable
	}
	return sluice.Forbidden // 103 permission denied, 108 not available, and what nobody knows
}

// codeOfClose is the code of a refused connect for a close code.
func codeOfClose(code int64) sluice.Code {
	switch {
	case code == 4001:
		return sluice.Unauthorized
	case code == 4101:
		return sluice.RateLimited
	case code >= 4100 && code <= 4299:
		return sluice.Unavailable
	}
	return sluice.Forbidden
}
