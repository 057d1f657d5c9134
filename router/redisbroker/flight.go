package redisbroker

import (
	"context"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

const (
	flightUsers = 64       // in one write of a room
	flightBytes = 64 << 10 // of their infos, at most, but for one user's
	ownPage     = 500      // users that are compared with one answer
)

// flight is one write of one room.
type flight struct {
	users           []passenger
	args            []any
	bytes           int
	refresh, rebase bool // the room's marks
}

// passenger is a user's state that is being written.
type passenger struct {
	u           *attendee
	connections int
	info        []byte
	check       int64
	waiting     []*wait
}

// fly makes one write of a room, or compares it. later reports that the rest can
// wait until the next refresh.
func (p *presence) fly(r *occupied) (later bool, err error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.b.options.Timeout)
	defer cancel()
	r.part.mu.Lock()
	drop, compare := r.drop, r.compare
	var f *flight
	if !drop && !compare {
		f = r.loadLocked(p)
	}
	r.part.mu.Unlock()

	switch {
	case drop:
		return true, p.drop(ctx, r)
	case compare:
		err = p.compare(ctx, r)
	default:
		err = p.write(ctx, r, f)
	}
	switch {
	case err == nil:
		return false, nil
	case redis.HasErrorPrefix(err, "OOM"):
		// Refreshes are written all the same, and what is missing with the next of them.
		p.b.count(presenceFailed)
		return true, nil
	case foreign(err):
		return false, p.clear(ctx, r, err)
	}
	return false, err
}

// loadLocked takes users who are to be written, and the room's marks.
func (r *occupied) loadLocked(p *presence) *flight {
	f := &flight{args: make([]any, 5, 5+4*min(len(r.unwritten), flightUsers))}
	base, refresh := "", "0"
	if f.rebase = r.rebase; f.rebase {
		base = strconv.FormatInt(r.sum, 10)
	}
	if f.refresh = r.refresh; f.refresh {
		refresh = "1"
	}
	r.rebase, r.refresh = false, false
	copy(f.args, []any{"put", p.run, millis(p.b.options.PresenceTTL), base, refresh})
	n := 0
	for n < len(r.unwritten) && n < flightUsers && f.bytes < flightBytes {
		u := r.unwritten[n]
		n++
		w := passenger{u: u, waiting: u.waiting}
		w.connections, w.info = u.state()
		w.check = check(u.name, w.connections, w.info)
		f.bytes += 32 + len(u.name) + len(w.info)
		f.users = append(f.users, w)
		u.waiting, u.unwritten = nil, false
		if !u.uncertain {
			u.uncertain = true
			r.uncertain++
		}
	}
	if r.unwritten = slices.Delete(r.unwritten, 0, n); len(r.unwritten) == 0 {
		r.unwritten = nil
	}
	// Who leaves goes first: that needs no memory.
	slices.SortStableFunc(f.users, func(a, b passenger) int { return min(a.connections, 1) - min(b.connections, 1) })
	for _, w := range f.users {
		f.args = append(f.args, w.u.name, w.connections, w.check, w.info)
	}
	return f
}

// write sends a flight, and tells who waits for it.
func (p *presence) write(ctx context.Context, r *occupied, f *flight) error {
	reply, err := p.script(ctx, r.box.s, r.name, f.bytes, f.args...)
	var sum, malformed int64
	var elsewhere string
	if err == nil {
		var ok [3]bool
		if len(reply) == 3 {
			sum, ok[0] = number(reply[0])
			malformed, ok[1] = number(reply[1])
			elsewhere, ok[2] = reply[2].(string)
		}
		if ok != [3]bool{true, true, true} || len(elsewhere) != len(f.users) {
			err = errReply
		}
	}
	p.b.counters.add(malformedPresence, int(malformed))

	r.part.mu.Lock()
	if err != nil {
		for _, w := range f.users {
			r.markLocked(w.u)
		}
		r.refresh = r.refresh || f.refresh
		r.rebase = r.rebase || f.rebase
	} else {
		r.landLocked(f, sum)
	}
	r.part.mu.Unlock()
	for i, w := range f.users {
		for _, c := range w.waiting {
			c.elsewhere = err == nil && elsewhere[i] == '1'
		}
		tell(w.waiting)
	}
	return err
}

// landLocked notes what Redis has now.
func (r *occupied) landLocked(f *flight, sum int64) {
	r.cleared = false
	for _, w := range f.users {
		u := w.u
		u.uncertain = false
		r.uncertain--
		r.sum += w.check - u.known
		u.known = w.check
		if len(u.seats) == 0 && !u.unwritten {
			delete(r.users, u.name)
		}
	}
	if r.uncertain == 0 && sum != r.sum && !r.compared {
		r.compare, r.compared = true, true
	}
}

// compare finds out of which users Redis has what, and has those written that
// differ.
func (p *presence) compare(ctx context.Context, r *occupied) error {
	found := make(map[string]int64)
	for cursor := ""; ; {
		reply, err := p.script(ctx, r.box.s, r.name, 0, "own", p.run, cursor, ownPage)
		if err != nil {
			return err
		}
		users, checks, ok := pairs(reply)
		if !ok {
			return errReply
		}
		for i, user := range users {
			n, _ := number(checks[i])
			found[user.(string)] = n
		}
		if len(users) < ownPage {
			break
		}
		cursor = users[len(users)-1].(string)
	}

	r.part.mu.Lock()
	defer r.part.mu.Unlock()
	r.compare = false
	r.sum, r.uncertain, r.rebase, r.refresh = 0, 0, true, true
	rewritten := 0
	for name, u := range r.users {
		u.known, u.uncertain = found[name], false
		delete(found, name)
		r.sum += u.known
		if connections, info := u.state(); check(name, connections, info) != u.known {
			r.markLocked(u)
			rewritten++
		}
	}
	for name, known := range found { // Redis says so, and this node does not
		u := &attendee{name: name, known: known}
		r.users[name] = u
		r.sum += known
		r.markLocked(u)
		rewritten++
	}
	p.b.counters.add(presenceRewritten, rewritten)
	return nil
}

// pairs reads two lists of equal length.
func pairs(reply []any) (a, b []any, ok bool) {
	if len(reply) != 2 {
		return nil, nil, false
	}
	a, ok = reply[0].([]any)
	b, both := reply[1].([]any)
	if !ok || !both || len(a) != len(b) {
		return nil, nil, false
	}
	for i := range a {
		if _, ok := a[i].(string); !ok {
			return nil, nil, false
		}
	}
	return a, b, true
}

// drop tells Redis that this node is gone, and forgets the room.
func (p *presence) drop(ctx context.Context, r *occupied) error {
	_, err := p.script(ctx, r.box.s, r.name, 0, "drop", p.run)
	r.part.mu.Lock()
	waiting := r.releaseLocked()
	r.users, r.unwritten, r.drop = nil, nil, false
	r.part.mu.Unlock()
	tell(waiting)
	return err
}

// foreign reports that a script failed at a key of another type, which no node
// has written.
func foreign(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// clear removes a room's keys, which hold what no node wrote, and has this node's
// part written again; other nodes do that with their next refresh. If it did not
// help it is the error.
func (p *presence) clear(ctx context.Context, r *occupied, cause error) error {
	r.part.mu.Lock()
	before := r.cleared
	r.cleared, r.compare = true, true
	r.part.mu.Unlock()
	if before {
		return cause
	}
	return p.remove(ctx, r.box.s, r.name, cause)
}

// remove removes the keys of a room's presence.
func (p *presence) remove(ctx context.Context, s *shard, room string, cause error) error {
	p.b.count(malformedPresence)
	p.b.log.Warn("the presence of a room was not what nodes write, and has been removed; they write it again", "redis", s.name, "room", room, "error", cause)
	args := []any{"unlink"}
	for _, k := range s.keys.presence(room) {
		args = append(args, k)
	}
	return s.reads.do(ctx, redis.NewIntCmd(ctx, args...), 0)
}
