package zig_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/plugins/plugintest"
	"sluice/router"
)

func TestTheFixturesOfTheExamplesHold(t *testing.T) { plugintest.Test(t, "examples/*/tests/*.yaml") }

func TestTheNativeTestsPass(t *testing.T) {
	sources(t)
	for _, c := range []struct {
		folder, tests string
		args          []string
	}{
		{".", "15 tests", []string{"test", "sluice.zig"}},
		{"examples/hello", "4 tests", []string{"test", "--dep", "sluice", "-Mroot=hello.zig", "-Msluice=../../sluice.zig"}},
	} {
		out, err := run(t, c.folder, c.args...)
		if err != nil || !strings.Contains(out, "All "+c.tests+" passed.") {
			t.Errorf("%s: %v\n%s", c.folder, err, out)
		}
	}
}

const head = `const sluice = @import("sluice");
pub const panic = sluice.panic;
comptime {
    sluice.exportHooks(@This());
}
`

func TestAMistypedHookIsACompileError(t *testing.T) {
	sources(t)
	for _, c := range []struct{ name, source, says string }{
		{"a letter is missing", head + `pub fn onMesage(_: *sluice.Event) sluice.Verdict { return .proceed; }`, "onMesage is not a hook; there are onConfigure, onConnect, onJoin, onMessage, onLeave, onDisconnect"},
		{"the export's name", head + `pub fn on_message(_: *sluice.Event) sluice.Verdict { return .proceed; }`, "on_message is not a hook"},
		{"it is not public", head + `fn onMessage(_: *sluice.Event) sluice.Verdict { return .proceed; }`, "the filter has no public hook"},
		{"only a configuration", head + `pub fn onConfigure(_: *sluice.Event) sluice.Verdict { return .proceed; }`, "the filter has no public hook"},
		{"another parameter", head + `pub fn onMessage(_: u32) sluice.Verdict { return .proceed; }`, "onMessage has to be a function of one *sluice.Event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, out, err := compile(t, c.source, "small"); err == nil || !strings.Contains(out, c.says) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestAPanicIsATrapThatSaysItsMessage(t *testing.T) {
	sources(t)
	for _, c := range []struct{ name, optimize, body, cause, says string }{
		{"a panic", "small", `@panic("out of ideas")`, "trap", "out of ideas"},
		{"an index out of bounds", "safe", `var n = e.payload().len; n += 1; if (e.payload()[n] == 0) return .drop; return .proceed;`, "trap", "index out of bounds"},
		{"an error", "small", `return error.NotToday;`, "guest_error", "NotToday"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wasm, out, err := compile(t, head+"pub fn onMessage(e: *sluice.Event) !sluice.Verdict { _ = &e; "+c.body+" }", c.optimize)
			if c.name == "a panic" {
				wasm, out, err = compile(t, head+"pub fn onMessage(_: *sluice.Event) sluice.Verdict { "+c.body+"; }", c.optimize)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			g := load(t, plugins.Spec{Plugin: wasm})
			v := g.message(t, `"x"`)
			g.close() // what is logged is written aside
			if v.Failure != c.cause || !strings.Contains(g.log.String(), c.says) {
				t.Errorf("failure %q, logged:\n%s", v.Failure, g.log)
			}
		})
	}
}

func TestTheFiltersInTheREADMECompile(t *testing.T) {
	sources(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, part := range strings.Split(string(readme), "\n```zig\n")[1:] {
		source, _, _ := strings.Cut(part, "\n```")
		if !strings.Contains(source, "exportHooks") {
			continue
		}
		found++
		wasm, out, err := compile(t, source, "small")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if v := load(t, plugins.Spec{Plugin: wasm}).message(t, `"`+strings.Repeat("x", 300)+`"`); v.Action != router.Deny || v.Code != 413 {
			t.Errorf("got %+v", v)
		}
	}
	if found != 1 {
		t.Errorf("the README shows %d filters, want 1", found)
	}
}

func TestEventsOfAnySizeFindRoom(t *testing.T) {
	g := load(t, plugins.Spec{Plugin: "examples/hello/hello.wasm", Config: []byte(`{"word":"spam"}`), Capabilities: []string{"log"}})
	for _, n := range []int{10, 5_000, 300_000, 10, 1 << 20, 2_000} {
		if v := g.message(t, `"`+strings.Repeat("x", n)+`spam"`); v.Code != 422 {
			t.Errorf("%d bytes and the word: got %+v", n, v)
		}
	}
	if v := g.message(t, `"`+strings.Repeat("x", 9_000)+`"`); v.Code != 413 || v.Reason != "too long to be stamped" {
		t.Errorf("got %+v", v)
	}
}

func TestAModuleImportsOnlyWhatItCalls(t *testing.T) {
	for file, imports := range map[string][]string{"noop": nil, "hello": {"log"}} {
		wasm, err := os.ReadFile("examples/" + file + "/" + file + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"log", "now", "random", "verify", "metric_add", "counter_add", "bucket_take", "kv_get", "kv_set"} {
			entry := "\x06sluice" + string(rune(len(name))) + name // as the format has it
			want := len(imports) > 0 && imports[0] == name
			if bytes.Contains(wasm, []byte(entry)) != want {
				t.Errorf("%s imports %s: %v", file, name, !want)
			}
		}
		if bytes.Contains(wasm, []byte("wasi_snapshot")) {
			t.Errorf("%s imports WASI", file)
		}
	}
}
