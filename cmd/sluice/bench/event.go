package bench

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// event is of an event what a client looks at.
type event struct {
	Event   string `json:"event"`
	Room    string `json:"room"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Filter  string `json:"filter"`
	Version string `json:"version"`
}

var eventField = []byte(`{"event":"`)

// eventName is an event's name. Nodes write it first; it is searched otherwise.
func eventName(p []byte) string {
	if rest, ok := bytes.CutPrefix(p, eventField); ok {
		if name, _, ok := bytes.Cut(rest, []byte(`"`)); ok {
			return string(name)
		}
	}
	var e event
	if json.Unmarshal(p, &e) != nil {
		return ""
	}
	return e.Event
}

// event handles what is no delivery.
func (c *client) event(p []byte, now int64) {
	if c.slow && c.state == member {
		return // what it missed is what it asked for
	}
	var e event
	switch eventName(p) {
	case "joined":
		if c.state == joining && bytes.Contains(p, []byte(`"`+c.room.name+`"`)) {
			c.r.joined(c, now)
		}
	case "error":
		if json.Unmarshal(p, &e) == nil {
			c.refused(cmp.Or(e.Code, "error"), withFilter(e.Reason, e.Filter))
		}
	case "welcome":
		if c.r.version == "" && json.Unmarshal(p, &e) == nil {
			c.r.version = clip(e.Version)
		}
	case "ping":
		c.r.pings++
		c.text([]byte(`{"type":"pong"}`))
	case "gap":
		if json.Unmarshal(p, &e) == nil {
			c.r.tally.gaps.add(cmp.Or(e.Reason, "gap"), "")
		}
	case "left":
		if json.Unmarshal(p, &e) == nil {
			c.lost("left", e.Reason)
		}
	}
}

// refused is called with the error event of a command.
func (c *client) refused(code, reason string) {
	if c.state == joining {
		c.lost(code, reason)
		return
	}
	c.r.tally.refused.add(code, reason)
	switch readers := int64(c.room.readers); {
	case c.denied+c.doubts >= c.published:
	case code == unavailable:
		c.doubts++
		c.doubtful += readers
		c.r.doubtful += readers // until judgeDoubts knows better
	default: // nobody is to get what was refused
		c.denied++
		c.r.expected -= readers
	}
}

func withFilter(reason, filter string) string {
	if filter != "" {
		reason += " (filter " + filter + ")"
	}
	return clip(reason)
}

// refusalOf reads an answer that is not 101.
func refusalOf(status int, head, body []byte) (code, reason string) {
	var e event
	if json.Unmarshal(body, &e) == nil && e.Code != "" {
		return clip(e.Code), withFilter(e.Reason, e.Filter)
	}
	reason = strings.TrimPrefix(firstLine(head), "HTTP/1.1 ")
	if text := strings.TrimSpace(string(body)); text != "" {
		reason += ": " + text
	}
	return "http_" + strconv.Itoa(status), clip(reason)
}

// clip makes foreign text fit on a line.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// causeOf is the word for an error of the transport.
func causeOf(err error) string {
	var certificate *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &noTLS):
		return "bad_answer"
	case errors.As(err, &certificate):
		return "certificate"
	case errors.Is(err, errEOF), errors.Is(err, io.EOF):
		return "eof"
	case errors.Is(err, errTooLarge):
		return "too_large"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return "timeout"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	}
	return "transport"
}
