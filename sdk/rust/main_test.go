package rust_test

import (
	"context"
	"encoding/json"
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

// shared is a folder for what is compiled once.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "sluice-rust-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(shared)
		os.Exit(code)
	}))
}

// everything are the capabilities that need nothing but their grant.
var everything = []string{"log", "now", "random", "metric_add", "counter_add", "bucket_take", "kv_get", "kv_set"}

// load starts a module in the real host.
func load(tb testing.TB, file, config string) *plugins.Chain {
	tb.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{
		Lanes: 1, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1700000000, 0) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = host.Close(context.Background()) })
	// The race detector and a busy machine slow guests down; how long they take is
	// not what is tested here.
	chain, err := host.Build(tb.Context(), []plugins.Spec{{
		Name: "guest", Plugin: file, Config: json.RawMessage(config), Capabilities: everything, Time: time.Second,
	}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return chain
}

func message(content string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Room: "chat:a", User: "ann", Conn: 1, Seq: 1,
		Payload: []byte(content), States: new([]router.State),
	}
}

func judge(tb testing.TB, chain *plugins.Chain, e *router.Event) router.Verdict {
	tb.Helper()
	if err := chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}

// dependOn reads the sources that a compiler is about to read, which tells the go
// command that results it has cached hold only while these stay the same.
func dependOn(tb testing.TB) {
	tb.Helper()
	for _, root := range []string{".", "../../plugins/filters/words", "../../plugins/filters/ratelimit"} {
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			switch filepath.Ext(path) {
			case ".rs", ".toml", ".wasm", ".json", ".sh":
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// cargo runs the compiler that the committed modules come from, in a folder.
func cargo(t *testing.T, folder string, args ...string) string {
	t.Helper()
	if _, err := os.Stat("/usr/bin/cargo"); err != nil {
		t.Skip("cargo is not installed: apt-get install rustc-web cargo-web")
	}
	cmd := exec.Command("/usr/bin/cargo", args...)
	cmd.Dir = folder
	cmd.Env = []string{"PATH=/usr/bin:/bin", "RUSTC=/usr/bin/rustc", "RUSTDOC=/usr/bin/rustdoc", "CARGO_HOME=" + filepath.Join(shared, "home")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cargo %s in %s: %v\n%s", strings.Join(args, " "), folder, err, out)
	}
	return string(out)
}
