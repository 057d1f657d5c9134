package redisbroker

import (
	"strings"

	"sluice/router"
)

// sequence is how far a topic's deliveries are. It belongs to the topic's worker.
//
// A room with a history has a position, that of the last delivery. A message that
// does not follow it, and any interruption, starts a catch-up: the history is read
// by another goroutine, and what comes meanwhile is held. Everything else passes
// as it comes.
type sequence struct {
	position router.Position // epoch "": not known
	catchUp  *catchUp        // nil: messages pass
	reads    uint64          // asked for; only the answer to the last counts
	keep     router.Keep     // what the last subscriber who said so has kept of the room
}

// What is held during a catch-up at most; beyond it the history is read again.
const (
	heldMessages = 256
	heldBytes    = 256 << 10
)

// barren is how many reads that bring nothing are made for a message that
// should be there, before it is given up.
const barren = 2

// catchUp is what is held of a topic until its history has been read.
type catchUp struct {
	start  *start // waits for where the topic begins; nil: it has begun
	held   []*router.Message
	bytes  int
	again  bool // something was missed since the last read was asked for
	unkept bool // something that is in no history was dropped
	barren int  // reads in a row that brought nothing
	begun  int  // attempts to begin an epoch, where there is none
}

// open begins a topic, which is subscribed from now on, behind the newest of its
// history if there is one.
func (w *worker) open(t *topic, st *start) {
	q := &t.sequence
	known := q.position.Epoch != ""
	*q = sequence{reads: q.reads, keep: q.keep}
	if st != nil {
		q.keep = st.keep
	}
	t.positioned.Store(false)
	if st == nil || !isRoom(t) || st.keep.Size <= 0 && !known {
		w.subs.finish(t, st, router.Position{}, nil)
		return
	}
	q.catchUp = &catchUp{start: st}
	w.ask(t, &read{newest: true, keep: st.keep})
}

func isRoom(t *topic) bool { return !t.User && t.Name != "" }

// locate tells a further subscriber where the topic is.
func (w *worker) locate(t *topic, st *start) {
	q := &t.sequence
	if st.keep.Size > 0 {
		q.keep = st.keep
	}
	if q.position.Epoch != "" || !isRoom(t) || st.keep.Size <= 0 {
		w.subs.finish(t, st, q.position, nil)
		return
	}
	w.subs.fetches.ask(&read{topic: t, newest: true, keep: st.keep, located: st})
}

// makeUp is called when messages may have been missed.
func (w *worker) makeUp(t *topic, marks uint32) {
	if t.refs.Load() == 0 {
		return
	}
	q := &t.sequence
	switch {
	case q.catchUp != nil:
		q.catchUp.again = true
		q.catchUp.unkept = q.catchUp.unkept || marks&missedUnkept != 0
	case q.position.Epoch == "":
		w.gap(t, router.Position{})
	default:
		w.catchUp(t, &catchUp{unkept: marks&missedUnkept != 0})
	}
}

func (w *worker) catchUp(t *topic, c *catchUp) {
	t.sequence.catchUp = c
	w.ask(t, &read{after: t.sequence.position})
}

// ask has the history read. The answer comes as an item.
func (w *worker) ask(t *topic, r *read) {
	t.sequence.reads++
	r.topic, r.number = t, t.sequence.reads
	w.subs.fetches.ask(r)
}

// sequence delivers a message in its place.
func (w *worker) sequence(t *topic, m *router.Message) {
	q := &t.sequence
	if q.catchUp != nil {
		q.catchUp.hold(m)
		return
	}
	if !w.pass(t, m) {
		c := &catchUp{}
		c.hold(m)
		w.catchUp(t, c)
	}
}

// hold keeps a message. Beyond the bound everything held is dropped: what has an
// offset is in the history.
func (c *catchUp) hold(m *router.Message) {
	c.held = append(c.held, m)
	c.bytes += len(m.Content) + len(m.Info)
	if len(c.held) <= heldMessages && c.bytes <= heldBytes {
		return
	}
	for _, m := range c.held {
		c.unkept = c.unkept || m.Offset == 0
	}
	clear(c.held)
	c.held, c.bytes, c.again = c.held[:0], 0, true
}

// pass delivers a message if it is the next one, or has no offset, or drops it if
// it has been delivered; false: the history has to be read first. So it is for the
// first message that has an offset: anyone can publish in Redis, and a forged offset
// must not silence the room.
func (w *worker) pass(t *topic, m *router.Message) bool {
	q := &t.sequence
	switch {
	case m.Offset == 0:
	case q.position.Epoch == "":
		w.place(t, router.Position{Epoch: m.Epoch, Offset: m.Offset - 1})
		return false
	case m.Epoch != q.position.Epoch || m.Offset > q.position.Offset+1:
		return false
	case m.Offset <= q.position.Offset:
		w.subs.b.count(duplicateDropped)
		return true
	default:
		q.position.Offset = m.Offset
	}
	w.deliver(t, m)
	return true
}

// place sets where the topic is.
func (w *worker) place(t *topic, p router.Position) {
	q := &t.sequence
	if q.position.Epoch != p.Epoch {
		q.position.Epoch = strings.Clone(p.Epoch) // which may be a piece of a message
	}
	q.position.Offset = p.Offset
	t.positioned.Store(p.Epoch != "")
}

// apply goes on with what was read.
func (w *worker) apply(t *topic, r *read) {
	q := &t.sequence
	if r.located != nil {
		p := r.position
		if q.position.Epoch != "" {
			p = q.position
		}
		w.subs.finish(t, r.located, p, r.err)
		return
	}
	c := q.catchUp
	if c == nil || r.number != q.reads {
		return // the topic has begun anew since
	}
	switch {
	case r.newest && c.start == nil:
		w.restart(t, c, r)
	case r.newest:
		w.begin(t, c, r)
	case r.err != nil:
		w.giveUp(t, c)
	default:
		w.fill(t, c, r)
	}
}

// begin goes on behind the newest message.
func (w *worker) begin(t *topic, c *catchUp, r *read) {
	st := c.start
	c.start = nil
	if r.err == nil && r.position.Epoch != "" {
		w.place(t, r.position)
		w.subs.finish(t, st, t.sequence.position, nil)
		w.settle(t, c)
		return
	}
	w.subs.finish(t, st, router.Position{}, r.err)
	if c.again {
		w.gap(t, router.Position{})
	}
	t.sequence.catchUp = nil
	for _, m := range c.held {
		w.sequence(t, m)
	}
}

// giveUp goes on without the history.
func (w *worker) giveUp(t *topic, c *catchUp) {
	t.sequence.catchUp = nil
	if t.refs.Load() == 0 {
		return // the position stays, for whoever subscribes again
	}
	w.place(t, router.Position{})
	w.gap(t, router.Position{})
	for _, m := range c.held {
		w.deliver(t, m)
	}
}

// fill delivers a page of the history.
func (w *worker) fill(t *topic, c *catchUp, r *read) {
	q, page := &t.sequence, &r.page
	if page.Newest.Epoch != q.position.Epoch {
		if page.Newest.Epoch == "" && w.beginAnew(t, c) {
			return
		}
		w.renew(t, c, page.Newest)
		return
	}
	before := q.position
	if !page.Gapless && !w.bridge(t, c, page) {
		next := page.Newest
		if len(page.Messages) > 0 {
			next = page.Messages[0].Position
			next.Offset--
		}
		w.place(t, next)
		w.gap(t, next)
	}
	filled := 0
	for _, m := range page.Messages {
		if m.Epoch == q.position.Epoch && m.Offset <= q.position.Offset {
			continue
		}
		if m.Epoch != q.position.Epoch || m.Offset != q.position.Offset+1 {
			w.place(t, router.Position{Epoch: m.Epoch, Offset: m.Offset - 1})
			w.gap(t, q.position)
		}
		q.position.Offset = m.Offset
		w.deliver(t, m)
		filled++
	}
	w.subs.b.counters.add(holeFilled, filled)
	if !page.More && page.Newest.Epoch == q.position.Epoch && page.Newest.Offset > q.position.Offset {
		w.place(t, page.Newest) // the history's last messages could not be read
		w.gap(t, q.position)
	}
	if q.position != before {
		c.barren = 0
	} else {
		c.barren++
	}
	if page.More && q.position != before {
		w.catchUp(t, c)
		return
	}
	w.settle(t, c)
}

// bridge delivers what was held from the position on: the history may have dropped
// it already. It reports whether that reaches the page, or the newest message.
func (w *worker) bridge(t *topic, c *catchUp, page *router.HistoryPage) bool {
	q := &t.sequence
	before := q.position
	for len(c.held) > 0 {
		m := c.held[0]
		if m.Offset != 0 && (m.Epoch != q.position.Epoch || m.Offset != q.position.Offset+1 || m.Offset > page.Newest.Offset) {
			break
		}
		w.pass(t, m)
		c.drop()
	}
	switch {
	case q.position == before:
		return false
	case len(page.Messages) > 0:
		return page.Messages[0].Offset <= q.position.Offset+1
	}
	return q.position == page.Newest
}

// drop forgets the first of what is held.
func (c *catchUp) drop() {
	c.bytes -= len(c.held[0].Content) + len(c.held[0].Info)
	c.held[0] = nil
	c.held = c.held[1:]
}

// mostBegun is how often an epoch is begun where Redis does not take it.
const mostBegun = 3

// beginAnew begins an epoch, for the room's history is gone altogether and its
// members are to know where they go on; false: it cannot be begun.
func (w *worker) beginAnew(t *topic, c *catchUp) bool {
	if c.begun++; t.sequence.keep.Size <= 0 || c.begun > mostBegun {
		return false
	}
	w.ask(t, &read{newest: true, keep: t.sequence.keep})
	return true
}

// restart goes on in the epoch that beginAnew has begun.
func (w *worker) restart(t *topic, c *catchUp, r *read) {
	if r.err != nil || r.position.Epoch == "" {
		w.catchUp(t, c) // which waits while Redis is away
		return
	}
	w.renew(t, c, r.position)
}

// renew goes on in another epoch. Its history may hold what was delivered in the
// one before, under the same offsets, for they go on where the epoch ends with the
// Redis that began it. So what has an offset up to the last delivered one is
// skipped, unless it was received: the gap tells of it.
func (w *worker) renew(t *topic, c *catchUp, newest router.Position) {
	w.subs.b.count(epochChanged)
	next := newest
	if newest.Epoch == "" {
		c.barren++
	} else {
		c.barren = 0
		next.Offset = min(next.Offset, t.sequence.position.Offset)
	}
	for _, m := range c.held {
		if m.Offset > 0 && m.Epoch == newest.Epoch {
			next.Offset = min(next.Offset, m.Offset-1)
			break
		}
	}
	w.place(t, next)
	w.gap(t, next)
	if next != newest {
		w.catchUp(t, c)
		return
	}
	w.settle(t, c)
}

// settle delivers what was held, and ends the catch-up unless something is
// missing still.
func (w *worker) settle(t *topic, c *catchUp) {
	q := &t.sequence
	if c.again {
		c.again = false
		w.catchUp(t, c)
		return
	}
	if c.unkept {
		c.unkept = false
		w.gap(t, router.Position{})
	}
	for len(c.held) > 0 {
		m := c.held[0]
		if !w.pass(t, m) {
			if c.barren < barren {
				w.catchUp(t, c)
				return
			}
			c.barren = 0
			w.surrender(t, m)
		}
		c.drop()
	}
	q.catchUp = nil
}

// surrender ends the wait for a message's place. The history, read after the
// message had come, does not know it: the message is forged, or late, or of a Redis
// that has failed since. It is dropped, and the node is told; but where there is no
// history at all it is delivered like one without an offset.
func (w *worker) surrender(t *topic, m *router.Message) {
	p := t.sequence.position
	if m.Epoch == p.Epoch && m.Offset == p.Offset+1 {
		w.place(t, router.Position{})
		w.deliver(t, m)
		return
	}
	w.subs.b.count(malformedHeader)
	w.gap(t, router.Position{})
}
