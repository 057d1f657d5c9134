package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/router"
)

// shared is a folder for what tests build once: Go guests and compiled code.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "sluice-conformance-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(shared)
		os.Exit(code)
	}))
}

var goGuests struct {
	sync.Mutex
	built map[string]string
}

// goGuest builds a filter that is written in Go, and returns the .wasm.
func goGuest(tb testing.TB, folder string) string {
	tb.Helper()
	goGuests.Lock()
	defer goGuests.Unlock()
	if path, ok := goGuests.built[folder]; ok {
		return path
	}
	dependOn(tb, "../go/*.go", folder+"/*.go")
	path := filepath.Join(shared, filepath.Base(folder)+".wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, "./"+folder)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build %s: %v\n%s", folder, err, out)
	}
	if goGuests.built == nil {
		goGuests.built = make(map[string]string)
	}
	goGuests.built[folder] = path
	return path
}

// dependOn reads the sources that a compiler is about to read. That tells the
// go command that results it has cached hold only while these stay the same.
func dependOn(tb testing.TB, patterns ...string) {
	tb.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			tb.Fatalf("%s: no such files (%v)", pattern, err)
		}
		for _, file := range files {
			if _, err := os.ReadFile(file); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// guest is one filter in a real host, with what it logs.
type guest struct {
	host  *plugins.Host
	chain *plugins.Chain
	log   *syncBuffer
}

// now is what guests see as the time.
var now = time.Unix(1700000000, 0)

func build(tb testing.TB, specs ...plugins.Spec) (guest, error) {
	tb.Helper()
	g := guest{log: new(syncBuffer)}
	var err error
	g.host, err = plugins.NewHost(plugins.HostOptions{
		CacheDir: filepath.Join(shared, "cache"),
		Lanes:    1,
		Log:      slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:      func() time.Time { return now },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { g.close(tb) })
	for i := range specs {
		if specs[i].Name == "" {
			specs[i].Name = fmt.Sprintf("guest%d", i)
		}
		// The race detector and a busy machine slow guests down; how long they take
		// is not what is tested here.
		specs[i].Time = time.Second
	}
	g.chain, err = g.host.Build(tb.Context(), specs, nil)
	return g, err
}

func load(tb testing.TB, specs ...plugins.Spec) guest {
	tb.Helper()
	g, err := build(tb, specs...)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// close ends the host; afterwards everything that was logged is in the log.
func (g guest) close(tb testing.TB) {
	tb.Helper()
	if err := g.host.Close(context.Background()); err != nil {
		tb.Error(err)
	}
}

func (g guest) judge(tb testing.TB, e *router.Event) router.Verdict {
	tb.Helper()
	if err := g.chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	if e.Verdict.Failure != "" {
		tb.Logf("failure %s\n%s", e.Verdict.Failure, g.log)
	}
	return e.Verdict
}

func message(content string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Room: "chat:a", User: "ann", Conn: 1, Seq: 1,
		Payload: []byte(content), States: new([]router.State),
	}
}

// pluginAt is a filter with nothing but a file, and all capabilities.
func pluginAt(file string) plugins.Spec {
	return plugins.Spec{Plugin: file, Capabilities: []string{"log", "now", "random"}}
}

func config(text string) json.RawMessage { return json.RawMessage(text) }

// syncBuffer is a log that the host's goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
