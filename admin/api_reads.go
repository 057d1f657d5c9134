package admin

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"sluice/router"
	"sluice/router/wire"
)

// defaultLimit is how many users, messages or rooms are answered without limit.
const defaultLimit = 100

// limited is the limit of a page, which sets p if it is not allowed.
func limited(given uint64, p **problem) int {
	if given < 1 || given > wire.MaxLimit {
		*p = badRequest("limit must be 1 to %d", wire.MaxLimit)
	}
	return int(min(given, wire.MaxLimit)) // else it need not fit
}

// presence reads who is in a room.
type presence struct {
	room   string
	limit  uint64
	cursor maybeEmpty
}

func (c *presence) fields() []field {
	c.limit = defaultLimit
	return []field{{"room", &c.room, true}, {"limit", &c.limit, false}, {"cursor", &c.cursor, false}}
}

type occupant struct {
	User        string          `json:"user"`
	Info        json.RawMessage `json:"info,omitempty"`
	Connections int             `json:"connections"`
}

type presencePage struct {
	Room   string     `json:"room"`
	Total  int        `json:"total"`
	Users  []occupant `json:"users"`
	Cursor string     `json:"cursor,omitempty"`
}

func (c *presence) do(ctx context.Context, r *router.Router) (any, *problem) {
	var p *problem
	limit := limited(c.limit, &p)
	if p != nil {
		return nil, p
	}
	page, err := r.Present(ctx, c.room, limit, string(c.cursor))
	if err != nil {
		return nil, problemOf(err)
	}
	answer := &presencePage{c.room, page.Total, make([]occupant, len(page.Users)), page.Cursor}
	for i, u := range page.Users {
		answer.Users[i] = occupant{u.User, rawOrNil(u.Info), u.Connections}
	}
	return answer, nil
}

// history reads what was said in a room.
type history struct {
	room, epoch           string
	offset, before, limit uint64
}

// noBefore stands for a before that was not given.
const noBefore = math.MaxUint64

func (c *history) fields() []field {
	c.limit, c.before = defaultLimit, noBefore
	return []field{{"room", &c.room, true}, {"epoch", &c.epoch, false}, {"offset", &c.offset, false}, {"before", &c.before, false}, {"limit", &c.limit, false}}
}

type said struct {
	Offset    uint64          `json:"offset"`
	MessageID string          `json:"message_id"`
	From      string          `json:"from"`
	Info      json.RawMessage `json:"info,omitempty"`
	Time      int64           `json:"time"` // Unix milliseconds
	Content   json.RawMessage `json:"content"`
}

type historyPage struct {
	Room     string `json:"room"`
	Epoch    string `json:"epoch"`  // of the newest message; "": nothing was said
	Offset   uint64 `json:"offset"` // of the newest message
	Messages []said `json:"messages"`
	Gapless  bool   `json:"gapless"`
	More     bool   `json:"more"`
}

func (c *history) do(ctx context.Context, r *router.Router) (any, *problem) {
	var p *problem
	q := router.HistoryQuery{Limit: limited(c.limit, &p)}
	switch {
	case p != nil:
		return nil, p
	case c.before == 0:
		return nil, badRequest("before must be 1 or more: offsets count from 1")
	case len(c.epoch) > wire.MaxEpoch:
		return nil, badRequest("epoch is longer than %d bytes; pass it as it was answered", wire.MaxEpoch)
	case c.epoch != "":
		q.After = &router.Position{Epoch: c.epoch, Offset: c.offset}
	case c.offset != 0:
		return nil, badRequest("offset wants the epoch that it belongs to; give both, as a message or an answer had them")
	}
	if c.before != noBefore {
		q.Before = c.before
	}
	page, err := r.RoomHistory(ctx, c.room, q)
	if err != nil {
		return nil, problemOf(err)
	}
	answer := &historyPage{c.room, page.Newest.Epoch, page.Newest.Offset, make([]said, len(page.Messages)), page.Gapless, page.More}
	for i, m := range page.Messages {
		answer.Messages[i] = said{m.Offset, m.ID, m.From, rawOrNil(m.Info), m.Time, m.Content}
	}
	return answer, nil
}

// rooms reads the rooms that have members.
type rooms struct {
	limit  uint64
	cursor maybeEmpty
}

func (c *rooms) fields() []field {
	c.limit = defaultLimit
	return []field{{"limit", &c.limit, false}, {"cursor", &c.cursor, false}}
}

type roomsPage struct {
	Rooms  []string `json:"rooms"`
	Cursor string   `json:"cursor,omitempty"`
}

func (c *rooms) do(ctx context.Context, r *router.Router) (any, *problem) {
	var p *problem
	limit := limited(c.limit, &p)
	if p != nil {
		return nil, p
	}
	page, err := r.Rooms(ctx, limit, string(c.cursor))
	if err != nil {
		return nil, problemOf(err)
	}
	return &roomsPage{append([]string{}, page.Rooms...), page.Cursor}, nil
}

// info reads which nodes there are.
type info struct{}

func (c *info) fields() []field { return nil }

type nodeAnswer struct {
	router.NodeInfo
	UptimeSeconds int64 `json:"uptime_seconds"`
}

type infoAnswer struct {
	Node  string       `json:"node"` // which answers
	Nodes []nodeAnswer `json:"nodes"`
}

func (c *info) do(ctx context.Context, r *router.Router) (any, *problem) {
	nodes, err := r.Nodes(ctx)
	if err != nil {
		return nil, problemOf(err)
	}
	answer := &infoAnswer{r.Describe().ID, make([]nodeAnswer, len(nodes))}
	for i, n := range nodes {
		n.Started = n.Started.UTC().Truncate(time.Second)
		answer.Nodes[i] = nodeAnswer{n, max(0, int64(time.Since(n.Started).Seconds()))}
	}
	return answer, nil
}
