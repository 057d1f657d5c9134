package rooms_test

import "testing"

func TestTheFilterTakesNoMoreMemoryHoweverManyEventsItSees(t *testing.T) {
	chain := load(t, team)
	var settled uint64
	const events = 300_000
	for i := range events {
		action := []string{"join", "send", "broadcast", "direct"}[i%4]
		claims := []string{`{"team":["red","bl\u0075e","green"],"role":"user"}`, `{"role":["a","b"]}`, ``}[i%3]
		if v := try(t, chain, action, "team:green:x", "ann", claims); v.Failure != "" {
			t.Fatal(v.Failure)
		}
		if i == events/20 {
			settled = chain.Stats()[0].Memory
		}
	}
	if now := chain.Stats()[0].Memory; now != settled {
		t.Errorf("the memory went from %d to %d bytes", settled, now)
	}
}
