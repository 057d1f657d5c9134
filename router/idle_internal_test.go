package router

import (
	"bufio"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// deepFilters use as much stack for a join as filters in wasm do.
type deepFilters struct{}

func (deepFilters) Handles(h Hook) bool { return h == HookJoin }

func (deepFilters) Judge(e *Event) error {
	deepen(e)
	return nil
}

//go:noinline
func deepen(e *Event) (sum byte) {
	var stack [5 << 10]byte
	for i := range stack {
		stack[i] = byte(i) ^ byte(e.Seq)
	}
	for i := range stack {
		sum += stack[i*7%len(stack)]
	}
	return sum
}

// What executes a command is deep, and grows the stack of the connection's
// goroutine to 8 KiB. The collector halves it again only while the waiting
// goroutine uses less than a quarter, some 1,200 bytes: a larger frame in serve,
// run, or what Read calls would cost every idle connection 4 KiB.
func TestAnIdleConnectionThatHasJoinedARoomGoesBackToASmallStack(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector changes what stacks cost")
	}
	const n = 1000
	r, _ := crowd(t, 1, RoomRule{Announce: AnnounceOff})
	next := *r.cur.Load().Generation
	next.Filters = deepFilters{}
	r.Swap(&next)
	server := httptest.NewServer(r)
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	var clients []net.Conn
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	clients = append(clients, joinIdle(t, addr, 0)) // what is made once, is made
	before := stackInUse()
	for i := range n {
		clients = append(clients, joinIdle(t, addr, i+1))
	}
	// Until the last goroutines of net/http have ended.
	stack := 0.0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if stack = float64(stackInUse()-before) / n; stack <= 5<<10 {
			break
		}
	}
	t.Logf("%.0f bytes of stack", stack)
	if stack > 5<<10 {
		t.Errorf("an idle connection has %.0f bytes of stack, want at most its step of 4 KiB", stack)
	}
}

// joinIdle is a client without a goroutine, in a room of its own.
func joinIdle(t *testing.T, addr string, i int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "GET /ws?client_id=idle%d HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", i)
	join := fmt.Sprintf(`{"type":"join_room","room":"idle%d"}`, i)
	if _, err := c.Write(append([]byte{0x81, 0x80 | byte(len(join)), 0, 0, 0, 0}, join...)); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for br := bufio.NewReaderSize(c, 512); !strings.Contains(got.String(), `"joined"`); {
		b, err := br.ReadByte()
		if err != nil {
			t.Fatalf("after %q: %v", got.String(), err)
		}
		got.WriteByte(b)
	}
	return c
}

// stackInUse is taken when what has ended is also gone.
func stackInUse() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}
