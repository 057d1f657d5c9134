package admin

import (
	"context"
	"time"

	"sluice/router"
)

// ordered is the answer for an order that is on its way to the nodes.
type ordered struct {
	OrderID string `json:"order_id"`
}

func order(ctx context.Context, r *router.Router, c router.Control) (any, *problem) {
	id, err := r.Control(ctx, c)
	if err != nil {
		return nil, problemOf(err)
	}
	return &ordered{id}, nil
}

// disconnect closes connections, and may keep their users out for a time.
type disconnect struct {
	user, token, tag string
	until            time.Time
	length           time.Duration
	reason, node     string
}

func (c *disconnect) fields() []field {
	return []field{{"user", &c.user, false}, {"token", &c.token, false}, {"tag", &c.tag, false}, {"until", &c.until, false},
		{"for", &c.length, false}, {"reason", &c.reason, false}, {"node", &c.node, false}}
}

func (c *disconnect) do(ctx context.Context, r *router.Router) (any, *problem) {
	if c.length > 0 {
		if !c.until.IsZero() {
			return nil, badRequest("give until or for, not both")
		}
		c.until = time.Now().Add(c.length)
	}
	return order(ctx, r, router.Control{Do: router.ControlDisconnect, Node: c.node, User: c.user, TokenID: c.token, Tag: c.tag,
		Until: c.until, Reason: c.reason})
}

// unsubscribe takes a user out of a room, or of all.
type unsubscribe struct {
	user, room   string
	all          onlyTrue
	reason, node string
}

func (c *unsubscribe) fields() []field {
	return []field{{"user", &c.user, true}, {"room", &c.room, false}, {"all_rooms", &c.all, false}, {"reason", &c.reason, false}, {"node", &c.node, false}}
}

func (c *unsubscribe) do(ctx context.Context, r *router.Router) (any, *problem) {
	return order(ctx, r, router.Control{Do: router.ControlRemove, Node: c.node, User: c.user, Room: c.room, AllRooms: bool(c.all), Reason: c.reason})
}
