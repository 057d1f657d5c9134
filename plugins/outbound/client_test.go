package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func address(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// serve is a server whose connections end with the test, and its URL.
func serve(t *testing.T, h http.HandlerFunc) *url.URL {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return address(t, srv.URL+"/check?secret=hidden")
}

func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		_, _ = io.WriteString(c, text)
		_ = c.Close()
	}
}

func TestAnswersThatAreNoneAreToldApartByTheirCause(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	var followed atomic.Bool
	for _, tt := range []struct {
		name, cause string
		answer      http.HandlerFunc
	}{
		{"slow header", Timeout, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}},
		{"slow body", Timeout, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}},
		{"endless body", TooBig, func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
					return
				}
			}
		}},
		{"a bomb", TooBig, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "" {
				t.Error("it asks for something compressed")
			}
			_, _ = io.WriteString(w, strings.Repeat("x", 1001))
		}},
		{"redirect", Redirect, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed.Store(true)
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}},
		{"no HTTP", Protocol, raw("SSH-2.0-hidden\r\n\r\n")},
		{"huge header", Protocol, raw("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", maxHeader) + "\r\n\r\n")},
		{"cut short", Protocol, raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhidden")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see its client go
				tt.answer(w, r)
			})
			c := New(Options{LoopbackOnly: true, Idle: 1})
			defer c.Close()
			limit := 10 * time.Second
			if tt.cause == Timeout {
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := c.Do(ctx, Request{Method: http.MethodPost, URL: u, MaxBytes: 1000, Body: []byte("{}")})
			var failed *Error
			if !errors.As(err, &failed) || failed.Cause != tt.cause {
				t.Errorf("got %v, want %s", err, tt.cause)
			}
			if err != nil && (strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), u.Host)) {
				t.Errorf("%q says what it must not", err)
			}
		})
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestNoProxyOfTheEnvironmentIsTaken(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	transport := New(Options{Idle: 4}).http.Transport.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("there is a proxy")
	}
}

func TestAConnectionIsKeptAlsoAfterARefusalAndNoLongerThanTheClient(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(body)
	})
	c := New(Options{LoopbackOnly: true, Idle: 1})
	reused := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	for i := range 3 {
		response, err := c.Do(ctx, Request{Method: http.MethodPost, URL: u, Body: []byte("{}"), MaxBytes: 10})
		if err != nil || response.Status != http.StatusNotFound || response.Body != nil {
			t.Fatalf("got %+v, %v", response, err)
		}
		if reused != (i > 0) {
			t.Errorf("request %d: reused is %v", i, reused)
		}
	}
	c.Close() // or goleak finds its goroutines
}

// A server that closes a connection while it is idle must not cost a question.
func TestAPostIsSentAgainOnANewConnectionIfTheOldOneWasClosed(t *testing.T) {
	closed := make(chan struct{}, 8)
	var asked atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked.Add(1)
		if r.Header.Get("X-Idempotency-Key") != "" || r.Header["X-Idempotency-Key"] != nil {
			t.Error("the mark was sent")
		}
		_, _ = w.Write(body)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	srv.Start()
	defer srv.Close()
	c := New(Options{LoopbackOnly: true, Idle: 1})
	defer c.Close()
	for range 20 {
		response, err := c.Do(t.Context(), Request{Method: http.MethodPost, URL: address(t, srv.URL), Body: []byte("{}"), MaxBytes: 10})
		if err != nil || string(response.Body) != "{}" {
			t.Fatalf("got %+v, %v", response, err)
		}
		srv.CloseClientConnections()
		<-closed
	}
	if n := asked.Load(); n != 20 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestAQuestionThatIsGivenUpSaysSo(t *testing.T) {
	arrived := make(chan struct{})
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	c := New(Options{LoopbackOnly: true})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := c.Do(ctx, Request{Method: http.MethodGet, URL: u, MaxBytes: 10})
	var failed *Error
	if !errors.As(err, &failed) || failed.Cause != Canceled {
		t.Errorf("got %v", err)
	}
}
