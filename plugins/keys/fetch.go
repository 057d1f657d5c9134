package keys

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	fetchTimeout = 5 * time.Second // for all of a fetch, from the name's resolution to the last byte
	maxHeader    = 64 << 10        // bytes of an answer's header
)

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

var causeWords = [numCauses]string{"address", "connect", "tls", "timeout", "redirect", "status", "too_big", "protocol", "malformed", "no_keys"}

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
	client  *http.Client
	timeout time.Duration
}

// newFetcher asks through transport, or, if that is nil, through one of its own
// that refuses addresses.
func newFetcher(u *url.URL, transport http.RoundTripper) *fetcher {
	if transport == nil {
		transport = newTransport(newDialer(u.Scheme == "http"))
	}
	return &fetcher{url: u, timeout: fetchTimeout, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// newDialer looks at each address after its name was resolved, so that a name
// cannot lead to one address when it is checked and another when it is used.
func newDialer(loopbackOnly bool) *net.Dialer {
	return &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return &addressError{"its name leads to an address that cannot be read"}
		}
		return checkAddress(to.Addr(), loopbackOnly)
	}}
}

// newTransport keeps no connection between fetches, and takes no proxy from the
// environment.
func newTransport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		DialContext:            dialer.DialContext,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

type addressError struct{ text string }

func (e *addressError) Error() string { return e.text }

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// checkAddress refuses addresses where a cloud has its metadata and a host its
// neighbours. Private networks are allowed: identity providers live there.
func checkAddress(ip netip.Addr, loopbackOnly bool) error {
	ip = ip.WithZone("").Unmap()
	if nat64.Contains(ip) {
		octets := ip.As16()
		ip = netip.AddrFrom4([4]byte(octets[12:]))
	}
	switch {
	case loopbackOnly && !ip.IsLoopback():
		return &addressError{fmt.Sprintf("its name leads to %s, and http is for loopback; use https", ip)}
	case ip.IsLinkLocalUnicast(), ip.IsMulticast():
		return &addressError{fmt.Sprintf("the address %s is link-local or multicast, which is refused", ip)}
	case ip.IsUnspecified(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &addressError{fmt.Sprintf("the address %s is not one of a host, and is refused", ip)}
	}
	return nil
}

// isLoopbackName reports whether a host is called what only loopback is called.
func isLoopbackName(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// fetch gets the document. maxAge is that of the answer's Cache-Control, or 0.
func (f *fetcher) fetch(ctx context.Context) (document []byte, maxAge time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	request := (&http.Request{Method: http.MethodGet, URL: f.url, Header: http.Header{
		"Accept":     {"application/jwk-set+json, application/json"},
		"User-Agent": {"sluice"},
	}}).WithContext(ctx)
	response, err := f.client.Do(request)
	if err != nil {
		return nil, 0, f.explain(ctx, err)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status >= 300 && status < 400:
		return nil, 0, &failure{causeRedirect, fmt.Sprintf("it redirects (status %d), which is not followed; configure the URL that it leads to", status)}
	case status != http.StatusOK:
		return nil, 0, &failure{causeStatus, fmt.Sprintf("it answers with status %d", status)}
	}
	document, err = io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, 0, f.explain(ctx, err)
	}
	if len(document) > maxDocument {
		return nil, 0, &failure{causeTooBig, "its answer is larger than 1MiB"}
	}
	return document, parseMaxAge(response.Header.Values("Cache-Control")), nil
}

// explain puts an error into a cause and words of our own: the library's may
// quote the URL with its password, or the answer.
func (f *fetcher) explain(ctx context.Context, err error) error {
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
		return &failure{causeAddress, refused.text}
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &failure{causeTimeout, fmt.Sprintf("it did not answer in full within %v", f.timeout)}
	case errors.As(err, &name):
		return &failure{causeConnect, "its name cannot be resolved"}
	case errors.As(err, &certificate):
		return &failure{causeTLS, "its certificate is not trusted for its name"}
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &op) && op.Op == "remote error":
		return &failure{causeTLS, "it does not speak TLS as is needed"}
	case errors.As(err, &op) && op.Op == "dial":
		if errors.Is(err, syscall.ECONNREFUSED) {
			return &failure{causeConnect, "it refuses the connection"}
		}
		return &failure{causeConnect, "it cannot be reached"}
	}
	return &failure{causeProtocol, "what it answers is not HTTP, or ended early"}
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
