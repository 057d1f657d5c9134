// Package assemblyscript_test holds the AssemblyScript SDK to what it says: its
// examples and the modules of testdata run in the real host.
package assemblyscript_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/router"
)

// shared is a folder for what the tests build once.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "sluice-assemblyscript-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(shared)
		os.Exit(code)
	}))
}

var everything = []string{"log", "now", "random", "metric_add", "counter_add", "bucket_take", "kv_get", "kv_set"}

// guest is a module in the real host.
type guest struct {
	host  *plugins.Host
	chain *plugins.Chain
}

// load starts a module with what its examples need.
func load(tb testing.TB, file, config string, capabilities ...string) guest {
	tb.Helper()
	g, err := build(tb, file, config, capabilities...)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func build(tb testing.TB, file, config string, capabilities ...string) (guest, error) {
	tb.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{Lanes: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = host.Close(context.Background()) })
	chain, err := host.Build(tb.Context(), []plugins.Spec{{
		Name: "guest", Plugin: file, Config: json.RawMessage(config), Capabilities: capabilities, Time: time.Second,
	}}, nil)
	return guest{host, chain}, err
}

func message(content string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Room: "chat:a", User: "ann", Conn: 1, Seq: 1,
		Payload: []byte(content), States: new([]router.State),
	}
}

func (g guest) judge(tb testing.TB, e *router.Event) router.Verdict {
	tb.Helper()
	if err := g.chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}

// memory is what the guest's instances hold, in bytes.
func (g guest) memory() uint64 { return g.chain.Stats()[0].Memory }

// asc is the compiler; a test is skipped where it is not installed.
func asc(tb testing.TB) string {
	tb.Helper()
	path, err := filepath.Abs("../../test/node_modules/.bin/asc")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		tb.Skip("asc is not installed: npm ci --prefix test")
	}
	if _, err := exec.LookPath("node"); err != nil {
		tb.Skip("node is not installed")
	}
	for _, pattern := range []string{"assembly/*", "examples/*/*", "testdata/*"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files { // so that the go command knows what a cached result depends on
			_, _ = os.ReadFile(file)
		}
	}
	return path
}

// built are the modules that were compiled, by what was asked for.
var built = map[string]string{}

// compile builds a project by its own flags, or a file by flags given; once.
func compile(tb testing.TB, folder string, args ...string) string {
	tb.Helper()
	compiler, key := asc(tb), folder+" "+strings.Join(args, " ")
	if path, ok := built[key]; ok {
		return path
	}
	out := filepath.Join(shared, fmt.Sprintf("%d.wasm", len(built)))
	cmd := exec.Command(compiler, append(args, "-o", out)...)
	cmd.Dir = folder
	if text, err := cmd.CombinedOutput(); err != nil || len(text) > 0 {
		tb.Fatalf("asc in %s: %v\n%s", folder, err, text)
	}
	built[key] = out
	return out
}
