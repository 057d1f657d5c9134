package router

import (
	"context"
	"errors"

	"sluice/router/wire"
)

// maxServerPage bounds what the server API answers at once: contents, infos and
// names, in bytes.
const maxServerPage = 1 << 20

// Present reads who is in a room, on all nodes: at most limit users (1 to wire.MaxLimit)
// after the cursor, fewer if their infos are large. The error is a *ServerError.
func (r *Router) Present(ctx context.Context, room string, limit int, cursor string) (PresencePage, error) {
	if ref := checkPage(limit, cursor); ref != nil {
		return PresencePage{}, ref
	}
	if ref := checkName("room", room); ref != nil {
		return PresencePage{}, ref
	}
	if !r.cur.Load().rules.rule(room).Presence {
		return PresencePage{}, refusef(wire.Unsupported, "presence is not kept in this room; set presence: true in its rule under rooms")
	}
	ctx, cancel := r.serverCtx(ctx)
	defer cancel()
	for {
		page, err := r.broker.Present(ctx, room, limit, cursor)
		if err != nil {
			return PresencePage{}, r.unread("presence", cursor, err)
		}
		size := 0
		for _, u := range page.Users {
			size += len(u.User) + len(u.Info)
		}
		if size <= maxServerPage || limit == 1 {
			return page, nil
		}
		// The cursor belongs to the whole page: a shorter one must be asked for.
		limit = max(1, min(limit-1, limit*maxServerPage/size))
	}
}

// RoomHistory reads a part of what was said in a room. HistoryQuery.Limit is 1 to
// wire.MaxLimit; the page is shorter if the contents are large. The error is a *ServerError.
func (r *Router) RoomHistory(ctx context.Context, room string, q HistoryQuery) (HistoryPage, error) {
	if ref := checkPage(q.Limit, ""); ref != nil {
		return HistoryPage{}, ref
	}
	if ref := checkName("room", room); ref != nil {
		return HistoryPage{}, ref
	}
	if q.After != nil && q.Before != 0 {
		return HistoryPage{}, refusef(wire.BadRequest, "ask for what came after a position or before an offset, not for both")
	}
	if r.cur.Load().rules.rule(room).History.Size == 0 {
		return HistoryPage{}, refusef(wire.Unsupported, "this room keeps no history; set history: {size, ttl} in its rule under rooms")
	}
	if q.MaxBytes == 0 || q.MaxBytes > maxServerPage {
		q.MaxBytes = maxServerPage
	}
	ctx, cancel := r.serverCtx(ctx)
	defer cancel()
	page, err := r.broker.History(ctx, room, q)
	if err != nil {
		return HistoryPage{}, r.unread("the history", "", err)
	}
	return page, nil
}

// Rooms are the rooms that have members on some node, sorted: at most limit (1 to
// wire.MaxLimit) after the cursor. The error is a *ServerError.
func (r *Router) Rooms(ctx context.Context, limit int, cursor string) (RoomsPage, error) {
	if ref := checkPage(limit, cursor); ref != nil {
		return RoomsPage{}, ref
	}
	ctx, cancel := r.serverCtx(ctx)
	defer cancel()
	page, err := r.broker.Rooms(ctx, limit, cursor)
	if err != nil {
		return RoomsPage{}, r.unread("the rooms", cursor, err)
	}
	return page, nil
}

// Nodes are the nodes that live, this one included, sorted by ID. The error is a
// *ServerError.
func (r *Router) Nodes(ctx context.Context) ([]NodeInfo, error) {
	ctx, cancel := r.serverCtx(ctx)
	defer cancel()
	nodes, err := r.broker.Nodes(ctx)
	if err != nil {
		return nil, r.unread("the nodes", "", err)
	}
	return nodes, nil
}

// unread is the refusal for what the broker could not read. If it has nothing against
// waiting it was the cursor.
func (r *Router) unread(what, cursor string, err error) *ServerError {
	if cursor != "" && !isTemporary(err) {
		return refusef(wire.BadRequest, "cursor: %v; begin again without one", err)
	}
	r.brokerFailed("reading "+what, err)
	return unavailable(what+" could not be read", err)
}

// isTemporary reports that a failure of the broker passes.
func isTemporary(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrBrokerClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func checkPage(limit int, cursor string) *ServerError {
	if limit < 1 || limit > wire.MaxLimit {
		return refusef(wire.BadRequest, "limit must be 1 to %d", wire.MaxLimit)
	}
	if len(cursor) > wire.MaxCursor {
		return refusef(wire.BadRequest, "cursor is longer than %d bytes; pass it as it was answered", wire.MaxCursor)
	}
	return nil
}
