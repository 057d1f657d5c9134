//go:build !wasm

package main

import (
	"testing"

	sluice "sluice/sdk/go"
)

func configure(t *testing.T, configuration string) (sluice.Verdict, sluice.Answer) {
	t.Helper()
	e := sluice.NewEvent(sluice.Input{Hook: sluice.HookConfigure, Payload: configuration})
	return onConfigure(e), e.Answer()
}

func TestConfigurationsWithoutAWordAreRefused(t *testing.T) {
	for _, c := range []string{`{}`, `{"word":""}`, `{"word":7}`, `{"wrod":"x"}`, `[]`} {
		if v, a := configure(t, c); v == sluice.Continue || a.Reason == "" {
			t.Errorf("%s: verdict %d, reason %q", c, v, a.Reason)
		}
	}
}

func TestTheWordIsRefused(t *testing.T) {
	configure(t, `{"word":"spam"}`)
	var logged string
	log := sluice.TestLog
	t.Cleanup(func() { sluice.TestLog = log })
	sluice.TestLog = func(_ sluice.Level, text string) { logged = text }
	e := sluice.NewEvent(sluice.Input{Payload: `"buy spam now"`})
	v := onMessage(e)
	if a := e.Answer(); v == sluice.Continue || a.Code != 422 || a.Reason != "that word is not welcome here" || a.Payload != nil {
		t.Errorf("verdict %d, %+v", v, a)
	}
	if logged == "" {
		t.Error("nothing was logged")
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
