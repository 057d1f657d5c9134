package bench

import (
	"fmt"
	"slices"
	"time"
)

// A closed loop that waits for deliveries that do not come goes on after this.
const stallTime = time.Second

// maxWaiting is what may wait for a publisher's socket before it is given no
// more: a server that does not read is waited for, and the lateness shows it.
const maxWaiting = 1 << 20

// load is the publishing part of a run.
type load struct {
	r          *run
	publishers []*client
	next       int
	start      int64

	// Of a closed loop.
	window       int64 // deliveries that may be outstanding
	lastCount    int64
	lastProgress int64
	lastJudged   int64 // when it was last found out what is not due
}

// load publishes, and measures from the end of the warm-up.
func (r *run) load(res *Result, m *meter) {
	l := &load{r: r, start: r.now()}
	l.choosePublishers()
	if len(l.publishers) == 0 {
		return
	}
	from := l.start + int64(r.o.Warmup)
	to := from + int64(r.o.Duration)
	r.measureFrom, r.measureTo = from, to
	l.lastProgress = l.start
	if r.o.Warmup > 0 {
		r.say(fmt.Sprintf("warming up for %s", r.o.Warmup))
	}
	l.until(from)
	if r.stopped() {
		l.drain()
		return
	}
	r.say(fmt.Sprintf("measuring for %s", r.o.Duration))
	before, published, delivered := m.sample(), r.published, r.delivered
	l.until(to)
	r.measureTo = min(to, r.now())
	after := m.sample()
	res.loaded(r.published-published, r.delivered-delivered, m, before, after)
	l.drain()
	l.unsent(r.measureTo)
}

// unsent counts what was due by then and not sent as late by what it had waited: the
// lateness would otherwise be that of the few messages that went through.
func (l *load) unsent(then int64) {
	r := l.r
	if r.o.Window > 0 || !slices.ContainsFunc(l.publishers, func(c *client) bool { return c.state == member }) {
		return
	}
	for n := r.published; ; n++ {
		due := l.due(n)
		if due >= then {
			return
		}
		r.late.add(then - due)
	}
}

// due is when the schedule has the message after n others.
func (l *load) due(n int64) int64 { return l.start + int64(float64(n)*1e9/l.r.o.Rate) }

// choosePublishers: the first of each room for a fan-out, else everybody.
func (l *load) choosePublishers() {
	l.publishers = l.publishers[:0]
	taken := make(map[*room]bool)
	readers := 0
	for _, c := range l.r.clients {
		if c.state != member || c.slow || l.r.o.Scenario == Fanout && taken[c.room] {
			continue
		}
		taken[c.room] = true
		l.publishers = append(l.publishers, c)
		readers += c.room.readers
	}
	if len(l.publishers) > 0 {
		l.window = int64(l.r.o.Window) * int64(readers) / int64(len(l.publishers))
		l.window = max(l.window, 1)
	}
}

// until publishes until then.
func (l *load) until(then int64) {
	r := l.r
	for !r.stopped() {
		now := r.now()
		if now >= then {
			return
		}
		wait := then - now
		if r.o.Window > 0 {
			l.fill(now)
		} else {
			wait = min(wait, l.keepUp(now, then))
		}
		r.engine.poll(time.Duration(min(wait, int64(tick))))
	}
}

// keepUp publishes what is due by the schedule, and returns the time until more
// is.
func (l *load) keepUp(now, then int64) int64 {
	r := l.r
	for {
		due := l.due(r.published)
		if due > now || due >= then {
			return max(due-r.now(), 0)
		}
		if !l.publish(due) {
			return int64(time.Millisecond) // nobody can, or the socket is full
		}
	}
}

// fill publishes as long as the window has room.
func (l *load) fill(now int64) {
	r := l.r
	if r.delivered != l.lastCount {
		l.lastCount, l.lastProgress = r.delivered, now
	} else if now-l.lastProgress > int64(stallTime) {
		r.abandoned, r.abandonedUntil, l.lastProgress = r.outstanding(), now, now
	}
	if r.doubtful > 0 && now-l.lastJudged > int64(stallTime) {
		r.judgeDoubts()
		l.lastJudged = now
	}
	r.abandoned = min(r.abandoned, r.outstanding()) // some were refused meanwhile
	for r.outstanding()-r.abandoned < l.window && l.publish(0) {
	}
}

// outstanding is how many deliveries are to come still.
func (r *run) outstanding() int64 { return r.expected - r.doubtful - r.delivered }

// publish has the next publisher that can send a message. due is when it should
// have been sent, 0 without a schedule.
func (l *load) publish(due int64) bool {
	r := l.r
	for range len(l.publishers) {
		c := l.publishers[l.next]
		if l.next++; l.next == len(l.publishers) {
			l.next = 0
		}
		if c.state != member {
			continue
		}
		if r.engine.waiting(c) > maxWaiting {
			return false
		}
		r.send(c, due)
		return true
	}
	return false
}

// send publishes a message of a client. It is timed just before it is written.
func (r *run) send(c *client, due int64) {
	c.published++
	now := r.now()
	command := append(r.commandBuf[:0], c.room.command...)
	command = appendMark(command, r.prefix, mark{at: now, n: c.published, publisher: c.index})
	command = append(append(command, r.content.after...), '}')
	r.commandBuf = command
	r.published++
	r.expected += int64(c.room.readers)
	if due > 0 && now >= r.measureFrom {
		r.late.add(now - due)
	}
	c.text(command)
}

// arrived counts a delivery.
func (r *run) arrived(c *client, m mark, now int64) {
	r.arrivals++
	if r.over || c.slow {
		return
	}
	if m.publisher >= len(r.clients) || r.clients[m.publisher].room != c.room || m.n == 0 || m.n > r.clients[m.publisher].published {
		r.misdelivered++
		return
	}
	place := r.clients[m.publisher].place
	for len(c.seen) <= place {
		c.seen = append(c.seen, sequence{})
	}
	switch c.seen[place].saw(m.n) {
	case duplicate:
		r.duplicated++
		return
	case late:
		r.disordered++
	}
	r.delivered++
	if m.at < r.abandonedUntil { // it comes after all
		r.abandoned--
	}
	if m.at >= r.measureFrom && m.at < r.measureTo {
		r.latency.add(now - m.at)
	}
}

// drain waits for the deliveries that are outstanding.
func (l *load) drain() {
	r := l.r
	r.judgeDoubts()
	for end := time.Now().Add(r.o.Drain); r.outstanding() > 0 && time.Now().Before(end); {
		r.engine.poll(min(time.Until(end), tick))
		r.judgeDoubts()
	}
}
