package main

import (
	"unicode/utf8"

	sluice "sluice/sdk/go"
)

// act does what the answer says. An answer is an object with one of result,
// error and disconnect; null counts as absent, and of several the most severe
// counts. What it does not know it ignores, where ignoring it takes nothing
// back.
func act(e *sluice.Event, answer []byte) sluice.Verdict {
	var result, refusal, closing []byte
	j := sluice.ReadJSON(answer)
	if !j.Object() {
		return malformed(e, "it has to be a JSON object")
	}
	for key, ok := j.Key(); ok; key, ok = j.Key() {
		value, _ := rawOrNull(&j)
		switch key {
		case "result":
			result = value
		case "error":
			refusal = value
		case "disconnect":
			closing = value
		}
	}
	switch {
	case !j.Done():
		return malformed(e, "it is not valid JSON")
	case closing != nil:
		return disconnect(e, closing)
	case refusal != nil:
		return refuse(e, refusal)
	case result != nil && result[0] != '{':
		return malformed(e, "result has to be an object")
	case result != nil:
		return accept(e, result)
	}
	return malformed(e, "it has none of result, error and disconnect")
}

// rawOrNull reads any value; null is nil.
func rawOrNull(j *sluice.JSON) (value []byte, ok bool) {
	if j.Null() {
		return nil, true
	}
	return j.Raw()
}

// remark is an error or a disconnect of an answer.
type remark struct {
	code      int64
	text      string
	temporary bool
	retry     int64 // milliseconds; 0: not said
}

// readRemark reads {"code", "message" or "reason", "temporary", "retry_ms"}.
func readRemark(text []byte) (r remark, ok bool) {
	j := sluice.ReadJSON(text)
	if !j.Object() {
		return r, false
	}
	for key, more := j.Key(); more; key, more = j.Key() {
		switch {
		case j.Null():
		case key == "code":
			r.code, _ = j.Int()
		case key == "message" || key == "reason":
			r.text, _ = j.Text()
		case key == "temporary":
			r.temporary, _ = j.Bool()
		case key == "retry_ms":
			r.retry, _ = j.Int()
		default:
			j.Raw()
		}
	}
	return r, j.Done() && r.retry >= 0 && r.retry < 1<<32
}

// temporaryRetry is when to try again after an error that is only temporary,
// where it does not say, in milliseconds.
const temporaryRetry = 1000

func refuse(e *sluice.Event, text []byte) sluice.Verdict {
	r, ok := readRemark(text)
	if !ok {
		return malformed(e, "error has to be an object of code, message, temporary and retry_ms")
	}
	if r.retry == 0 && r.temporary {
		r.retry = temporaryRetry
	}
	return e.DenyFor(codeOf(r.code), uint32(r.retry), cut(r.text))
}

func disconnect(e *sluice.Event, text []byte) sluice.Verdict {
	r, ok := readRemark(text)
	if !ok {
		return malformed(e, "disconnect has to be an object of code and reason")
	}
	if e.Hook() == sluice.HookConnect { // there is nothing to close yet
		return e.Deny(codeOfClose(r.code), cut(r.text))
	}
	if r.code < 4000 || r.code > 4999 {
		r.code = 0
	}
	return e.Disconnect(uint32(r.code), cut(r.text))
}

// cut shortens a text to what a reason may have, between characters.
func cut(text string) string {
	if len(text) <= sluice.MaxReason {
		return text
	}
	n := sluice.MaxReason
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
