package assemblyscript_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/plugins/plugintest"
	"sluice/router"
)

const (
	helloWasm = "examples/hello/hello.wasm"
	noopWasm  = "examples/noop/noop.wasm"
	probeWasm = "examples/probe/probe.wasm"
)

func TestCommittedModulesAreWhatTheirSourcesBuildTo(t *testing.T) {
	for _, folder := range []string{"examples/hello", "examples/noop", "examples/probe"} {
		committed, err := os.ReadFile(filepath.Join(folder, filepath.Base(folder)+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		built, err := os.ReadFile(compile(t, folder))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, committed) && !bytes.HasPrefix(committed, built) { // sections for tools are appended
			t.Errorf("%s is not what its source builds to: run asc there", folder)
		}
	}
}

func TestHelloRefusesItsWordAndNumbersTheRest(t *testing.T) {
	g := load(t, helloWasm, `{"word":"sp\u0061m"}`, "log")
	states := new([]router.State)
	for _, c := range []struct{ content, want string }{
		{`"hi"`, `{"n":1,"content":"hi"}`},
		{`"buy spam"`, ""},
		{`{"a":[1]}`, `{"n":2,"content":{"a":[1]}}`},
	} {
		e := message(c.content)
		e.States = states
		v := g.judge(t, e)
		if c.want == "" && (v.Action != router.Deny || v.Code != 422 || v.Reason != "that word is not welcome here") {
			t.Errorf("%s: got %+v", c.content, v)
		}
		if c.want != "" && (v.Action != router.Continue || string(v.Payload) != c.want) {
			t.Errorf("%s: got %+v %s, want %s", c.content, v, v.Payload, c.want)
		}
	}
	for _, c := range []struct {
		bytes int
		code  uint32
	}{{8160, 0}, {8161, 413}, {300_000, 413}} {
		if v := g.judge(t, message(`"`+strings.Repeat("x", c.bytes-2)+`"`)); v.Code != c.code || v.Failure != "" {
			t.Errorf("%d bytes: got %+v", c.bytes, v)
		}
	}
}

func TestHelloSaysWhatIsWrongWithAConfiguration(t *testing.T) {
	bare := compile(t, "examples/hello") // without its schema, which would refuse them first
	for _, c := range []struct{ config, reason string }{
		{`[]`, "the configuration has to be an object"},
		{`{"wrod":"x"}`, "unknown key: only word is known"},
		{`{"word":7}`, "word has to be a string of up to 63 bytes"},
		{`{"word":"` + strings.Repeat("x", 64) + `"}`, "word has to be a string of up to 63 bytes"},
		{`{}`, "word is missing"},
		{`{"word":""}`, "word is missing"},
	} {
		if _, err := build(t, bare, c.config, "log"); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: the error is %v, want %q", c.config, err, c.reason)
		}
	}
}

func TestAModuleImportsOnlyTheFunctionsThatItCalls(t *testing.T) {
	for file, want := range map[string]string{noopWasm: "", helloWasm: "log"} {
		module, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(everything, "verify") {
			imports := bytes.Contains(module, append([]byte{6}, "sluice"+string(rune(len(name)))+name...))
			if imports != (name == want) {
				t.Errorf("%s: imports %s is %v", file, name, imports)
			}
		}
	}
}

func TestTheFixturesOfTheExamplesPass(t *testing.T) {
	plugintest.TestWith(t, plugintest.Options{}, "examples/*/tests/*.yaml")
}
