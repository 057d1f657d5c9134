package membroker_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice/router"
)

// published is a fault in what is made of a message, or of its receipt.
func published(change func(m *router.Message), receipt func(m *router.Message, r *router.Receipt)) func(router.Broker, context.Context, *router.Message) (router.Receipt, error) {
	return func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		c := *m
		if change != nil {
			change(&c)
		}
		r, err := b.Publish(ctx, &c)
		if receipt != nil && err == nil {
			receipt(m, &r)
		}
		return r, err
	}
}

// paged is a fault in what is asked of a history, or in the page.
func paged(ask func(q *router.HistoryQuery), answer func(q router.HistoryQuery, p *router.HistoryPage)) func(router.Broker, context.Context, string, router.HistoryQuery) (router.HistoryPage, error) {
	return func(b router.Broker, ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
		if q.After != nil {
			after := *q.After
			q.After = &after
		}
		if ask != nil {
			ask(&q)
		}
		p, err := b.History(ctx, room, q)
		if answer != nil && err == nil {
			answer(q, &p)
		}
		return p, err
	}
}

func init() {
	maps.Copy(faults, historyFaults)
	maps.Copy(faults, keyFaults)
}

var historyFaults = map[string]fault{
	"receipts have no position": {group: "History", publish: published(nil, func(_ *router.Message, r *router.Receipt) {
		r.Position = router.Position{}
	})},
	"deliveries have no position": {group: "History", start: changed(func(s router.Sink, m *router.Message) {
		c := *m
		c.Position = router.Position{}
		s.Deliver(&c)
	})},
	"announcements have a position": {group: "History", start: changed(func(s router.Sink, m *router.Message) {
		c := *m
		if c.Offset == 0 {
			c.Position = router.Position{Epoch: "x", Offset: c.Conn}
		}
		s.Deliver(&c)
	})},
	"deliveries of a history have holes": {group: "History", start: changed(func(s router.Sink, m *router.Message) {
		if m.Offset%50 != 49 {
			s.Deliver(m)
		}
	})},
	"everything enters the history": {group: "History", publish: published(func(m *router.Message) {
		if m.Keep.Size == 0 {
			m.Keep = router.Keep{Size: 100, TTL: time.Minute}
		}
	}, nil)},
	"nothing is trimmed": {group: "History", publish: published(func(m *router.Message) {
		if m.Keep.Size > 0 {
			m.Keep.Size += 1000
		}
	}, nil)},
	"one message too few is kept": {group: "History", publish: published(func(m *router.Message) {
		if m.Keep.Size > 1 {
			m.Keep.Size--
		}
	}, nil)},
	"a history never ends": {group: "History", publish: published(func(m *router.Message) { m.Keep.TTL = time.Hour }, nil)},
	"Subscribe begins no history": {group: "History", subscribe: func(b router.Broker, ctx context.Context, t router.Topic, _ router.Keep) (router.Position, error) {
		return b.Subscribe(ctx, t, router.Keep{})
	}},
	"Subscribe tells a position only with a Keep": {group: "History", subscribe: func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
		at, err := b.Subscribe(ctx, t, keep)
		if keep.Size == 0 {
			at = router.Position{}
		}
		return at, err
	}},
	"the position is read before the subscription is made": {group: "History", subscribe: func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
		page, err := b.History(ctx, t.Name, router.HistoryQuery{Limit: 1})
		time.Sleep(5 * time.Millisecond)
		at, err2 := b.Subscribe(ctx, t, keep)
		if page.Newest.Epoch != "" {
			at = page.Newest
		}
		if err2 != nil {
			err = err2
		}
		return at, err
	}},
	"every page is gapless": {group: "History", history: paged(nil, func(_ router.HistoryQuery, p *router.HistoryPage) { p.Gapless = true })},
	"no page is gapless":    {group: "History", history: paged(nil, func(_ router.HistoryQuery, p *router.HistoryPage) { p.Gapless = false })},
	"a page with a message is gapless": {group: "History", history: paged(nil, func(_ router.HistoryQuery, p *router.HistoryPage) {
		p.Gapless = p.Gapless || len(p.Messages) > 0
	})},
	"epochs are not compared": {group: "History", history: func(b router.Broker, ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
		if q.After != nil {
			page, _ := b.History(ctx, room, router.HistoryQuery{Limit: 1})
			q.After = &router.Position{Epoch: page.Newest.Epoch, Offset: q.After.Offset}
		}
		return b.History(ctx, room, q)
	}},
	"After is part of the page": {group: "History", history: paged(func(q *router.HistoryQuery) {
		if q.After != nil && q.After.Offset > 0 {
			q.After.Offset--
		}
	}, nil)},
	"Before is part of the page": {group: "History", history: paged(func(q *router.HistoryQuery) {
		if q.Before > 0 {
			q.Before++
		}
	}, nil)},
	"the newest message comes first": {group: "History", history: paged(nil, func(_ router.HistoryQuery, p *router.HistoryPage) { slices.Reverse(p.Messages) })},
	"no page has more behind it":     {group: "History", history: paged(nil, func(_ router.HistoryQuery, p *router.HistoryPage) { p.More = false })},
	"every full page has more": {group: "History", history: paged(nil, func(q router.HistoryQuery, p *router.HistoryPage) {
		p.More = p.More || len(p.Messages) == q.Limit
	})},
	"MaxBytes is ignored": {group: "History", history: paged(func(q *router.HistoryQuery) { q.MaxBytes = 0 }, nil)},
	"MaxBytes cuts the wrong end": {group: "History", history: func(b router.Broker, ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
		p, err := b.History(ctx, room, q)
		if q.After == nil && q.MaxBytes > 0 && p.More && err == nil {
			q.After = &router.Position{Epoch: p.Newest.Epoch, Offset: 0}
			p, err = b.History(ctx, room, q)
		}
		return p, err
	}},
	"the time is forgotten": {group: "History", history: paged(nil, func(_ router.HistoryQuery, p *router.HistoryPage) {
		for i, m := range p.Messages {
			c := *m
			c.Time = 0
			p.Messages[i] = &c
		}
	})},
	"names in braces share a history": {group: "History", publish: func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		c := *m
		if c.Room == "{a}" {
			c.Room = "a"
		}
		return b.Publish(ctx, &c)
	}},
}

var keyFaults = map[string]fault{
	"keys are ignored": {group: "Keys", publish: published(func(m *router.Message) { m.Key = "" }, nil)},
	"keys are a node's own": {group: "Keys", publish: func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		if m.Key == "" {
			return b.Publish(ctx, m)
		}
		c := *m
		c.Key += fmt.Sprintf("%p", b)
		return b.Publish(ctx, &c)
	}},
	"keys are everybody's": {group: "Keys", publish: published(func(m *router.Message) { m.From = "somebody" }, nil)},
	"keys are cut": {group: "Keys", publish: published(func(m *router.Message) {
		m.Key = m.Key[:min(len(m.Key), 30)]
	}, nil)},
	"a repetition has a receipt of its own": {group: "Keys", publish: published(nil, func(m *router.Message, r *router.Receipt) { r.ID = m.ID })},
	"a repetition does not say so":          {group: "Keys", publish: published(nil, func(_ *router.Message, r *router.Receipt) { r.Repeated = false })},
	"a repetition has no position": {group: "Keys", publish: published(nil, func(_ *router.Message, r *router.Receipt) {
		if r.Repeated {
			r.Position = router.Position{}
		}
	})},
	"a repetition is delivered": {group: "Keys", publish: func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		r, err := b.Publish(ctx, m)
		if r.Repeated {
			c := *m
			c.Key = ""
			b.Publish(ctx, &c)
		}
		return r, err
	}},
	"a key is checked before its message is accepted": {group: "Keys", publish: func() func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		var mu sync.Mutex
		receipts := make(map[string]router.Receipt)
		return func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
			if m.Key == "" {
				return b.Publish(ctx, m)
			}
			id := fmt.Sprint(m.Kind, "\x00", m.Room, "\x00", m.Target, "\x00", m.From, "\x00", m.Key)
			mu.Lock()
			first, ok := receipts[id]
			mu.Unlock()
			if ok {
				first.Repeated = true
				return first, nil
			}
			time.Sleep(time.Millisecond)
			c := *m
			c.Key = ""
			r, err := b.Publish(ctx, &c)
			mu.Lock()
			receipts[id] = r
			mu.Unlock()
			return r, err
		}
	}()},
}
