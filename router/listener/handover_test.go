package listener_test

import (
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// handedOver is a connection that a handler has hijacked, of which net/http has read the
// head: something came behind it.
func handedOver(t *testing.T) net.Conn {
	t.Helper()
	taken := make(chan net.Conn, 1)
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
		}
		taken <- nc
	}))
	r.say(handshake("/ws") + "early")
	nc := <-taken
	t.Cleanup(func() { nc.Close() })
	return nc
}

// Under the race detector: who closes a socket sets a deadline, and that may be several.
func TestManyMaySetTheDeadlineOfAConnectionThatWasHandedOver(t *testing.T) {
	nc := handedOver(t)
	var setting sync.WaitGroup
	for range 4 {
		setting.Go(func() {
			if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Error(err)
			}
		})
	}
	setting.Wait()
}

// A socket that aborts its connection needs the TCP connection, to have the kernel forget
// what the client does not take.
func TestAConnectionThatWasHandedOverCanBeReset(t *testing.T) {
	nc := handedOver(t)
	inner, ok := nc.(interface{ NetConn() net.Conn })
	if !ok {
		t.Fatalf("%T does not show its connection", nc)
	}
	if tcp, ok := inner.NetConn().(*net.TCPConn); !ok || tcp.RemoteAddr().String() != nc.RemoteAddr().String() {
		t.Errorf("it shows %T", inner.NetConn())
	}
}
