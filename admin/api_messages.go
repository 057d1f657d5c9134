package admin

import (
	"context"
	"encoding/json"

	"sluice/router"
	"sluice/router/wire"
)

// message is what publish, broadcast and direct have in common.
type message struct {
	content json.RawMessage
	from    string
	info    json.RawMessage
	key     string
}

func (m *message) common() []field {
	return []field{{"content", &m.content, true}, {"from", &m.from, false}, {"info", &m.info, false}, {"key", &m.key, false}}
}

// useKey takes the idempotency key of the header.
func (m *message) useKey(header string) *problem {
	switch {
	case header == "":
		return nil
	case m.key != "" && m.key != header:
		return badRequest("key and the header %s differ; send one of them", keyHeader)
	}
	m.key = header
	return nil
}

// defaultKey is the key of a batch's command without one of its own.
func (m *message) defaultKey(key string) {
	if m.key == "" {
		m.key = key
	}
}

func (m *message) server() *router.ServerMessage {
	return &router.ServerMessage{From: m.from, Info: rawOrNil(m.info), Content: m.content, Key: m.key}
}

// published is the answer for a message that was accepted.
type published struct {
	Room      string `json:"room,omitempty"`
	MessageID string `json:"message_id"`
	Offset    uint64 `json:"offset,omitempty"`
	Epoch     string `json:"epoch,omitempty"`
	Repeated  bool   `json:"repeated,omitempty"`
}

func publishedAnswer(p router.Published, err error) (any, *problem) {
	if err != nil {
		return nil, problemOf(err)
	}
	return &published{p.Room, p.ID, p.Offset, p.Epoch, p.Repeated}, nil
}

// publish sends to a room, or to several.
type publish struct {
	message
	room  string
	rooms []string
}

func (c *publish) fields() []field {
	return append([]field{{"room", &c.room, false}, {"rooms", &c.rooms, false}}, c.common()...)
}

func (c *publish) do(ctx context.Context, r *router.Router) (any, *problem) {
	switch {
	case (c.room == "") == (c.rooms == nil):
		return nil, badRequest("name one room with room, or several with rooms")
	case c.rooms == nil:
		return publishedAnswer(r.Publish(ctx, c.room, c.server()))
	case len(c.rooms) == 0:
		return nil, badRequest("rooms is empty; name at least one room")
	case len(c.rooms) > maxRooms:
		return nil, badRequest("rooms has %d names, and %d are allowed; send several requests", len(c.rooms), maxRooms)
	}
	twice := make(map[string]bool, len(c.rooms))
	for _, room := range c.rooms {
		if reason := wire.CheckName([]byte(room)); reason != "" {
			return nil, badRequest("rooms: a room %s", reason)
		}
		if twice[room] {
			return nil, badRequest("rooms names %s twice", quoted(room))
		}
		twice[room] = true
	}
	return c.all(ctx, r), nil
}

// roomResult is what became of one room's copy.
type roomResult struct {
	Room   string   `json:"room"` // as the request named it
	Answer any      `json:"answer,omitempty"`
	Error  *problem `json:"error,omitempty"`
}

type roomResults struct {
	Results []roomResult `json:"results"`
	Failed  int          `json:"failed"`
}

func (c *publish) all(ctx context.Context, r *router.Router) *roomResults {
	all := &roomResults{Results: make([]roomResult, len(c.rooms))}
	for i, result := range r.PublishAll(ctx, c.rooms, c.server()) {
		one := &all.Results[i]
		one.Room = c.rooms[i]
		if one.Answer, one.Error = publishedAnswer(result.Published, result.Err); one.Error != nil {
			all.Failed++
		}
	}
	return all
}

// broadcast sends to everyone.
type broadcast struct{ message }

func (c *broadcast) fields() []field { return c.common() }

func (c *broadcast) do(ctx context.Context, r *router.Router) (any, *problem) {
	return publishedAnswer(r.Broadcast(ctx, c.server()))
}

// direct sends to a user.
type direct struct {
	message
	user string
}

func (c *direct) fields() []field {
	return append([]field{{"user", &c.user, true}}, c.common()...)
}

func (c *direct) do(ctx context.Context, r *router.Router) (any, *problem) {
	return publishedAnswer(r.Direct(ctx, c.user, c.server()))
}
