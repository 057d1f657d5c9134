package router_test

import (
	"bufio"
	"compress/flate"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
)

func compressing(level, minSize int) setup {
	return func(o *router.Options, g *router.Generation) {
		o.AnnounceConnections = router.AnnounceOff
		g.Compression = router.Compression{Level: level, MinSize: minSize}
	}
}

// compressed connects a client of the library that offers compression, and compresses what it
// sends if the node agrees.
func (n *node) compressed(t testing.TB, user string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, n.target("client_id="+user), &websocket.DialOptions{
		CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, ws)
	c.welcome = c.expect("welcome")
	return c
}

// browser is a client that reads the bytes of frames itself, and offers what browsers do.
type browser struct {
	t          testing.TB
	nc         net.Conn
	br         *bufio.Reader
	extensions string // that the node has agreed to
}

func (n *node) browser(t testing.TB, user string) *browser {
	t.Helper()
	nc, err := net.Dial("tcp", n.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(2 * patience))
	_, err = io.WriteString(nc, "GET /ws?client_id="+user+" HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, nc: nc, br: bufio.NewReader(nc)}
	for {
		line, err := b.br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Sec-WebSocket-Extensions") {
			b.extensions = strings.TrimSpace(value)
		}
		if line == "\r\n" {
			return b
		}
	}
}

// send sends one frame; first is FIN, RSV and opcode.
func (b *browser) send(first byte, payload string) {
	b.t.Helper()
	f := []byte{first, 0x80 | 126}
	f = append(binary.BigEndian.AppendUint16(f, uint16(len(payload))), 0, 0, 0, 0) // a mask of zeros
	if _, err := b.nc.Write(append(f, payload...)); err != nil {
		b.t.Fatal(err)
	}
}

// next is the first byte of the next frame, and what it says.
func (b *browser) next() (first byte, payload string) {
	b.t.Helper()
	var h [4]byte
	_, err := io.ReadFull(b.br, h[:2])
	n := int(h[1])
	if err == nil && n == 126 {
		_, err = io.ReadFull(b.br, h[2:4])
		n = int(binary.BigEndian.Uint16(h[2:]))
	}
	p := make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(b.br, p)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if h[0]&0x40 == 0 {
		return h[0], string(p)
	}
	text, err := io.ReadAll(flate.NewReader(strings.NewReader(string(p) + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if err != nil {
		b.t.Fatal(err)
	}
	return h[0], string(text)
}

// until skips frames up to the named event.
func (b *browser) until(name string) (first byte, e event) {
	b.t.Helper()
	for {
		first, text := b.next()
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			b.t.Fatalf("frame %#x: %q: %v", first, text, err)
		}
		if e.name() == name {
			return first, e
		}
	}
}

const longText = "the quick brown fox jumps over the lazy dog, and the lazy dog over the quick brown fox; "

func say(text string) string {
	b, _ := json.Marshal(map[string]string{"type": "room_message", "room": "a", "content": text})
	return string(b)
}

func TestMembersWithAndWithoutCompressionGetTheSameTextAndItIsCompressedOnce(t *testing.T) {
	n := startNode(t, compressing(1, 500))
	plain, library, raw := n.as(t, "plain"), n.compressed(t, "library"), n.browser(t, "raw")
	if !strings.Contains(raw.extensions, "permessage-deflate") || !strings.Contains(raw.extensions, "server_no_context_takeover") || !strings.Contains(raw.extensions, "client_no_context_takeover") {
		t.Fatalf("the node has agreed to %q", raw.extensions)
	}
	var others []*client
	for _, user := range []string{"c", "d", "e"} {
		others = append(others, n.compressed(t, user))
	}
	raw.send(0x81, `{"type":"join_room","room":"a"}`)
	raw.until("joined")
	for _, c := range append(others, plain, library) {
		c.join("a")
	}
	before := n.Stats()
	text := strings.Repeat(longText, 20)
	const messages = 5
	for range messages {
		plain.send(say(text))
		for _, c := range append(others, plain, library) {
			if e := c.until("chat"); e.str("content") != text {
				t.Fatalf("%s got %v", c.welcome.str("user_id"), e)
			}
		}
		if first, e := raw.until("chat"); first != 0xC1 || e.str("content") != text {
			t.Fatalf("a frame %#x with %v", first, e)
		}
	}
	after := n.Stats()
	if got := after.Compressed[router.CompressedSmaller] - before.Compressed[router.CompressedSmaller]; got != messages {
		t.Errorf("%d messages for 5 members were compressed %d times", messages, got)
	}
	in, out := after.CompressionBytes["in"]-before.CompressionBytes["in"], after.CompressionBytes["out"]-before.CompressionBytes["out"]
	if in < messages*uint64(len(text)) || out == 0 || out > in/4 {
		t.Errorf("%d bytes of text were sent as %d", in, out)
	}
	plain.send(say("short"))
	if first, e := raw.until("chat"); first != 0x81 || e.str("content") != "short" {
		t.Errorf("a short message is a frame %#x with %v", first, e)
	}
}

func TestANodeWithoutCompressionAgreesToNoneAndCompressesNothing(t *testing.T) {
	n := startNode(t, compressing(0, 500))
	raw, library := n.browser(t, "raw"), n.compressed(t, "library")
	if raw.extensions != "" {
		t.Fatalf("the node has agreed to %q", raw.extensions)
	}
	library.join("a")
	raw.send(0x81, `{"type":"join_room","room":"a"}`)
	raw.until("joined")
	library.send(say(strings.Repeat(longText, 20)))
	if first, _ := raw.until("chat"); first != 0x81 {
		t.Errorf("a frame %#x", first)
	}
	if st := n.Stats(); st.Compressed[router.CompressedSmaller]+st.Compressed[router.CompressedPlain] != 0 {
		t.Errorf("compressed were %v", st.Compressed)
	}
}

func TestAChangedLevelHoldsForConnectionsMadeFromThenOn(t *testing.T) {
	n := startNode(t, compressing(0, 0))
	old := n.browser(t, "old")
	swap := func(number uint64, level int) {
		g := &router.Generation{Number: number, Limits: router.DefaultLimits(), Compression: router.Compression{Level: level, MinSize: 100}}
		n.Swap(g)
	}
	swap(2, 1)
	fast := n.browser(t, "fast")
	swap(3, 9)
	small := n.browser(t, "small")
	swap(4, 0)
	none := n.browser(t, "none")
	all := []*browser{old, fast, small, none}
	for _, b := range all {
		b.send(0x81, `{"type":"join_room","room":"a"}`)
		b.until("joined")
	}
	before := n.Stats().Compressed[router.CompressedSmaller]
	text := strings.Repeat(longText, 5)
	old.send(0x81, say(text))
	for i, want := range []byte{0x81, 0xC1, 0xC1, 0x81} {
		if first, e := all[i].until("chat"); first != want || e.str("content") != text {
			t.Errorf("connection %d: a frame %#x with %v, want %#x", i, first, e, want)
		}
	}
	if got := n.Stats().Compressed[router.CompressedSmaller] - before; got != 2 {
		t.Errorf("a message at two levels was compressed %d times", got)
	}
}

func TestWhatClientsSendCompressedIsReadAndJudgedAsText(t *testing.T) {
	n := startNode(t, compressing(1, 500))
	sender, receiver := n.compressed(t, "sender"), n.as(t, "receiver")
	sender.join("a")
	receiver.join("a")
	for _, size := range []int{1, 5, 20, 300} {
		text := strings.Repeat(longText, size)
		sender.send(say(text))
		if e := receiver.until("chat"); e.str("content") != text {
			t.Fatalf("%d bytes came as %d", len(text), len(e.str("content")))
		}
	}
	raw := n.browser(t, "raw")
	raw.send(0xC1, "\x00") // an empty message is no command, and no fault of the connection
	if _, e := raw.until("error"); e.str("code") != "bad_request" {
		t.Errorf("an empty message is answered by %v", e)
	}
}

func TestAMessageThatIsTooBigOnceDecompressedEndsTheConnection(t *testing.T) {
	n := startNode(t, compressing(1, 500))
	c := n.compressed(t, "bomb")
	c.send(say(strings.Repeat("a", 2<<20)))
	c.closedWith(1009)
}

func TestACorruptCompressedMessageEndsTheConnectionAndNoOther(t *testing.T) {
	n := startNode(t, compressing(1, 500))
	other := n.compressed(t, "other")
	raw := n.browser(t, "raw")
	raw.send(0xC1, "this is no deflate")
	for first := byte(0); first != 0x88; {
		var p string
		if first, p = raw.next(); first == 0x88 && binary.BigEndian.Uint16([]byte(p)) != 1007 {
			t.Errorf("it is closed with %d, want 1007", binary.BigEndian.Uint16([]byte(p)))
		}
	}
	eventually(t, "it is counted", func() bool {
		s := n.Stats()
		return s.Malformed[router.MalformedCorrupt] == 1 && s.Closed["1007"] == 1
	})
	other.join("a")
	other.send(say(strings.Repeat(longText, 20)))
	other.until("chat")
}
