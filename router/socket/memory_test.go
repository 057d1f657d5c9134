package socket

import (
	"runtime"
	"testing"
)

// skippedUnderRace is why the guards of memory do not run with the race detector.
const skippedUnderRace = "the race detector changes what goroutines and objects cost"

// An idle connection costs its reader's stack, which must stay at the first
// step of 2 KiB where nothing else has grown it, and the objects of the socket.
func TestAnIdleSocketCostsOneGoroutineWithASmallStack(t *testing.T) {
	if raceEnabled {
		t.Skip(skippedUnderRace)
	}
	const n = 1000
	srv := serve(t, serverConfig{}, echo)
	dial := func() *rawClient {
		c := srv.rawDial(t, 0)
		c.write(text("one message"))
		c.expect(opText, "one message")
		return c
	}
	dial() // what is made once, is made
	var clients []*rawClient
	goroutines, before := settled()
	for range n {
		clients = append(clients, dial())
	}
	eventually(t, "each socket has one goroutine", func() bool { return runtime.NumGoroutine() == goroutines+n })
	_, after := settled()
	stack := float64(after.StackInuse-before.StackInuse) / n
	t.Logf("stack %.0f B, heap %.0f B for a connection and its client in the test", stack, float64(after.HeapAlloc-before.HeapAlloc)/n)
	if stack > 3<<10 {
		t.Errorf("a reader's stack has %.0f bytes, want its first step of 2 KiB", stack)
	}
	for _, c := range clients {
		c.must(c.Close())
	}
}

// settled is taken when what has ended is also gone.
func settled() (goroutines int, m runtime.MemStats) {
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m
}
