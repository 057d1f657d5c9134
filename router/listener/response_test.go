package listener_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAnAnswerIsWholeAndEndsTheConnection(t *testing.T) {
	for what, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
		body    string
	}{
		"nothing":      {func(http.ResponseWriter, *http.Request) {}, 200, ""},
		"a body alone": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a"); io.WriteString(w, "b") }, 200, "ab"},
		"a status":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429); w.WriteHeader(500) }, 429, ""},
		"a hint": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			http.Error(w, "no", http.StatusForbidden)
		}, http.StatusForbidden, "no\n"},
		"a long body": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 100<<10)) }, 200, strings.Repeat("x", 100<<10)},
	} {
		r := serve(t, c.handler)
		_, br := r.say(handshake("/ws"))
		resp, body := readResponse(t, br)
		if resp.StatusCode != c.status || body != c.body || int(resp.ContentLength) != len(body) || !resp.Close || resp.Header.Get("Date") == "" {
			t.Errorf("%s: got %d, %q of %d, %v", what, resp.StatusCode, body, resp.ContentLength, resp.Header)
		}
		closes(t, br)
	}
}

func TestAnAnswerWithoutABodyTakesNone(t *testing.T) {
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrBodyNotAllowed) {
			t.Errorf("got %v", err)
		}
	}))
	if text := r.exchange(handshake("/ws")); !strings.HasPrefix(text, "HTTP/1.1 204 No Content\r\n") || !strings.HasSuffix(text, "\r\n\r\n") || strings.Contains(text, "Content-Length") {
		t.Errorf("got %q", text)
	}
}

func TestAHeaderCannotBreakOutOfItsLine(t *testing.T) {
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-A", "a\r\nX-B: b")
		w.WriteHeader(http.StatusForbidden)
	}))
	if text := r.exchange(handshake("/ws")); !strings.Contains(text, "X-A: a  X-B: b\r\n") {
		t.Errorf("got %q", text)
	}
}

func TestWhatIsHijackedIsHijackedOnce(t *testing.T) {
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-A", "a")
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, brw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("hijacked again: %v", err)
		}
		if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("written: %v", err)
		}
		w.WriteHeader(500)
		brw.WriteString("mine")
		brw.Flush()
	}))
	if text := r.exchange(handshake("/ws")); text != "HTTP/1.1 101 Switching Protocols\r\nX-A: a\r\n\r\nmine" {
		t.Errorf("got %q", text)
	}
}
