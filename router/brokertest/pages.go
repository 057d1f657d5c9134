package brokertest

import (
	"fmt"
	"testing"

	"sluice/router"
)

func historyPages(t *testing.T, c *cluster) {
	n := c.nodes[0]
	const count = 100
	var epoch string
	for range count {
		epoch = n.say("lobby", keep).Epoch
	}
	for _, limit := range []int{1, 2, 31, 32, 33, 99, 100, 101, 5000} {
		// Forward from every start that a page can have.
		for from := uint64(0); ; {
			page := n.page("lobby", router.HistoryQuery{After: &router.Position{Epoch: epoch, Offset: from}, Limit: limit})
			last := min(from+uint64(limit), count)
			if !covers(page, epoch, from+1, last) || page.More != (last < count) || !page.Gapless || page.Newest.Offset != count {
				t.Fatalf("behind %d with limit %d: %s, want %d to %d", from, limit, showPage(page), from+1, last)
			}
			if from = last; !page.More {
				break
			}
		}
		// Backward from the newest.
		for before := uint64(count + 1); ; {
			q := router.HistoryQuery{Before: before, Limit: limit}
			if before > count {
				q.Before = 0
			}
			page := n.page("lobby", q)
			first := uint64(max(1, int(before)-limit))
			if !covers(page, epoch, first, before-1) || page.More != (first > 1) || page.Newest.Offset != count {
				t.Fatalf("before %d with limit %d: %s, want %d to %d", before, limit, showPage(page), first, before-1)
			}
			if before = first; !page.More {
				break
			}
		}
	}
	for _, q := range []router.HistoryQuery{{Before: 1, Limit: 1}, {After: &router.Position{Epoch: epoch, Offset: count}, Limit: 1}} {
		if page := n.page("lobby", q); len(page.Messages) > 0 || page.More || page.Gapless != (q.After != nil) {
			t.Errorf("beyond the end: %s", showPage(page))
		}
	}
	if page := n.page("lobby", router.HistoryQuery{Before: 1 << 63, Limit: 1}); !covers(page, epoch, count, count) {
		t.Errorf("before an offset that is yet to come: %s, want %d", showPage(page), count)
	}
	if page := n.page("lobby", router.HistoryQuery{After: &router.Position{Epoch: epoch, Offset: count + 1}, Limit: 1}); len(page.Messages) > 0 || page.Gapless {
		t.Errorf("behind an offset that is yet to come: %s, want nothing and not gapless", showPage(page))
	}
	if page := n.page("lobby", router.HistoryQuery{After: &router.Position{Epoch: "other", Offset: 50}, Limit: 10}); !covers(page, epoch, 1, 10) || page.Gapless || !page.More {
		t.Errorf("behind a position of another epoch: %s, want 1 to 10 and not gapless", showPage(page))
	}
}

// covers reports that the page has exactly the messages from first to last.
func covers(page router.HistoryPage, epoch string, first, last uint64) bool {
	if uint64(len(page.Messages)) != last+1-first || page.Newest.Epoch != epoch {
		return false
	}
	for i, m := range page.Messages {
		if m.Position != (router.Position{Epoch: epoch, Offset: first + uint64(i)}) {
			return false
		}
	}
	return true
}

func showPage(p router.HistoryPage) string {
	s := fmt.Sprintf("%d messages", len(p.Messages))
	if len(p.Messages) > 0 {
		s += fmt.Sprintf(" from %+v to %+v", p.Messages[0].Position, p.Messages[len(p.Messages)-1].Position)
	}
	return s + fmt.Sprintf(", newest %+v, gapless %t, more %t", p.Newest, p.Gapless, p.More)
}

func historyBytes(t *testing.T, c *cluster) {
	n := c.nodes[0]
	var epoch string
	for range 10 { // 100 bytes each
		m := message(room("lobby"))
		m.Content, m.Info, m.From, m.Keep = fmt.Appendf(nil, `"%048d"`, 0), fmt.Appendf(nil, `"%045d"`, 0), "bob", keep
		n.publish(m)
	}
	epoch = n.page("lobby", router.HistoryQuery{Limit: 1}).Newest.Epoch
	for _, c := range []struct{ bytes, want uint64 }{{1, 1}, {100, 1}, {199, 1}, {200, 2}, {999, 9}, {1000, 10}, {0, 10}} {
		page := n.page("lobby", router.HistoryQuery{After: &router.Position{Epoch: epoch}, Limit: 100, MaxBytes: int(c.bytes)})
		if !covers(page, epoch, 1, c.want) || page.More != (c.want < 10) || !page.Gapless {
			t.Errorf("of %d bytes: %s, want 1 to %d", c.bytes, showPage(page), c.want)
		}
		page = n.page("lobby", router.HistoryQuery{Limit: 100, MaxBytes: int(c.bytes)})
		if !covers(page, epoch, 11-c.want, 10) || page.More != (c.want < 10) {
			t.Errorf("of the newest %d bytes: %s, want %d to 10", c.bytes, showPage(page), 11-c.want)
		}
	}
}
