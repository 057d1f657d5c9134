//go:build !wasm

package main

import (
	"testing"

	sluice "sluice/sdk/go"
)

func TestEveryMessagePassesUnchanged(t *testing.T) {
	e := sluice.NewEvent(sluice.Input{Payload: `"hi"`, State: []byte{1}})
	if v := onMessage(e); v != sluice.Continue {
		t.Errorf("verdict %d", v)
	}
	if a := e.Answer(); a.Payload != nil || a.State != nil {
		t.Errorf("it changed something: %+v", a)
	}
}
