package brokers

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"sluice/test/program"
)

// client is a WebSocket client that only counts what it gets, so that the load takes little of the
// processors' time from what is measured.
type client struct {
	conn  net.Conn
	in    *bufio.Reader
	room  string
	chats *atomic.Int64
}

// join connects and joins the room.
func join(t testing.TB, address, user, room string, chats *atomic.Int64) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 4096), room: room, chats: chats}
	fmt.Fprintf(conn, "GET /ws?client_id=%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", user, address)
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the node answers %s", answer.Status)
	}
	c.send(t, fmt.Sprintf(`{"type":"join_room","room":%q}`, room))
	conn.SetReadDeadline(time.Now().Add(patience))
	for {
		start, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(start, []byte(`{"event":"joined"`)) {
			break
		}
		if bytes.HasPrefix(start, []byte(`{"event":"error"`)) {
			t.Fatalf("the room %s cannot be joined: %s", room, start)
		}
	}
	conn.SetReadDeadline(time.Time{})
	return c
}

// send writes a text frame, masked with zeroes as a client may (RFC 6455, section 5.3).
func (c *client) send(t testing.TB, text string) {
	frame := []byte{0x81}
	if len(text) < 126 {
		frame = append(frame, 0x80|byte(len(text)))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(len(text)))
	}
	frame = append(append(frame, 0, 0, 0, 0), text...)
	if _, err := c.conn.Write(frame); err != nil {
		t.Error(err)
	}
}

// next reads a frame and returns how it begins, at most 64 bytes.
func (c *client) next() ([]byte, error) {
	var head [10]byte
	if _, err := io.ReadFull(c.in, head[:2]); err != nil {
		return nil, err
	}
	size := int(head[1] & 0x7f)
	switch size {
	case 126:
		if _, err := io.ReadFull(c.in, head[2:4]); err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint16(head[2:4]))
	case 127:
		if _, err := io.ReadFull(c.in, head[2:10]); err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint64(head[2:10]))
	}
	start := make([]byte, min(size, 64))
	if _, err := io.ReadFull(c.in, start); err != nil {
		return nil, err
	}
	_, err := c.in.Discard(size - len(start))
	return start, err
}

// pong answers a ping without a payload.
var pong = []byte{0x8a, 0x80, 0, 0, 0, 0}

// count reads until the connection ends, and answers pings.
func (c *client) count() {
	chat := []byte(`{"event":"chat"`)
	for {
		var head [4]byte
		if _, err := io.ReadFull(c.in, head[:2]); err != nil {
			return
		}
		size := int(head[1] & 0x7f)
		if size == 126 {
			if _, err := io.ReadFull(c.in, head[2:4]); err != nil {
				return
			}
			size = int(binary.BigEndian.Uint16(head[2:4]))
		}
		start, err := c.in.Peek(min(size, len(chat)))
		if err != nil {
			return
		}
		if bytes.Equal(start, chat) {
			c.chats.Add(1)
		} else if head[0] == 0x89 {
			if _, err := c.conn.Write(pong); err != nil {
				return
			}
		}
		if _, err := c.in.Discard(size); err != nil {
			return
		}
	}
}

// crowd is rooms of a number of members each, on one node.
type crowd struct {
	clients []*client
	members int
	chats   atomic.Int64
	next    int
}

func gather(t testing.TB, n *program.Process, rooms, members int) *crowd {
	t.Helper()
	c := &crowd{members: members}
	for i := range rooms * members {
		c.clients = append(c.clients, join(t, n.Clients, fmt.Sprint("u", i), fmt.Sprint("room:", i%rooms), &c.chats))
	}
	for _, m := range c.clients {
		go m.count()
	}
	return c
}

// content makes a message of about 128 bytes on the wire.
const content = "The quick brown fox jumps over the lazy dog, and the dog sleeps."

// talk sends a number of messages at a rate, from one room after the other, and
// returns when all have arrived.
func (c *crowd) talk(t testing.TB, messages, perSecond int) {
	t.Helper()
	want := c.chats.Load() + int64(messages)*int64(c.members)
	begin := time.Now()
	for i := range messages {
		if wait := time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))); wait > 0 {
			time.Sleep(wait)
		}
		m := c.clients[c.next%len(c.clients)]
		c.next++
		m.send(t, fmt.Sprintf(`{"type":"room_message","room":%q,"content":%q}`, m.room, content))
	}
	for end := time.Now().Add(patience); c.chats.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d deliveries are missing", want-c.chats.Load(), int64(messages)*int64(c.members))
		}
	}
}
