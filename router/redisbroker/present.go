package redisbroker

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"sluice/router"
	"sluice/router/wire"
)

const (
	presentPage = 500 // users of one answer of Redis

	// sweeps is how often a reader has a script remove dead nodes' entries before
	// it takes what there is: 256 entries each time.
	sweeps = 4096
)

// Present implements router.Broker. The cursor is the last user of the page
// before; users who come and go between pages neither repeat nor hide others. Of a
// user on several nodes the info is that of the node that wrote last.
func (b *Broker) Present(ctx context.Context, room string, limit int, cursor string) (router.PresencePage, error) {
	var page router.PresencePage
	if err := b.usable(ctx); err != nil {
		return page, err
	}
	if limit < 1 {
		return page, fmt.Errorf("redisbroker: a page of presence needs a limit of at least 1, not %d", limit)
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	err := b.presence.read(ctx, room, limit, cursor, &page)
	if err != nil {
		return router.PresencePage{}, b.outcome(err)
	}
	return page, nil
}

func (p *presence) read(ctx context.Context, room string, limit int, cursor string, page *router.PresencePage) error {
	s := p.b.shardOf(router.Topic{Name: room})
	page.Users = make([]router.OccupiedBy, 0, min(limit, 100))
	for {
		n := min(limit-len(page.Users), presentPage)
		users, entries, live, err := p.ask(ctx, s, room, cursor, n+1, page)
		if err != nil {
			return err
		}
		more := len(users) > n
		var scrub []any
		for i, user := range users[:min(n, len(users))] {
			cursor = user.(string)
			o, verdict := p.occupiedBy(cursor, entries[i], live)
			switch verdict {
			case isSound:
				page.Users = append(page.Users, o)
			case isDamaged:
				if o.Connections > 0 {
					page.Users = append(page.Users, o)
				}
				scrub = append(scrub, user, "0")
			case isNobody:
				scrub = append(scrub, user, "1")
			}
		}
		if err := p.scrub(ctx, s, room, scrub, page); err != nil {
			return err
		}
		if !more {
			return nil
		}
		if len(page.Users) >= limit {
			page.Cursor = cursor
			return nil
		}
	}
}

// ask reads users behind the cursor, their entries, and which nodes live. Dead
// nodes' entries are removed before.
func (p *presence) ask(ctx context.Context, s *shard, room, cursor string, n int, page *router.PresencePage) (users, entries []any, live map[string]bool, err error) {
	cleared := false
	for range sweeps {
		reply, err := p.script(ctx, s, room, 0, "page", cursor, n)
		if err != nil && foreign(err) && !cleared {
			cleared = true
			if err = p.remove(ctx, s, room, err); err == nil {
				p.rewrite(room)
				continue
			}
		}
		if err != nil {
			return nil, nil, nil, err
		}
		if len(reply) == 1 {
			continue
		}
		if len(reply) != 5 {
			break
		}
		total, counted := number(reply[1])
		users, entries, ok := pairs(reply[2:4])
		runs, isList := reply[4].([]any)
		if !ok || !counted || !isList {
			break
		}
		live = make(map[string]bool, len(runs))
		for _, r := range runs {
			if run, ok := r.(string); ok {
				live[run] = true
			}
		}
		page.Total = int(total)
		return users, entries, live, nil
	}
	return nil, nil, nil, errReply
}

// rewrite has this node's part of a room written again.
func (p *presence) rewrite(room string) {
	part := p.part(room)
	part.mu.Lock()
	defer part.mu.Unlock()
	if r := part.rooms[room]; r != nil && !part.closed {
		r.compare = true
		r.pushLocked()
	}
}

// scrub removes what no node has written: pairs of a user and "1" if all of his
// is.
func (p *presence) scrub(ctx context.Context, s *shard, room string, users []any, page *router.PresencePage) error {
	if len(users) == 0 {
		return nil
	}
	p.b.counters.add(malformedPresence, len(users)/2)
	reply, err := p.script(ctx, s, room, 0, append([]any{"scrub"}, users...)...)
	if err != nil {
		return err
	}
	if len(reply) == 1 {
		gone, _ := number(reply[0])
		page.Total -= int(gone)
	}
	return nil
}

// Verdicts on a user's entries.
const (
	isSound   = iota
	isDamaged // something cannot be read, or no living node has an entry
	isNobody  // his name is none
)

// occupiedBy adds up a user's entries.
func (p *presence) occupiedBy(user string, value any, live map[string]bool) (o router.OccupiedBy, verdict int) {
	o.User = user
	if wire.CheckName([]byte(user)) != "" {
		return o, isNobody
	}
	rest, _ := value.(string)
	for rest != "" {
		var e entry
		var ok bool
		if e, rest, ok = cutEntry(rest); !ok {
			return o, isDamaged
		}
		if !live[e.run] {
			continue
		}
		o.Connections += e.connections
		o.Info = nil
		switch info := []byte(e.info); {
		case len(info) == 0:
		case wire.CheckJSON(info) == "":
			o.Info = info
		default:
			p.b.count(malformedPresence)
		}
	}
	if o.Connections == 0 {
		return o, isDamaged
	}
	return o, isSound
}

// entry is what one node says of a user in a room.
type entry struct {
	run         string
	connections int
	info        string
}

// cutEntry reads the first entry. presence.lua has the format.
func cutEntry(s string) (e entry, rest string, ok bool) {
	var count, sum, length string
	for _, field := range []*string{&e.run, &count, &sum, &length} {
		if *field, s, ok = strings.Cut(s, " "); !ok {
			return e, "", false
		}
	}
	n, err := strconv.ParseUint(length, 10, 31)
	if err != nil || uint64(len(s)) < n {
		return e, "", false
	}
	connections, err := strconv.ParseUint(count, 10, 31)
	if err != nil || connections == 0 || len(e.run) != 16 {
		return e, "", false
	}
	e.connections, e.info = int(connections), s[:n]
	return e, s[n:], true
}
