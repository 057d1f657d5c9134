package membroker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/router"
)

// History implements router.Broker.
func (n *Node) History(ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
	if err := n.usable(ctx); err != nil {
		return router.HistoryPage{}, err
	}
	if q.Limit < 1 {
		return router.HistoryPage{}, fmt.Errorf("membroker: a page of history needs a limit of at least 1, not %d", q.Limit)
	}
	now := time.Now()
	defer n.hub.tidyHistories(now)
	s := n.hub.shardOf(router.Topic{Name: room})
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.historyLocked(n.hub, room, now)
	if r == nil {
		return router.HistoryPage{}, nil
	}
	if q.After != nil {
		return r.after(q), nil
	}
	return r.before(q), nil
}

// after is the page behind a position.
func (r *history) after(q router.HistoryQuery) router.HistoryPage {
	page := router.HistoryPage{Newest: r.position()}
	all, first := r.messages, r.offset+1-uint64(len(r.messages)) // first: offset of all[0]
	from := first
	if q.After.Epoch == r.epoch {
		from = max(first, min(q.After.Offset, r.offset)+1)
		page.Gapless = q.After.Offset <= r.offset && q.After.Offset+1 >= first
	}
	all = all[from-first:]
	count := 0
	for bytes := 0; count < min(q.Limit, len(all)); count++ {
		bytes += pageBytes(all[count])
		if count > 0 && q.MaxBytes > 0 && bytes > q.MaxBytes {
			break
		}
	}
	page.Messages = slices.Clone(all[:count])
	page.More = count < len(all)
	return page
}

// before is the page that ends just before an offset, or with the newest message.
func (r *history) before(q router.HistoryQuery) router.HistoryPage {
	page := router.HistoryPage{Newest: r.position()}
	all, first := r.messages, r.offset+1-uint64(len(r.messages))
	if q.Before > 0 && q.Before <= r.offset {
		all = all[:max(q.Before, first)-first]
	}
	from := len(all)
	for bytes := 0; from > 0 && len(all)-from < q.Limit; from-- {
		bytes += pageBytes(all[from-1])
		if from < len(all) && q.MaxBytes > 0 && bytes > q.MaxBytes {
			break
		}
	}
	page.Messages = slices.Clone(all[from:])
	page.More = from > 0
	return page
}

// pageBytes is what counts against HistoryQuery.MaxBytes.
func pageBytes(m *router.Message) int { return len(m.Content) + len(m.Info) + len(m.From) }
