package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/coder/websocket"
)

// roomsEach is how many rooms a connection of a holder is in.
const roomsEach = 1000

// holder keeps rooms alive with few connections, each of which is in many.
type holder struct {
	conns []*websocket.Conn
	ended sync.WaitGroup // their readers
}

// holdRooms has connections join n rooms, and returns when they are members.
func holdRooms(ctx context.Context, url string, n int) (*holder, error) {
	h := &holder{}
	for from := 0; from < n; from += roomsEach {
		c, _, err := websocket.Dial(ctx, fmt.Sprintf("%s?client_id=holder-%d", url, from), nil)
		if err != nil {
			h.release()
			return nil, err
		}
		h.conns = append(h.conns, c)
		if err := joinAll(ctx, c, from, min(from+roomsEach, n)); err != nil {
			h.release()
			return nil, err
		}
		h.ended.Go(func() {
			for { // nothing is said in these rooms; pings are answered by reading
				if _, _, err := c.Read(context.Background()); err != nil {
					return
				}
			}
		})
	}
	return h, nil
}

// joinAll joins rooms from until below to, with some joins under way at once.
func joinAll(ctx context.Context, c *websocket.Conn, from, to int) error {
	const underWay = 64
	next, joined := from, from
	for joined < to {
		for ; next < to && next-joined < underWay; next++ {
			command := fmt.Appendf(nil, `{"type":"join_room","room":"held:%d"}`, next)
			if err := c.Write(ctx, websocket.MessageText, command); err != nil {
				return err
			}
		}
		_, b, err := c.Read(ctx)
		if err != nil {
			return err
		}
		var e struct{ Event, Reason string }
		if err := json.Unmarshal(b, &e); err != nil {
			return err
		}
		switch e.Event {
		case "joined":
			joined++
		case "error":
			return errors.New(string(bytes.TrimSpace(b)))
		}
	}
	return nil
}

// release ends the connections and waits for that.
func (h *holder) release() {
	for _, c := range h.conns {
		c.CloseNow()
	}
	h.ended.Wait()
}
