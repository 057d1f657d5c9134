//go:build !wasm

package main

import (
	"strings"
	"testing"

	sluice "sluice/sdk/go"
)

func configure(t *testing.T, configuration string) (sluice.Verdict, sluice.Answer) {
	t.Helper()
	e := sluice.NewEvent(sluice.Input{Hook: sluice.HookConfigure, Payload: configuration})
	return onConfigure(e), e.Answer()
}

func TestConfigurationsThatMakeNoSenseAreRefused(t *testing.T) {
	const (
		object  = "the configuration has to be an object"
		unknown = "unknown key: only word is known"
		str     = "word has to be a string of up to 63 bytes"
		missing = "word is missing"
	)
	for configuration, want := range map[string]string{
		`[]`: object, `null`: object, `"word"`: object,
		`{"wrod":"x"}`: unknown, `{"word":"x","more":1}`: unknown, `{"word\u0000":"x"}`: unknown,
		`{"word":7}`: str, `{"word":null}`: str, `{"word":"` + strings.Repeat("x", 64) + `"}`: str, `{"word":"\ud800"}`: str,
		`{}`: missing, `{"word":""}`: missing,
	} {
		if v, a := configure(t, configuration); v == sluice.Continue || a.Code != 422 || a.Reason != want {
			t.Errorf("%s: verdict %d, %d %q, want %q", configuration, v, a.Code, a.Reason, want)
		}
	}
}

func TestAWordMayBeWrittenWithEscapes(t *testing.T) {
	if v, a := configure(t, ` { "w\u006frd" : "sp\u0061m" } `); v != sluice.Continue || string(word) != "spam" {
		t.Errorf("verdict %d, %q, the word is %q", v, a.Reason, word)
	}
}

func TestTheWordIsRefused(t *testing.T) {
	configure(t, `{"word":"spam"}`)
	var logged string
	t.Cleanup(sluice.ResetTest)
	sluice.TestLog = func(_ sluice.Level, text string) { logged = text }
	e := sluice.NewEvent(sluice.Input{Payload: `"buy spam now"`})
	v := onMessage(e)
	if a := e.Answer(); v == sluice.Continue || a.Code != 422 || a.Reason != "that word is not welcome here" || a.Payload != nil {
		t.Errorf("verdict %d, %+v", v, a)
	}
	if logged != "refused a message" {
		t.Errorf("%q was logged", logged)
	}
}

func TestOtherContentIsNumberedFromTheState(t *testing.T) {
	configure(t, `{"word":"spam"}`)
	e := sluice.NewEvent(sluice.Input{Payload: `"hi"`})
	if v := onMessage(e); v != sluice.Continue || string(e.Answer().Payload) != `{"n":1,"content":"hi"}` {
		t.Errorf("verdict %d, %s", v, e.Answer().Payload)
	}
	e = sluice.NewEvent(sluice.Input{Payload: `"hi"`, State: e.Answer().State})
	if v := onMessage(e); v != sluice.Continue || string(e.Answer().Payload) != `{"n":2,"content":"hi"}` {
		t.Errorf("verdict %d, %s", v, e.Answer().Payload)
	}
}

func TestContentThatIsTooLongIsRefused(t *testing.T) {
	configure(t, `{"word":"spam"}`)
	for _, c := range []struct {
		bytes int
		code  uint32
	}{{8160, 0}, {8161, 413}} {
		e := sluice.NewEvent(sluice.Input{Payload: `"` + strings.Repeat("x", c.bytes-2) + `"`})
		if onMessage(e); e.Answer().Code != c.code {
			t.Errorf("%d bytes: %+v", c.bytes, e.Answer())
		}
	}
}
