package lookup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sluice/plugins/outbound"
)

// failure is a question without an answer.
type failure struct {
	cause string
	text  string
	ill   bool // the source is, as far as can be seen: the breaker counts it
}

func (f *failure) Error() string { return f.text }

// question is what is asked.
type question struct {
	key   string // what it is shared and kept by
	alone bool   // it is neither
	url   string // of HTTP
	body  []byte // of POST
}

// source answers questions.
type source interface {
	// ask returns Found or Missed, or a *failure.
	ask(ctx context.Context, q *question) (Result, error)
	target() string // for logs
	close()
}

// question fills in the templates. The error is errAbsent, or says why it cannot
// be asked.
func (p *Plan) question(e *Event) (*question, error) {
	v := &values{event: e}
	if p.spec.Redis != nil {
		key, err := p.key.expand(v, maxKey, escapeKey)
		return &question{key: key}, err
	}
	address, err := p.url.expandURL(v)
	if err != nil {
		return nil, err
	}
	if p.spec.HTTP.Method == http.MethodGet {
		return &question{key: address, url: address}, nil
	}
	q := &question{alone: p.key == nil, url: address}
	if !q.alone {
		key, err := p.key.expand(v, maxURL, measure)
		if err != nil {
			return nil, err
		}
		q.key = e.Hook + "\n" + address + "\n" + key
	}
	q.body = e.body()
	return q, nil
}

// httpSource asks over HTTP.
type httpSource struct {
	plan   *Plan
	client *outbound.Client
	header http.Header
}

func newHTTPSource(p *Plan, transport http.RoundTripper) *httpSource {
	header := make(http.Header)
	if p.spec.Format == formatJSON {
		header.Set("Accept", "application/json")
	}
	for name, value := range p.spec.HTTP.Headers {
		header.Set(name, value)
	}
	if p.spec.HTTP.Method == http.MethodPost {
		header.Set("Content-Type", "application/json")
	}
	client := outbound.New(outbound.Options{LoopbackOnly: p.url.http, Idle: p.spec.Concurrency, Transport: transport})
	return &httpSource{p, client, header}
}

func (s *httpSource) target() string { return s.plan.url.target }
func (s *httpSource) close()         { s.client.Close() }

func (s *httpSource) ask(ctx context.Context, q *question) (Result, error) {
	u, err := url.Parse(q.url)
	if err != nil {
		return Result{}, &failure{cause: CauseTemplate, text: "with its fields filled in its URL cannot be read"}
	}
	response, err := s.client.Do(ctx, outbound.Request{
		Method: s.plan.spec.HTTP.Method, URL: u, Header: s.header, Body: q.body, MaxBytes: s.plan.spec.MaxBytes,
	})
	if err != nil {
		return Result{}, s.plan.explain(err)
	}
	switch status := response.Status; {
	case status == http.StatusNotFound || status == http.StatusNoContent:
		return Result{Status: Missed}, nil
	case status < 200 || status >= 300:
		return Result{}, &failure{CauseStatus, fmt.Sprintf("it answers with status %d", status), status >= 500 || status == http.StatusTooManyRequests}
	}
	return s.plan.found(response.Body)
}

// found checks an answer's form.
func (p *Plan) found(value []byte) (Result, error) {
	if p.spec.Format == formatJSON && !json.Valid(value) {
		return Result{}, &failure{cause: CauseJSON, text: "its answer is not JSON"}
	}
	return Result{Status: Found, Value: value}, nil
}

// explain turns an error of a client into a failure.
func (p *Plan) explain(err error) *failure {
	f := &failure{cause: outbound.Connect, text: "it cannot be reached", ill: true}
	var known *outbound.Error
	if errors.As(err, &known) {
		f.cause, f.text = known.Cause, known.Text
	} else if errors.Is(err, context.DeadlineExceeded) {
		f.cause = outbound.Timeout
	} else if errors.Is(err, context.Canceled) {
		f.cause = outbound.Canceled
	}
	switch f.cause {
	case outbound.Timeout:
		f.text = fmt.Sprintf("it did not answer in full within %v", p.spec.Timeout)
	case outbound.TooBig:
		f.text = fmt.Sprintf("its answer is larger than %d bytes; raise lookup.max_bytes, or let it answer with less", p.spec.MaxBytes)
		f.ill = false
	case outbound.Redirect, outbound.Canceled, CauseSource:
		f.ill = false
	}
	return f
}

// redisSource reads keys.
type redisSource struct {
	plan   *Plan
	client RedisClient
}

func (s *redisSource) target() string { return "Redis" }
func (s *redisSource) close()         {}

func (s *redisSource) ask(ctx context.Context, q *question) (Result, error) {
	value, found, err := s.client.Get(ctx, q.key, s.plan.spec.MaxBytes+1)
	switch {
	case err != nil && ctx.Err() != nil:
		return Result{}, s.plan.explain(ctx.Err())
	case err != nil:
		return Result{}, s.plan.explain(err)
	case !found:
		return Result{Status: Missed}, nil
	case len(value) > s.plan.spec.MaxBytes:
		return Result{}, s.plan.explain(&outbound.Error{Cause: outbound.TooBig})
	}
	return s.plan.found(value)
}

// shown is an error for the log.
func shown(target string, f *failure) error {
	return errors.New("the lookup at " + target + " failed: " + strings.ToValidUTF8(f.text, "\uFFFD"))
}
