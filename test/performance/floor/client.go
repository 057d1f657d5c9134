package main

import (
	"context"
	"encoding/json"
	"net"
	"sync"

	"github.com/coder/websocket"
)

// atOnce is the most that leaves in one write, in bytes.
const atOnce = 32 << 10

// client is one connection.
type client struct {
	// Static after construction.
	id   string
	hub  *hub
	ws   *websocket.Conn
	nc   net.Conn      // beneath ws
	out  *outlet       // inline and shard; it is nc
	wait chan *message // plain and prepared; never closed
}

// deliver gives the client m without waiting.
func (c *client) deliver(m *message) {
	if c.out != nil {
		c.out.send(m.frame)
		return
	}
	select {
	case c.wait <- m:
	default:
		c.nc.Close() // it reads too slowly
	}
}

// serve reads until the connection ends.
func (c *client) serve() {
	done := make(chan struct{})
	defer close(done)
	defer c.ws.CloseNow()
	switch c.hub.Out {
	case "plain":
		c.wait = make(chan *message, c.hub.Queue)
		go c.writePlain(done)
	case "prepared":
		c.wait = make(chan *message, c.hub.Queue)
		go c.writePrepared(done)
	}
	if c.hub.pings != nil {
		defer c.hub.pings.add(c)()
	}
	var joined []*room
	defer func() {
		for _, r := range joined {
			r.leave(c)
		}
	}()
	for {
		_, b, err := c.ws.Read(context.Background())
		if err != nil {
			return
		}
		r, err := c.obey(b)
		if err != nil {
			return
		}
		if r != nil {
			joined = append(joined, r)
		}
	}
}

// obey does what a frame asks for. It returns the room that was joined.
func (c *client) obey(b []byte) (*room, error) {
	var in command
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	switch in.Type {
	case "join_room":
		r := c.hub.room(in.Room)
		r.join(c)
		answer, err := json.Marshal(joinedEvent{"joined", in.Room})
		if err != nil {
			return r, err
		}
		return r, c.ws.Write(context.Background(), websocket.MessageText, answer)
	case "room_message":
		m, err := newMessage(c.id, &in)
		if err != nil {
			return nil, err
		}
		c.hub.publish(c.hub.room(in.Room), m)
	}
	return nil, nil
}

// ping is a heartbeat. Its answer is not awaited: the floor has no deadlines.
func (c *client) ping() {
	if c.out != nil {
		c.out.send(pingFrame)
		return
	}
	_, _ = c.nc.Write(pingFrame)
}

// writePlain writes message by message, by the library.
func (c *client) writePlain(done <-chan struct{}) {
	for {
		select {
		case m := <-c.wait:
			if c.ws.Write(context.Background(), websocket.MessageText, m.payload) != nil {
				c.nc.Close()
				return
			}
		case <-done:
			return
		}
	}
}

// buffers are those in which several frames are put together.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// writePrepared writes what waits, at once.
func (c *client) writePrepared(done <-chan struct{}) {
	for {
		select {
		case m := <-c.wait:
			if c.writeAll(m) != nil {
				c.nc.Close()
				return
			}
		case <-done:
			return
		}
	}
}

func (c *client) writeAll(first *message) error {
	if len(c.wait) == 0 {
		_, err := c.nc.Write(first.frame)
		return err
	}
	p := buffers.Get().(*[]byte)
	b := append((*p)[:0], first.frame...)
	for more := true; more && len(b) < atOnce; {
		select {
		case m := <-c.wait:
			b = append(b, m.frame...)
		default:
			more = false
		}
	}
	_, err := c.nc.Write(b)
	*p = b
	buffers.Put(p)
	return err
}
