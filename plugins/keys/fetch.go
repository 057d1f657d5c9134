package keys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/plugins/outbound"
)

const fetchTimeout = 5 * time.Second // for all of a fetch, from the name's resolution to the last byte

// cause is why a fetch failed.
type cause uint8

const (
	causeAddress   cause = iota // the name leads to an address that is refused
	causeConnect                // no connection: the name is unknown, the port closed
	causeTLS                    // no trusted certificate for the name
	causeTimeout                // not within 5 s
	causeRedirect               // an answer that sends elsewhere, which is not followed
	causeStatus                 // an answer that is not 200
	causeTooBig                 // over 1 MiB
	causeProtocol               // what came is not HTTP, or ended early
	causeMalformed              // what came is no key set
	causeNoKeys                 // a key set without a key that can be used
	numCauses
)

var causeWords = [numCauses]string{
	outbound.Address, outbound.Connect, outbound.TLS, outbound.Timeout, outbound.Redirect, "status", outbound.TooBig, outbound.Protocol,
	"malformed", "no_keys",
}

// Causes are the words under which failed fetches are counted.
func Causes() []string { return append([]string(nil), causeWords[:]...) }

// failure is a fetch that failed. Its text has nothing of the URL or the answer.
type failure struct {
	cause cause
	text  string
}

func (f *failure) Error() string { return f.text }

// fetcher gets the document of one source. Static after construction.
type fetcher struct {
	url     *url.URL
	client  *outbound.Client
	timeout time.Duration
}

// newFetcher asks through transport, or, if that is nil, through one that
// refuses addresses. It keeps no connection between fetches.
func newFetcher(u *url.URL, transport http.RoundTripper) *fetcher {
	client := outbound.New(outbound.Options{LoopbackOnly: u.Scheme == "http", Transport: transport})
	return &fetcher{url: u, timeout: fetchTimeout, client: client}
}

// fetch gets the document. maxAge is that of the answer's Cache-Control, or 0.
func (f *fetcher) fetch(ctx context.Context) (document []byte, maxAge time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	response, err := f.client.Do(ctx, outbound.Request{
		Method: http.MethodGet, URL: f.url, MaxBytes: maxDocument,
		Header: http.Header{"Accept": {"application/jwk-set+json, application/json"}},
	})
	if err != nil {
		return nil, 0, f.explain(err)
	}
	if response.Status != http.StatusOK {
		return nil, 0, &failure{causeStatus, fmt.Sprintf("it answers with status %d", response.Status)}
	}
	return response.Body, parseMaxAge(response.Header.Values("Cache-Control")), nil
}

// explain puts an error of outbound into a cause, and names the bounds.
func (f *fetcher) explain(err error) error {
	failed := &failure{causeProtocol, err.Error()}
	var known *outbound.Error
	if errors.As(err, &known) {
		if i := slices.Index(causeWords[:], known.Cause); i >= 0 {
			failed.cause = cause(i)
		}
	}
	switch failed.cause {
	case causeTimeout:
		failed.text = fmt.Sprintf("it did not answer in full within %v", f.timeout)
	case causeTooBig:
		failed.text = "its answer is larger than 1MiB"
	}
	return failed
}

func parseMaxAge(values []string) time.Duration {
	for _, value := range values {
		for directive := range strings.SplitSeq(value, ",") {
			name, seconds, _ := strings.Cut(strings.TrimSpace(directive), "=")
			if !strings.EqualFold(name, "max-age") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(seconds, `"`), 10, 31)
			if err == nil {
				return time.Duration(n) * time.Second
			}
		}
	}
	return 0
}
