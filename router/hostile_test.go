package router_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
)

func TestMalformedFramesAreAnsweredByNamingTheField(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) { l.MalformedFrames = 1000 }))
	u := n.as(t, "ann")
	u.join("r")
	for _, c := range []struct{ frame, field, cause string }{
		{`hello`, "", "frame"},
		{``, "", "frame"},
		{`{"type":"ping"`, "", "frame"},
		{`{"type":"ping"} {}`, "", "frame"},
		{`[1]`, "", "frame"},
		{`{"type":"ping","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "", "frame"},
		{`{"type":"room_message","room":"r","content":` + strings.Repeat(`{"a":`, 10000) + `1` + strings.Repeat("}", 10000) + `}`, "", "frame"},
		{`{"type":"fly"}`, "type", "type"},
		{`{"type":7}`, "type", "type"},
		{`{"room":"r"}`, "type", "type"},
		{`{"type":"ping","type":"pong"}`, "type", "type"},
		{`{"type":"ping","\u0074ype":"pong"}`, "type", "type"},
		{`{"type":"ping","id":{}}`, "id", "id"},
		{`{"type":"ping","id":"` + strings.Repeat("x", 65) + `"}`, "id", "id"},
		{`{"type":"join_room"}`, "room", "room"},
		{`{"type":"join_room","room":1}`, "room", "room"},
		{`{"type":"join_room","room":["r"]}`, "room", "room"},
		{`{"type":"join_room","room":"a\u0000b"}`, "room", "room"},
		{`{"type":"join_room","room":"r","room":"s"}`, "room", "room"},
		{`{"type":"join_room","room":"r","recover":{"epoch":"e"}}`, "recover.offset", "recover"},
		{`{"type":"room_message","room":"r"}`, "content", "content"},
		{`{"type":"room_message","room":"r","content":1,"content":2}`, "content", "content"},
		{`{"type":"room_message","room":"r","content":1,"key":1}`, "key", "key"},
		{`{"type":"direct_message","content":1}`, "target_user", "target_user"},
		{`{"type":"direct_message","target_user":"","content":1}`, "target_user", "target_user"},
		{`{"type":"presence","room":"r","limit":-1}`, "limit", "limit"},
		{`{"type":"presence","room":"r","cursor":1}`, "cursor", "cursor"},
		{`{"type":"history","room":"r","since":1}`, "since", "since"},
		{`{"type":"refresh"}`, "token", "token"},
	} {
		before := n.Stats().Malformed[c.cause]
		e := u.refusedWith("bad_request", c.frame)
		if c.field != "" && !strings.HasPrefix(e.str("reason"), c.field+": ") {
			t.Errorf("%.60s: %q does not name %s", c.frame, e.str("reason"), c.field)
		}
		if got := n.Stats().Malformed[c.cause]; got != before+1 {
			t.Errorf("%.60s: not counted as %s", c.frame, c.cause)
		}
	}
	u.quiet()
}

func TestTextThatIsNotUTF8IsAnsweredAndCounted(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) { l.MalformedFrames = 2 }))
	u := n.as(t, "ann")
	if e := u.ask("{\"type\":\"ping\",\"id\":\"\xff\"}"); e.str("code") != "bad_request" || !strings.Contains(e.str("reason"), "UTF-8") {
		t.Errorf("got %v", e)
	}
	if n.Stats().Malformed[router.MalformedUTF8] != 1 {
		t.Error("not counted")
	}
	u.refusedWith("bad_request", "{\"type\":\"join_room\",\"room\":\"\xc0\xaf\"}")
	u.closedWith(4008)
}

func TestABinaryFrameClosesTheConnection(t *testing.T) {
	n := startNode(t)
	u := n.as(t, "ann")
	if err := u.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	u.closedWith(1003)
	if n.Stats().Malformed[router.MalformedBinary] != 1 {
		t.Error("not counted")
	}
}

// tcp is a WebSocket client written by hand, to do what no library does.
type tcp struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (n *node) tcp(t testing.TB) *tcp {
	t.Helper()
	conn, err := net.Dial("tcp", n.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &tcp{t, conn, bufio.NewReader(conn)}
}

const upgradeRequest = "GET /ws?client_id=raw HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// upgrade does the handshake and takes the welcome.
func (c *tcp) upgrade() *tcp {
	c.t.Helper()
	fmt.Fprintf(c, upgradeRequest, c.RemoteAddr())
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil || resp.StatusCode != 101 {
		c.t.Fatalf("got %v, %v", resp, err)
	}
	if _, payload := c.frame(); !strings.Contains(payload, "welcome") {
		c.t.Fatalf("got %s", payload)
	}
	return c
}

// frame reads one frame of the server.
func (c *tcp) frame() (opcode byte, payload string) {
	c.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		c.t.Fatal(err)
	}
	size := int(head[1])
	if size == 126 {
		var long [2]byte
		io.ReadFull(c.in, long[:])
		size = int(binary.BigEndian.Uint16(long[:]))
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(c.in, b); err != nil {
		c.t.Fatal(err)
	}
	return head[0] & 0xf, string(b)
}

// closeCode reads up to the server's close frame.
func (c *tcp) closeCode() int {
	c.t.Helper()
	for {
		if op, payload := c.frame(); op == 8 {
			return int(binary.BigEndian.Uint16([]byte(payload)))
		}
	}
}

// maskedText is the start of a masked text frame of that size; the mask is 0.
func maskedText(size uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{0x81, 0x80 | 127}, size)
	return append(b, 0, 0, 0, 0)
}

func TestAFrameThatAnnouncesTooMuchIsRefusedWithoutItsMemory(t *testing.T) {
	n := startNode(t)
	c := n.tcp(t).upgrade()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.Write(maskedText(1 << 40))
	go func() { // as much as is taken
		chunk := make([]byte, 16<<10)
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	}()
	if code := c.closeCode(); code != 1009 {
		t.Errorf("closed with %d", code)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	eventually(t, "it is counted", func() bool { return n.Stats().Malformed[router.MalformedTooBig] == 1 })
}

func TestAnUnmaskedFrameClosesTheConnection(t *testing.T) {
	n := startNode(t)
	c := n.tcp(t).upgrade()
	c.Write([]byte("\x81\x0f{\"type\":\"ping\"}"))
	if code := c.closeCode(); code != 1002 {
		t.Errorf("closed with %d", code)
	}
	eventually(t, "it is released", func() bool { return n.Stats().Connections == 0 })
}

func TestAResetInTheMiddleOfAFrameReleasesTheConnection(t *testing.T) {
	n := startNode(t, silent)
	u := n.as(t, "ann")
	u.join("r")
	c := n.tcp(t).upgrade()
	const join = `{"type":"join_room","room":"r"}`
	c.Write(append(maskedText(uint64(len(join))), join...))
	if e := u.expect("user_joined"); e.str("user_id") != "raw" {
		t.Fatalf("got %v", e)
	}
	c.Write(append(maskedText(1000), "half a frame"...))
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	if e := u.expect("user_left"); e.str("user_id") != "raw" {
		t.Errorf("got %v", e)
	}
	eventually(t, "it is released", func() bool { return n.Stats().Connections == 1 })
}

func TestAPeerThatVanishedIsReleasedByTheHeartbeat(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { l.PingInterval, l.PongTimeout = 200*time.Millisecond, 200*time.Millisecond }))
	n.tcp(t).upgrade() // open as far as TCP knows, and silent
	n.tcp(t).upgrade().Write(append(maskedText(1000), "half a frame"...))
	eventually(t, "both are released", func() bool { s := n.Stats(); return s.Accepted == 2 && s.Connections+s.Users == 0 })
}

func TestAFloodFromOneClientDoesNotHoldUpTheOthers(t *testing.T) {
	n := startNode(t, silent, withRule("**", func(r *router.RoomRule) { r.Announce = router.AnnounceOff }))
	a, b := n.as(t, "ann"), n.as(t, "bob")
	a.send(`{"type":"join_room","room":"r"}`)
	a.expect("joined")
	b.send(`{"type":"join_room","room":"r"}`)
	b.expect("joined")

	stop := make(chan struct{})
	var flooding sync.WaitGroup
	for i, frame := range []string{
		`{"type":"room_message","room":"flood","content":"` + strings.Repeat("x", 1000) + `"}`,
		`{"type":"ping"}`,
		`{"type":"direct_message","target_user":"nobody","content":1}`,
	} {
		ws, _, err := n.dialRaw(fmt.Sprint("client_id=flood", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		flooding.Add(1)
		go func() { // it never reads
			defer flooding.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if ws.Write(context.Background(), websocket.MessageText, []byte(frame)) != nil {
					return
				}
			}
		}()
	}
	eventually(t, "the flood is on", func() bool { s := n.Stats(); return s.Published["room"] > 100 && s.Commands["ping"] > 100 })
	for i := range 200 { // each round trip through the node and back
		a.send(fmt.Sprintf(`{"type":"room_message","room":"r","content":%d}`, i))
		if e := b.expect("chat"); e["content"] != float64(i) {
			t.Fatalf("got %v", e)
		}
		a.expect("chat")
	}
	close(stop)
	flooding.Wait()
}

func TestAClientThatNeverReadsItsAnswersIsClosed(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { l.Queue = 64 << 10 }))
	ws, _, err := n.dialRaw("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	go func() {
		for ws.Write(context.Background(), websocket.MessageText, []byte(`{"id":"`+strings.Repeat("x", 60)+`","type":"ping"}`)) == nil {
		}
	}()
	eventually(t, "it is closed as a slow consumer", func() bool { return n.Stats().Closed["4100"] == 1 })
	ws.CloseNow()
}

func TestASlowHandshakeIsEndedByTheServersTimeout(t *testing.T) {
	n := startNode(t)
	slow := httptest.NewUnstartedServer(n.Router)
	slow.Config.ReadHeaderTimeout = 300 * time.Millisecond // as the command sets it, from Limits.HandshakeTimeout
	slow.Start()
	defer slow.Close()
	conn, err := net.Dial("tcp", slow.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upg")
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("it is not ended: %v", err)
	}
}

func TestAFloodOfHandshakesIsRefusedAndOthersStillConnect(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { l.HandshakesPerAddr = 1 }),
		func(o *router.Options, _ *router.Generation) { o.TrustedProxies = trustLoopback() })
	ann, _, err := n.dialRaw("client_id=ann", http.Header{"X-Forwarded-For": {"192.0.2.7"}})
	if err != nil {
		t.Fatal(err)
	}
	u := newClient(t, ann)
	u.expect("welcome")
	var flooding sync.WaitGroup
	for range 8 {
		flooding.Add(1)
		go func() {
			defer flooding.Done()
			for range 50 {
				if ws, _, err := n.dialRaw("", http.Header{"X-Forwarded-For": {"192.0.2.66"}}); err == nil {
					ws.CloseNow()
				}
			}
		}()
	}
	for i := range 20 {
		u.quiet()
		ws, _, err := n.dialRaw("", http.Header{"X-Forwarded-For": {fmt.Sprint("192.0.2.", 100+i)}})
		if err != nil {
			t.Fatal(err)
		}
		ws.CloseNow()
	}
	flooding.Wait()
	if got := n.Stats().Refused[router.RefusedRate]; got < 300 {
		t.Errorf("%d of 400 handshakes were refused", got)
	}
	eventually(t, "the node is itself again", func() bool { return n.Stats().Connections == 1 })
}
