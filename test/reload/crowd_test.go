package reload_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// crowd is connections in rooms of a few members each, who all talk.
type crowd struct {
	// Static after construction.
	checker *checker
	size    int           // members of a room
	pause   time.Duration // between two messages of a member
	members []*member

	silent  chan struct{} // closed: nobody sends any more
	ended   atomic.Bool   // connections may end
	sent    atomic.Int64
	senders sync.WaitGroup
	readers sync.WaitGroup
}

type member struct {
	crowd *crowd
	index int
	room  int
	conn  *websocket.Conn
	from  []heard // owned by read
}

// gather connects and joins everyone. They talk when speak is called.
func gather(t *testing.T, address, prefix string, connections, size, perSecond int, check *checker) *crowd {
	t.Helper()
	c := &crowd{checker: check, size: size, silent: make(chan struct{}),
		pause: time.Second * time.Duration(connections) / time.Duration(perSecond)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for i := range connections {
		conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/ws?client_id=%s%d", address, prefix, i), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		m := &member{crowd: c, index: i, room: i / size, conn: conn, from: make([]heard, size)}
		c.members = append(c.members, m)
		done(t, m.send(ctx, fmt.Sprintf(`{"type":"join_room","room":"%s:%d"}`, prefix, m.room)))
		for frame := []byte(nil); !bytes.Contains(frame, []byte(`"event":"joined"`)); {
			_, frame, err = conn.Read(ctx)
			done(t, err)
		}
	}
	for _, m := range c.members {
		c.readers.Go(m.read)
	}
	t.Cleanup(func() { c.hush(); c.leave() })
	c.speak(prefix)
	return c
}

func (m *member) send(ctx context.Context, frame string) error {
	return m.conn.Write(ctx, websocket.MessageText, []byte(frame))
}

// speak lets everyone talk until hush, one after the other.
func (c *crowd) speak(prefix string) {
	for _, m := range c.members {
		c.senders.Go(func() { m.speak(prefix, c.pause*time.Duration(m.index)/time.Duration(len(c.members))) })
	}
}

func (m *member) speak(prefix string, delay time.Duration) {
	c := m.crowd
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for number := 1; ; number++ {
		select {
		case <-c.silent:
			return
		case <-timer.C:
			timer.Reset(c.pause)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := m.send(ctx, fmt.Sprintf(`{"type":"room_message","room":"%s:%d","id":%d,"content":[%d,%d,%d]}`,
			prefix, m.room, number, m.index, number, time.Since(c.checker.begun).Nanoseconds()))
		cancel()
		if err != nil {
			if !c.ended.Load() {
				c.checker.fault(faultClosed, "connection %d, sending: %v", m.index, err)
			}
			return
		}
		c.sent.Add(1)
	}
}

func (m *member) read() {
	c := m.crowd
	for {
		_, frame, err := m.conn.Read(context.Background())
		if err != nil {
			if !c.ended.Load() {
				c.checker.fault(faultClosed, "connection %d: %v", m.index, err)
			}
			return
		}
		switch {
		case bytes.HasPrefix(frame, []byte(`{"event":"chat"`)):
			c.checker.delivery(frame, m.room, m.from)
		case bytes.HasPrefix(frame, []byte(`{"event":"error"`)):
			c.checker.refused.Add(1)
			if !c.checker.lenient {
				c.checker.fault(faultRefused, "%s", frame)
			}
		}
	}
}

// hush ends the talk.
func (c *crowd) hush() {
	select {
	case <-c.silent:
	default:
		close(c.silent)
	}
	c.senders.Wait()
}

// settle waits until everything that was sent has arrived everywhere, or was
// refused, and reports what has not.
func (c *crowd) settle() {
	k := c.checker
	missing := func() int64 { return (c.sent.Load()-k.refused.Load())*int64(c.size) - k.received.Load() }
	for end := time.Now().Add(patience); missing() > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if n := missing(); n != 0 {
		k.fault(faultLost, "of %d messages, %d deliveries are missing", c.sent.Load(), n)
	}
}

// leave ends the connections.
func (c *crowd) leave() {
	c.ended.Store(true)
	for _, m := range c.members {
		m.conn.CloseNow()
	}
	c.readers.Wait()
}
