package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

const (
	maxHeader = 64 << 10 // bytes of an answer's header
	maxDrain  = 4 << 10  // bytes of a body nobody wants that are read to keep its connection
	idleTime  = 60 * time.Second
)

// Causes for which a request fails.
const (
	Address  = "address"  // the name leads to an address that is refused
	Connect  = "connect"  // no connection: the name is unknown, the port closed
	TLS      = "tls"      // no trusted certificate for the name
	Timeout  = "timeout"  // not in full before the deadline
	Redirect = "redirect" // an answer that sends elsewhere, which is not followed
	TooBig   = "too_big"  // an answer over its maximum
	Protocol = "protocol" // what came is not HTTP, or ended early
	Canceled = "canceled" // the caller gave up
)

// Error is a request that failed. Its text has nothing of the URL or the answer.
type Error struct {
	Cause string
	Text  string
}

func (e *Error) Error() string { return e.Text }

// Options of a Client. The zero value is for https, and keeps no connection.
type Options struct {
	// LoopbackOnly is for plain http: addresses beyond loopback are refused.
	LoopbackOnly bool

	// Idle is how many connections are kept for later requests; 0: none.
	Idle int

	// Transport carries the requests. Default: one of our own, which refuses
	// addresses. Another has to do so itself; tests use it.
	Transport http.RoundTripper

	resolver *net.Resolver
}

// Client asks. Its methods are safe for concurrent use.
type Client struct{ http http.Client }

// New makes a client.
func New(o Options) *Client {
	transport := o.Transport
	if transport == nil {
		transport = NewTransport(o)
	}
	return &Client{http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// NewTransport makes what carries requests and refuses addresses, for callers
// that follow a protocol of their own over it. They have to check each URL
// (CheckURL), and to bound bodies.
func NewTransport(o Options) *http.Transport {
	return &http.Transport{
		DialContext:            newDialer(o.LoopbackOnly, o.resolver).DialContext,
		DisableKeepAlives:      o.Idle == 0,
		MaxIdleConns:           o.Idle,
		MaxIdleConnsPerHost:    o.Idle,
		IdleConnTimeout:        idleTime,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

// Close closes the connections that are kept. Those of requests under way are
// closed when they end.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is one question. It is sent again if a connection that was kept turns
// out to be closed, so it must not matter whether it comes once or twice.
type Request struct {
	Method   string
	URL      *url.URL
	Header   http.Header // not changed
	Body     []byte
	MaxBytes int // of the answer's body
}

// Response is an answer. Of one that is not 2xx there is no body.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do asks, and reads the whole answer. Every error is an *Error. The deadline of
// ctx bounds all of it, from the name's resolution to the last byte.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	request := (&http.Request{Method: r.Method, URL: r.URL, Header: r.Header.Clone()}).WithContext(ctx)
	if request.Header == nil {
		request.Header = make(http.Header)
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "sluice")
	}
	if r.Body != nil {
		request.ContentLength = int64(len(r.Body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		request.Body, _ = request.GetBody()
		// An empty value is not sent. It says that the request may be repeated.
		request.Header["X-Idempotency-Key"] = []string{}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, explain(ctx, err)
	}
	defer response.Body.Close()
	out := &Response{Status: response.StatusCode, Header: response.Header}
	switch {
	case out.Status >= 300 && out.Status < 400:
		return nil, &Error{Redirect, fmt.Sprintf("it redirects (status %d), which is not followed; configure the URL that it leads to", out.Status)}
	case out.Status < 200 || out.Status >= 300:
		_, _ = io.CopyN(io.Discard, response.Body, maxDrain)
		return out, nil
	}
	out.Body, err = io.ReadAll(io.LimitReader(response.Body, int64(r.MaxBytes)+1))
	if err != nil {
		return nil, explain(ctx, err)
	}
	if len(out.Body) > r.MaxBytes {
		return nil, &Error{TooBig, fmt.Sprintf("its answer is larger than %d bytes", r.MaxBytes)}
	}
	return out, nil
}

// Explain puts the error of a request that was made over NewTransport into a
// cause and words of our own.
func Explain(ctx context.Context, err error) *Error { return explain(ctx, err) }

// explain puts an error into a cause and words of our own.
func explain(ctx context.Context, err error) *Error {
	var (
		refused     *addressError
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		op          *net.OpError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &refused):
		return &Error{Address, refused.text}
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Canceled, "the question was given up"}
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Timeout, "it did not answer in full in time"}
	case errors.As(err, &name):
		return &Error{Connect, "its name cannot be resolved"}
	case errors.As(err, &certificate):
		return &Error{TLS, "its certificate is not trusted for its name"}
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &op) && op.Op == "remote error":
		return &Error{TLS, "it does not speak TLS as is needed"}
	case errors.As(err, &op) && op.Op == "dial":
		if errors.Is(err, syscall.ECONNREFUSED) {
			return &Error{Connect, "it refuses the connection"}
		}
		return &Error{Connect, "it cannot be reached"}
	}
	return &Error{Protocol, "what it answers is not HTTP, or ended early"}
}
