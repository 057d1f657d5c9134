package brokertest

import (
	"sync"
	"testing"

	"sluice/router"
)

// seam has a node subscribe again and again amid traffic, and puts together what it
// needs for a client that joins: what was said before from the history, what comes
// from deliveries.
func seam(t *testing.T, c *cluster) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, from := range c.nodes {
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						from.say("lobby", keep)
					}
				}
			})
		}
	}
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	n := c.nodes[1]
	for range 20 {
		before, _ := n.arrived(room("lobby"))
		at := n.subscribeKept("lobby", keep)
		got := n.awaitCount(room("lobby"), len(before)+20)[len(before):]
		// Something of the time before may still have been under way.
		for len(got) > 0 && got[0].Offset <= at.Offset {
			got = got[1:]
		}
		seen := make([]uint64, 0, 1000)
		for from := (router.Position{Epoch: at.Epoch, Offset: at.Offset - min(at.Offset, 30)}); from.Offset < at.Offset; {
			page := n.page("lobby", router.HistoryQuery{After: &from, Limit: 7})
			if !page.Gapless || len(page.Messages) == 0 {
				t.Fatalf("behind %+v: %s", from, showPage(page))
			}
			for _, m := range page.Messages {
				if from = m.Position; m.Offset <= at.Offset {
					seen = append(seen, m.Offset)
				}
			}
		}
		for _, m := range got {
			seen = append(seen, m.Offset)
		}
		for i, offset := range seen {
			if i > 0 && offset != seen[i-1]+1 {
				t.Fatalf("subscribed at %d: behind offset %d came %d", at.Offset, seen[i-1], offset)
			}
		}
		n.Unsubscribe(room("lobby"))
	}
}
