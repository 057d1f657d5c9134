package membroker

import (
	"context"
	"fmt"
	"slices"

	"sluice/router"
)

// Rooms implements router.Broker. The cursor is the last room of the page
// before. A page costs a walk over all topics, and memory for itself alone.
func (n *Node) Rooms(ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
	if err := n.usable(ctx); err != nil {
		return router.RoomsPage{}, err
	}
	if limit < 1 {
		return router.RoomsPage{}, fmt.Errorf("membroker: a page of rooms needs a limit of at least 1, not %d", limit)
	}
	// The first limit+1 names behind the cursor, found by dropping the larger ones
	// of what has gathered whenever that is twice as many.
	keep := min(limit, 1<<30) + 1
	var names []string
	prune := func() {
		slices.Sort(names)
		names = names[:min(len(names), keep)]
	}
	for i := range n.hub.shards {
		names = n.hub.shards[i].roomsAfter(names, cursor)
		if len(names) >= 2*keep {
			prune()
		}
	}
	prune()
	var page router.RoomsPage
	if len(names) == keep {
		names = names[:keep-1]
		page.Cursor = names[keep-2]
	}
	page.Rooms = slices.Clone(names)
	return page, nil
}

// roomsAfter appends the shard's rooms behind the cursor that some node is
// subscribed to, in no order.
func (s *shard) roomsAfter(names []string, cursor string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, t := range s.topics {
		if !name.User && len(t.nodes) > 0 && name.Name > cursor {
			names = append(names, name.Name)
		}
	}
	return names
}
