package conformance

import (
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/router"
)

func TestTheExamplesOfTheABIHoldTheirLimit(t *testing.T) {
	for _, file := range []string{"../examples/wat/limit.wasm", "../examples/c/limit.wasm"} {
		g := load(t, plugins.Spec{Plugin: file})
		for _, c := range []struct {
			bytes  int
			denied bool
		}{{2, false}, {1000, false}, {1001, true}, {100_000, true}, {5, false}} {
			v := g.judge(t, message(`"`+strings.Repeat("x", c.bytes-2)+`"`))
			if (v.Action == router.Deny) != c.denied || v.Failure != "" {
				t.Errorf("%s, %d bytes: got %+v", file, c.bytes, v)
			}
			if c.denied && (v.Code != 413 || v.Reason != "content is over 1000 bytes") {
				t.Errorf("%s: got %d %q", file, v.Code, v.Reason)
			}
		}
	}
}

func TestAnEventThatABufferRefusesFailsAlone(t *testing.T) {
	g := load(t, plugins.Spec{Plugin: "../examples/c/limit.wasm"}) // a buffer of 128 KiB
	if v := g.judge(t, message(`"`+strings.Repeat("x", 200_000)+`"`)); v.Failure != "too_big" {
		t.Errorf("got %+v", v)
	}
	if v := g.judge(t, message(`"x"`)); v.Action != router.Continue || v.Failure != "" {
		t.Errorf("the next event: %+v", v)
	}
}

func TestAModuleImportsOnlyTheCapabilitiesThatItUses(t *testing.T) {
	importsLog := func(file string) bool { return strings.Contains(read(t, file), "\x06sluice\x03log") } // as the format has it
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			if file := l.noop(t); importsLog(file) {
				t.Errorf("%s imports log, which it does not call", file)
			}
			if file := l.hello(t); !importsLog(file) {
				t.Errorf("%s does not import log, which it calls", file)
			}
		})
	}
}
