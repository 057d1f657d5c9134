package redisbroker

import (
	"testing"
	"time"
)

func TestTheMoreTopicsAreRedirectedTheLongerEachWaits(t *testing.T) {
	for topics, want := range map[int]time.Duration{
		1: 100 * time.Millisecond, 1999: 100 * time.Millisecond, 10_000: time.Second, 100_000: 5 * time.Second, 10_000_000: 5 * time.Second,
	} {
		if got := redirectWait(topics, 5*time.Second); got != want {
			t.Errorf("%d topics wait %s, want %s", topics, got, want)
		}
	}
}
