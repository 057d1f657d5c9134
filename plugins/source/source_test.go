package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/plugins/outbound"
)

func TestAFileIsReadAndHeldAgainstItsPinAndItsSignature(t *testing.T) {
	b := newBench(t)
	key := newKey(t)
	path := filepath.Join(t.TempDir(), "filter.wasm")
	b.refuses(t, Request{Reference: path}, badFile, "does not exist", "relative to the configuration file")
	b.refuses(t, Request{Reference: filepath.Dir(path)}, badFile, "not a regular file")
	write(t, path, first)
	b.reads(t, Request{Reference: path}, first, FromFile)
	b.reads(t, Request{Reference: path, SHA256: digestOf(first)}, first, FromFile)
	b.reads(t, Request{Reference: path, SHA256: "sha256:" + strings.ToUpper(digestOf(first)), Trust: &Trust{RequirePins: true}}, first, FromFile)
	b.refuses(t, Request{Reference: path, SHA256: digestOf(second)}, wrongPin, digestOf(first), digestOf(second))
	b.refuses(t, Request{Reference: path, SHA256: "abc"}, badText, "64 hex digits")
	b.refuses(t, Request{Reference: path, Trust: &Trust{RequirePins: true}}, unpinned, "sha256:")
	b.refuses(t, Request{Reference: path, Trust: requiring(key)}, unsigned)
	write(t, path+SignatureSuffix, sign(t, key, first, nil))
	b.reads(t, Request{Reference: path, Trust: requiring(key)}, first, FromFile)
	write(t, path, second)
	b.refuses(t, Request{Reference: path, Trust: requiring(key)}, wrongSign)
	b.refuses(t, Request{Reference: path, Trust: trusting(key)}, wrongSign)
	b.reads(t, Request{Reference: path}, second, FromFile)
}

func TestAFileThatIsTooLargeOrAPipeIsNoModule(t *testing.T) {
	b := newBench(t)
	path := filepath.Join(t.TempDir(), "filter.wasm")
	write(t, path, nil)
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Fatal(err)
	}
	m, err := b.Read(t.Context(), Request{Reference: path})
	if err != nil || len(m.Wasm) != MaxModule+1 {
		t.Fatalf("%v: whoever checks modules has to see that it is too large", err)
	}
	b.refuses(t, Request{Reference: path, SHA256: digestOf(first)}, outbound.TooBig)
	pipe := path + ".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	b.refuses(t, Request{Reference: pipe}, badFile, "not a regular file")
	write(t, path, first)
	if err := syscall.Mkfifo(path+SignatureSuffix, 0o600); err != nil {
		t.Fatal(err)
	}
	b.refuses(t, Request{Reference: path, Trust: requiring(newKey(t))}, badFile, "signature")
}

func TestNothingIsFetchedOfWhatIsNotPinnedWherePinsAreRequired(t *testing.T) {
	g := newRegistry(t)
	manifest := g.push("filters", "v1", module(first))
	b := newBench(t)
	before := g.requests()
	trust := &Trust{RequirePins: true}
	b.refuses(t, Request{Reference: "oci://" + g.host() + "/filters:v1", Trust: trust}, unpinned)
	if g.requests() != before {
		t.Error("the registry was asked all the same")
	}
	b.reads(t, Request{Reference: "oci://" + g.host() + "/filters@" + manifest, Trust: trust}, first, Fetched)
	b.reads(t, Request{Reference: "oci://" + g.host() + "/filters:v1", SHA256: digestOf(first), Trust: trust}, first, Cached)
}

// server serves modules by path, and can be made to fail.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	fault http.HandlerFunc // nil: none
	asked atomic.Int64
}

func newServer(t *testing.T) *server {
	s := &server{files: make(map[string][]byte)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	s.mu.Lock()
	data, ok := s.files[r.URL.Path]
	fault := s.fault
	s.mu.Unlock()
	switch {
	case fault != nil:
		fault(w, r)
	case !ok:
		http.NotFound(w, r)
	default:
		_, _ = w.Write(data)
	}
}

func (s *server) set(path string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = data
}

func (s *server) fails(fault http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

func TestAModuleBehindAURLIsFetchedWithTheSignatureBesideIt(t *testing.T) {
	s := newServer(t)
	key := newKey(t)
	b := newBench(t)
	q := Request{Reference: s.URL + "/filter.wasm?v=1"}
	b.refuses(t, q, notFound)
	s.set("/filter.wasm", first)
	b.reads(t, q, first, Fetched)
	asked := s.asked.Load()
	b.reads(t, q, first, Fetched)
	if got := s.asked.Load() - asked; got != 1 {
		t.Errorf("%d requests, though nobody wants a signature", got)
	}
	q.Trust = requiring(key)
	b.refuses(t, q, unsigned)
	s.set("/filter.wasm.sig", sign(t, key, first, nil))
	b.reads(t, q, first, Fetched)
	s.set("/filter.wasm", second)
	b.refuses(t, q, wrongSign)
	s.set("/filter.wasm.sig", bytes.Repeat([]byte("x"), maxSignature+1))
	b.reads(t, q, first, FromLastGood)
}

// A module that came and is wrong is an alarm, and not a source that is away: the last
// good one does not cover it up.
func TestAWrongModuleIsRefusedThoughALastGoodOneIsOnDisk(t *testing.T) {
	s := newServer(t)
	key := newKey(t)
	b := newBench(t)
	q := Request{Reference: s.URL + "/filter.wasm", Trust: requiring(key)}
	s.set("/filter.wasm", first)
	s.set("/filter.wasm.sig", sign(t, key, first, nil))
	b.reads(t, q, first, Fetched)
	s.set("/filter.wasm.sig", sign(t, newKey(t), first, nil))
	b.refuses(t, q, untrusted)
	s.set("/filter.wasm", second)
	b.refuses(t, q, untrusted)
	q.SHA256 = digestOf(second)
	b.refuses(t, q, untrusted)
	if got := b.Stats().Reads[refusedRead]; got != 3 {
		t.Errorf("%d readings refused, want 3", got)
	}
}

func TestAURLThatFailsIsAway(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  http.HandlerFunc
		reason string
	}{
		"404":        {http.NotFound, notFound},
		"410":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, notFound},
		"403":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, status},
		"500":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, status},
		"204":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, status},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere.wasm", http.StatusFound) }, outbound.Redirect},
		"an end":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, outbound.Protocol},
		"an early end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		}, outbound.Protocol},
		"an endless body": {func(w http.ResponseWriter, r *http.Request) {
			for chunk := make([]byte, 1<<20); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, outbound.TooBig},
		"an endless header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		}, outbound.Protocol},
		"a hang": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, outbound.Timeout},
		"a drip": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Millisecond):
				}
			}
		}, outbound.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.set("/filter.wasm", first)
			q := Request{Reference: s.URL + "/filter.wasm"}
			b := newBench(t)
			b.reads(t, q, first, Fetched)
			patience := time.Minute
			if tt.reason == outbound.Timeout {
				patience = 100 * time.Millisecond
			}
			b.options.timeout = patience
			s.fails(tt.fault)
			newBench(t, func(o *Options) { o.timeout = patience }).refuses(t, q, tt.reason)
			newBench(t, func(o *Options) { o.timeout, o.Dir = patience, "" }).refuses(t, q, tt.reason)
			b.reads(t, q, first, FromLastGood)
			if s := b.Stats(); s.Failures[tt.reason] != 1 || s.Reads[FromLastGood] != 1 {
				t.Errorf("counted %v", s)
			}
		})
	}
}

func TestAPortThatIsClosedAndAnAddressThatIsRefusedAreAway(t *testing.T) {
	s := newServer(t)
	s.Close()
	newBench(t).refuses(t, Request{Reference: s.URL + "/filter.wasm"}, outbound.Connect)
	newBench(t).refuses(t, Request{Reference: "oci://" + strings.TrimPrefix(s.URL, "http://") + "/filters:v1"}, outbound.Connect)
	newBench(t).refuses(t, Request{Reference: "https://169.254.169.254/filter.wasm"}, badText, "link-local")
}

// A reload has a time of its own, which one host must not use up filter by filter.
func TestAHostThatHangsIsNotWaitedForByEveryFilter(t *testing.T) {
	s := newServer(t)
	now := time.Now()
	b := newBench(t, func(o *Options) { o.now = func() time.Time { return now } })
	paths := []string{"/a.wasm", "/b.wasm", "/c.wasm"}
	for _, path := range paths {
		s.set(path, first)
		b.reads(t, Request{Reference: s.URL + path}, first, Fetched)
	}
	s.fails(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	b.options.timeout = 50 * time.Millisecond
	asked := s.asked.Load()
	for _, path := range paths {
		b.reads(t, Request{Reference: s.URL + path}, first, FromLastGood)
	}
	if got := s.asked.Load() - asked; got != 1 {
		t.Errorf("the host was asked %d times, want once", got)
	}
	if got := b.Stats().Failures[outbound.Timeout]; got != 3 {
		t.Errorf("%d failures counted, want 3", got)
	}
	s.fails(nil)
	b.options.timeout = time.Minute
	now = now.Add(holdTime)
	b.reads(t, Request{Reference: s.URL + paths[0]}, first, Fetched)
}

func TestWhoGivesUpGetsNoModuleFromDisk(t *testing.T) {
	s := newServer(t)
	s.set("/filter.wasm", first)
	b := newBench(t)
	q := Request{Reference: s.URL + "/filter.wasm"}
	b.reads(t, q, first, Fetched)
	ctx, cancel := context.WithCancel(t.Context())
	s.fails(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if m, err := b.Read(ctx, q); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", m, err)
	}
	s.fails(nil)
	b.reads(t, q, first, Fetched) // the host is not blamed for it
}
