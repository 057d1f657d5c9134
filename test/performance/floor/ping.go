package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// pingFrame is a ping without payload (RFC 6455, 5.5.2).
var pingFrame = []byte{0x89, 0}

// wheel sends heartbeats: connections are spread over its buckets, of which one
// after the other is pinged.
type wheel struct {
	// Guarded by mu.
	mu      sync.Mutex
	buckets [256]map[*client]struct{}
	next    int
}

func newWheel() *wheel {
	w := &wheel{}
	for i := range w.buckets {
		w.buckets[i] = map[*client]struct{}{}
	}
	return w
}

// add pings c until remove is called.
func (w *wheel) add(c *client) (remove func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	bucket := w.buckets[w.next]
	w.next = (w.next + 1) % len(w.buckets)
	bucket[c] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(bucket, c)
	}
}

// run pings each connection once in a period until done is closed.
func (w *wheel) run(period time.Duration, done <-chan struct{}) {
	tick := time.NewTicker(max(period/time.Duration(len(w.buckets)), time.Millisecond))
	defer tick.Stop()
	for i := 0; ; i = (i + 1) % len(w.buckets) {
		select {
		case <-tick.C:
		case <-done:
			return
		}
		w.mu.Lock()
		due := slices.Collect(maps.Keys(w.buckets[i]))
		w.mu.Unlock()
		for _, c := range due {
			c.ping()
		}
	}
}
