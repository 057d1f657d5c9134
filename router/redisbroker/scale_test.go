//go:build !race

package redisbroker

import (
	"runtime"
	"testing"
	"time"

	"sluice/router/redisbroker/redistest"
)

// TestAHundredThousandRoomsComeBack reports what it costs a node to subscribe to
// 100,000 rooms, half of them with a history, and to come back after its
// connection was killed.
func TestAHundredThousandRoomsComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const rooms = 100_000
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.ProbeInterval, o.Timeout, o.Log = 20*time.Second, 30*time.Second, nil }, standalone(server.Addr))
	before := heap()
	up, back := comeBack(t, server, b, e, rooms)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	// What the test itself keeps is a RoomGap for each room without a history.
	t.Logf("%d rooms: subscribed within %s, back within %s, %d bytes a room (the test's record included); the heap never had more than %d MiB",
		rooms, up.Round(time.Millisecond), back.Round(time.Millisecond), (heap()-before)/rooms, m.HeapSys>>20)
	if up > redistest.Patience || back > redistest.Patience {
		t.Error("that is too slow")
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
