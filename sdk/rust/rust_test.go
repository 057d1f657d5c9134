package rust_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/plugins/plugintest"
	"sluice/router"
)

func TestTheFixturesOfTheExamplesPass(t *testing.T) {
	plugintest.Test(t, "examples/*/tests/*.yaml")
}

func TestTheNativeTestsPass(t *testing.T) {
	dependOn(t)
	for folder, least := range map[string]int{
		".": 15, "examples/hello": 4, "../../plugins/filters/words": 5, "../../plugins/filters/ratelimit": 10,
	} {
		out := cargo(t, folder, "test", "--offline", "--locked", "--target-dir", filepath.Join(shared, "native"))
		if n := strings.Count(out, " ... ok\n"); n < least || strings.Contains(out, "warning:") {
			t.Errorf("%s: %d tests, want %d or more, and no warning:\n%s", folder, n, least, out)
		}
	}
}

func TestAVerdictCannotBorrowFromALocalVariable(t *testing.T) {
	dependOn(t)
	dir := t.TempDir()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf("[package]\nname = \"wrong\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[lib]\n[dependencies]\nsluice = { path = %q }\n", root)
	if err := os.MkdirAll(dir+"/src", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{"Cargo.toml": manifest, "src/lib.rs": `
use sluice::{Event, Verdict};
sluice::export! { on_message: hook }
fn hook(_: Event) -> Verdict {
    let local = [b'1'];
    Verdict::rewrite(&local)
}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("/usr/bin/cargo"); err != nil {
		t.Skip("cargo is not installed: apt-get install rustc-web cargo-web")
	}
	cmd := exec.Command("/usr/bin/cargo", "check", "--offline", "--target-dir", filepath.Join(shared, "native"))
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "RUSTC=/usr/bin/rustc", "CARGO_HOME=" + filepath.Join(shared, "home")}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "cannot return value referencing local variable `local`") {
		t.Errorf("it compiles, or fails otherwise: %v\n%s", err, out)
	}
}

func TestAModuleImportsOnlyTheFunctionsThatItCalls(t *testing.T) {
	for file, want := range map[string]string{"examples/noop/noop.wasm": "", "examples/hello/hello.wasm": "log"} {
		module, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(everything, "verify") {
			imports := strings.Contains(string(module), "\x06sluice"+string(rune(len(name)))+name)
			if imports != (name == want) {
				t.Errorf("%s: imports %s is %v", file, name, imports)
			}
		}
		if len(module) > 10<<10 {
			t.Errorf("%s has %d bytes; it is to stay small", file, len(module))
		}
	}
}

func TestTheBufferGrowsWithTheEvents(t *testing.T) {
	chain := load(t, "examples/hello/hello.wasm", `{"word":"spam"}`)
	for _, n := range []int{10, 5_000, 300_000, 10, 1 << 20, 2_000} {
		if v := judge(t, chain, message(`"`+strings.Repeat("x", n)+`spam"`)); v.Code != 422 {
			t.Errorf("%d bytes and the word: got %+v", n, v)
		}
	}
	if v := judge(t, chain, message(`"`+strings.Repeat("x", 8158)+`"`)); v.Action != router.Continue || len(v.Payload) != 8160+len(`{"n":1,"content":}`) {
		t.Errorf("the longest that is stamped: %d, %d bytes", v.Action, len(v.Payload))
	}
}

func TestTheProbeReachesWhatTheNodeKeeps(t *testing.T) {
	chain := load(t, "examples/probe/probe.wasm", "")
	for _, c := range []struct{ ask, want string }{
		{"counter", "1"}, {"counter", "2"}, {"bucket", "0"}, {"bucket", "0"}, {"bucket", "1000"}, {"metric", "0"},
		{"get", "null"}, {"set", "0"}, {"get", `"v"`}, {"lookup", "[0,null]"}, {"now", "1700000000000000000"},
	} {
		if v := judge(t, chain, message(`"`+c.ask+`"`)); string(v.Payload) != c.want {
			t.Errorf("%s: got %s, want %s (%s)", c.ask, v.Payload, c.want, v.Failure)
		}
	}
}

// BenchmarkNoop is what a filter costs that does nothing: the way there and back.
func BenchmarkNoop(b *testing.B) {
	for _, size := range []int{128, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			chain := load(b, "examples/noop/noop.wasm", "")
			e := message(`"` + strings.Repeat("x", size-2) + `"`)
			b.ReportAllocs()
			for b.Loop() {
				if err := chain.Judge(e); err != nil {
					b.Fatal(err)
				}
			}
			if v := e.Verdict; v.Action != router.Continue || v.Failure != "" {
				b.Fatalf("got %+v", v)
			}
		})
	}
}
