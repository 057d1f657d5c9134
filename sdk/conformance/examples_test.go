package conformance

import (
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/router"
)

// hellos are the example of every SDK, with a configuration.
func hellos(t *testing.T, configuration string, test func(t *testing.T, g guest, err error)) {
	for _, sdk := range []struct {
		name string
		file func() string
	}{
		{"C", func() string { return "../c/examples/hello/hello.wasm" }},
		{"Go", func() string { return goGuest(t, "../go/examples/hello") }},
	} {
		t.Run(sdk.name, func(t *testing.T) {
			g, err := build(t, plugins.Spec{Plugin: sdk.file(), Config: config(configuration), Capabilities: []string{"log"}})
			test(t, g, err)
		})
	}
}

func TestHelloRefusesItsWordAndNumbersTheRest(t *testing.T) {
	hellos(t, `{"word":"spam"}`, func(t *testing.T, g guest, err error) {
		if err != nil {
			t.Fatal(err)
		}
		ann, bob := new([]router.State), new([]router.State)
		for _, c := range []struct {
			states        *[]router.State
			content, want string
		}{
			{ann, `"hi"`, `{"n":1,"content":"hi"}`},
			{ann, `"buy spam"`, ""},
			{ann, `{"a":[1]}`, `{"n":2,"content":{"a":[1]}}`},
			{bob, `null`, `{"n":1,"content":null}`},
			{ann, `"spa"`, `{"n":3,"content":"spa"}`},
		} {
			e := message(c.content)
			e.States = c.states
			v := g.judge(t, e)
			if c.want == "" {
				if v.Action != router.Deny || v.Code != 422 || v.Reason != "that word is not welcome here" {
					t.Errorf("%s: got %+v", c.content, v)
				}
			} else if v.Action != router.Continue || string(v.Payload) != c.want {
				t.Errorf("%s: got %d %s, want %s", c.content, v.Action, v.Payload, c.want)
			}
		}
		g.close(t)
		if !strings.Contains(g.log.String(), "refused a message") {
			t.Errorf("the log lacks the refusal:\n%s", g.log)
		}
	})
}

func TestHelloRefusesAConfigurationWithoutAWord(t *testing.T) {
	for _, configuration := range []string{``, `{"wrod":"x"}`} {
		hellos(t, configuration, func(t *testing.T, _ guest, err error) {
			if err == nil || !strings.Contains(err.Error(), "refuses its configuration: ") {
				t.Errorf("%s: the error is %v", configuration, err)
			}
		})
	}
}

func TestSDKsMakeRoomForEventsOfAnySize(t *testing.T) {
	hellos(t, `{"word":"spam"}`, func(t *testing.T, g guest, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{10, 5_000, 300_000, 10, 1 << 20, 2_000} {
			if v := g.judge(t, message(`"`+strings.Repeat("x", n)+`spam"`)); v.Code != 422 {
				t.Errorf("%d bytes and the word: got %+v", n, v)
			}
		}
	})
}

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
	for _, file := range []string{"../c/examples/noop/noop.wasm", goGuest(t, "../go/examples/noop")} {
		if importsLog(file) {
			t.Errorf("%s imports log, which it does not call", file)
		}
	}
	for _, file := range []string{"../c/examples/hello/hello.wasm", goGuest(t, "../go/examples/hello")} {
		if !importsLog(file) {
			t.Errorf("%s does not import log, which it calls", file)
		}
	}
}
