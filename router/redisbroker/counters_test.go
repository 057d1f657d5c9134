package redisbroker

import (
	"regexp"
	"testing"
)

func TestEveryEventHasANameOfItsOwnFromTheStart(t *testing.T) {
	b := newTestBroker(t, Shard{Addresses: []string{"127.0.0.1:1"}})
	all := b.Counters()
	if len(all) != int(events) {
		t.Fatalf("%d names for %d events: %v", len(all), events, all)
	}
	for name, n := range all {
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(name) || n != 0 {
			t.Errorf("%q is %d", name, n)
		}
	}
	for e := range events {
		b.count(e)
		if got := b.Counters()[eventNames[e]]; got != 1 {
			t.Errorf("%s is %d after one", eventNames[e], got)
		}
	}
}
