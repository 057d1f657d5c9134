package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/router"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		recordForEver(path)
	}
	dir, err := os.MkdirTemp("", "sluice-capture-*")
	if err != nil {
		panic(err)
	}
	cache = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// cache is where all tests keep compiled modules.
var cache string

const (
	testdata = "../testdata/"
	hello    = "../../sdk/c/examples/hello/hello.wasm"
	probe    = "../../sdk/conformance/testdata/probe.wasm"
	when     = 1_700_000_000_000_000_000
)

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// options are those of a capture that no test outlives.
func options(t testing.TB) Options {
	t.Helper()
	return Options{File: filepath.Join(t.TempDir(), "node.capture"), For: time.Hour, MaxSize: 64 << 20, Sample: 1, Log: quiet()}
}

func start(t testing.TB, o Options) *Capture {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// node is a host whose events are captured.
type node struct {
	*plugins.Host
	t testing.TB
}

func newNode(t testing.TB, c *Capture, o plugins.HostOptions) *node {
	t.Helper()
	o.Recorder, o.Log, o.Lanes, o.CacheDir = c, quiet(), 2, cache
	h, err := plugins.NewHost(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &node{h, t}
}

func (n *node) chain(specs ...plugins.Spec) *plugins.Chain {
	n.t.Helper()
	c, err := n.Build(context.Background(), specs, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

func judge(t testing.TB, c *plugins.Chain, e *router.Event) *router.Verdict {
	t.Helper()
	if e.States == nil {
		e.States = new([]router.State)
	}
	if err := c.Judge(e); err != nil {
		t.Fatal(err)
	}
	return &e.Verdict
}

func message(content string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Time: when, Conn: 7, Seq: 1, Room: "chat:lobby", User: "ada",
		Payload: []byte(content), Remote: "192.0.2.7", Claims: []byte(`{"sub":"ada"}`),
	}
}

// events reads a capture that must be readable.
func events(t testing.TB, path string) ([]*Event, *Reader) {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	var out []*Event
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, r
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
}

// content is the capture's text.
func content(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rewrite writes a capture whose events were changed, without compression.
func rewrite(t testing.TB, path string, change func(*Event)) string {
	t.Helper()
	all, r := events(t, path)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	put := func(l line) {
		if err := encoder.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	put(line{Header: &r.Header})
	for _, s := range r.Filters() {
		put(line{Filter: s})
	}
	for _, e := range all {
		change(e)
		put(line{Event: e})
	}
	put(line{End: r.End})
	path = filepath.Join(t.TempDir(), "changed.capture")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func replayed(t testing.TB, path string, o ReplayOptions) *Report {
	t.Helper()
	o.CacheDir = cache
	r, err := Replay(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// figures are a report without its examples.
func figures(r *Report) Report {
	out := *r
	out.First = nil
	return out
}
