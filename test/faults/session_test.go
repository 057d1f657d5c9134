package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
)

// session is one connection of a client.
type session struct {
	client *client
	conn   *websocket.Conn
	ended  chan struct{} // closed when the reader has ended
}

// close ends the connection, and returns when the reader has.
func (s *session) close() {
	s.conn.CloseNow()
	<-s.ended
	c := s.client
	c.record.Events = append(c.record.Events, Event{At: c.crowd.now(), Kind: Down})
}

// await registers for the answer to a command.
func (s *session) await(id int) <-chan event {
	answer := make(chan event, 1)
	s.client.mu.Lock()
	s.client.waiting[id] = answer
	s.client.mu.Unlock()
	return answer
}

func (s *session) send(ctx context.Context, command map[string]any) bool {
	frame, err := json.Marshal(command)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, frame) == nil
}

// answer waits for an answer; false: the connection ended first.
func (s *session) answer(ctx context.Context, id int, from <-chan event) (event, bool) {
	defer func() {
		s.client.mu.Lock()
		delete(s.client.waiting, id)
		s.client.mu.Unlock()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case e := <-from:
		return e, true
	case <-s.ended:
		select { // the reader may have handed it over just before
		case e := <-from:
			return e, true
		default:
			return event{}, false
		}
	case <-ctx.Done():
		return event{}, false
	case <-timer.C:
		s.client.crowd.failed(fmt.Errorf("client %d has had no answer to command %d for %s", s.client.index, id, patience))
		return event{}, false
	}
}

func (s *session) ask(ctx context.Context, id int, command map[string]any) (event, bool) {
	answer := s.await(id)
	if !s.send(ctx, command) {
		return event{}, false
	}
	return s.answer(ctx, id, answer)
}

// read keeps what comes until the connection ends.
func (s *session) read() {
	defer close(s.ended)
	for {
		_, frame, err := s.conn.Read(context.Background())
		if err != nil {
			var closed websocket.CloseError
			if errors.As(err, &closed) {
				s.client.crowd.closed(int(closed.Code))
			}
			return
		}
		if bytes.HasPrefix(frame, []byte(`{"event":"ping"`)) || bytes.HasPrefix(frame, []byte(`{"event":"welcome"`)) {
			continue
		}
		var e event
		if err := json.Unmarshal(frame, &e); err != nil {
			s.client.crowd.failed(fmt.Errorf("client %d got %.200s: %w", s.client.index, frame, err))
			return
		}
		s.client.note(&e)
	}
}

func (c *client) hand(e *event) {
	c.mu.Lock()
	answer := c.waiting[e.ID]
	delete(c.waiting, e.ID)
	c.mu.Unlock()
	if answer != nil {
		answer <- *e
	}
}
