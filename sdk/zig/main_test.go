package zig_test

import (
	"bytes"
	"context"
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

// shared is where the compilations of all tests are kept.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "sluice-zig-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(shared)
		os.Exit(code)
	}))
}

// version is that of the compiler which the SDK is written for.
const version = "0.17.1"

// compiler is the path of the compiler; where it is not installed the test is
// skipped.
func compiler(t *testing.T) string {
	t.Helper()
	installed, err := filepath.Glob("../../.tools/zig/lib/python3*/site-packages/ziglang/zig")
	if err != nil {
		t.Fatal(err)
	}
	for _, candidate := range append([]string{os.Getenv("ZIG"), "zig"}, installed...) {
		if path, err := exec.LookPath(candidate); err == nil {
			if path, err = filepath.Abs(path); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(path, "version").Output(); err == nil && strings.TrimSpace(string(out)) == version {
				return path
			}
		}
	}
	t.Skipf("zig %s is not installed: python3 -m venv .tools/zig && .tools/zig/bin/pip install ziglang==%s", version, version)
	return ""
}

// sources reads what the compiler is about to read. That tells the go command
// that results it has cached hold only while these stay the same.
func sources(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"*.zig", "examples/*/*", "../../plugins/filters/redact/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no such files (%v)", pattern, err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
				if _, err := os.ReadFile(file); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func caches() []string {
	return []string{"ZIG_GLOBAL_CACHE_DIR=" + shared, "ZIG_LOCAL_CACHE_DIR=" + filepath.Join(shared, "local")}
}

// run runs the compiler and returns what it says.
func run(t *testing.T, folder string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(compiler(t), args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), caches()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// compile makes a module of a source, with the documented flags.
func compile(t *testing.T, source, optimize string) (wasm, output string, err error) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "filter.zig"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	sdk, err := filepath.Abs("sluice.zig")
	if err != nil {
		t.Fatal(err)
	}
	wasm = filepath.Join(folder, "filter.wasm")
	output, err = run(t, folder, "build-exe", "-target", "wasm32-freestanding", "-mcpu=generic+simd128", "-fno-entry", "-rdynamic",
		"-O", optimize, "-fstrip", "--stack", "16384", "-femit-bin="+wasm, "--dep", "sluice", "-Mroot=filter.zig", "-Msluice="+sdk)
	return wasm, output, err
}

// guest is a filter in a real host, with what is logged.
type guest struct {
	host  *plugins.Host
	chain *plugins.Chain
	log   *bytes.Buffer // to be read after close
}

func load(tb testing.TB, spec plugins.Spec) guest {
	tb.Helper()
	g := guest{log: new(bytes.Buffer)}
	var err error
	if g.host, err = plugins.NewHost(plugins.HostOptions{Lanes: 1, Log: slog.New(slog.NewTextHandler(g.log, nil))}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(g.close)
	spec.Name = "guest"
	spec.Time = time.Second // the race detector and a busy machine slow guests down
	if g.chain, err = g.host.Build(tb.Context(), []plugins.Spec{spec}, nil); err != nil {
		tb.Fatal(err)
	}
	return g
}

func (g guest) close() { _ = g.host.Close(context.Background()) }

func event(content string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Room: "room", User: "ann", Conn: 1, Seq: 1,
		Payload: []byte(content), States: new([]router.State),
	}
}

func (g guest) message(tb testing.TB, content string) router.Verdict {
	tb.Helper()
	e := event(content)
	if err := g.chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}
