package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports below the range that systems take client ports from: a server that is
// restarted finds its port free, and a client that dials a dead server's port can
// not be connected to itself, as happens where the two ranges are one.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freePort is a port that nobody listens on now. Another process may take it
// before its user does, who tries again with another one.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatalf("no free port between %d and %d", firstPort, lastPort)
	return 0
}
