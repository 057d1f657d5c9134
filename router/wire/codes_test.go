package wire

import "testing"

func TestCodesOfFiltersBecomeWordsStatusAndCloseCode(t *testing.T) {
	for _, test := range []struct {
		number uint32
		code   Code
		status int
		close  int
	}{
		{400, "bad_request", 400, 4003},
		{401, "unauthorized", 401, 4001},
		{403, "forbidden", 403, 4003},
		{404, "not_found", 404, 4003},
		{409, "conflict", 409, 4003},
		{413, "too_large", 413, 4003},
		{422, "invalid", 422, 4003},
		{429, "rate_limited", 429, 4101},
		{501, "unsupported", 501, 4003},
		{503, "unavailable", 503, 4101},
		{1000, "filter_1000", 403, 4003},
		{3999, "filter_3999", 403, 4003},

		{0, "forbidden", 403, 4003},
		{200, "forbidden", 403, 4003},
		{500, "forbidden", 403, 4003},
		{999, "forbidden", 403, 4003},
		{4000, "forbidden", 403, 4003},
		{1<<32 - 1, "forbidden", 403, 4003},
	} {
		code := CodeOf(test.number)
		if code != test.code || code.HTTPStatus() != test.status || CloseCodeOf(code) != test.close {
			t.Errorf("%d: got %s, %d, %d; want %s, %d, %d", test.number,
				code, code.HTTPStatus(), CloseCodeOf(code), test.code, test.status, test.close)
		}
	}
}
