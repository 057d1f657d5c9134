package router

import (
	"sync"
	"sync/atomic"

	"sluice/router/socket"
)

const (
	// inlineMost is how many members a group has at most whose deliveries are
	// written by who delivers. In larger ones the engine's writers do that.
	inlineMost = 16

	// A feed is full at this many deliveries or at this many bytes of frames: who
	// delivers waits then.
	feedDeliveries = 256
	feedBytes      = 256 << 10

	keptWaiting = 64 // deliveries that an empty feed has room for at most
)

// delivery is an item on its way to the members of a group.
type delivery struct {
	item   socket.Item
	at     Position // in the room's history
	skips  bool     // at is behind a gap
	except uint64   // the connection that does not get it; 0: none
	tells  string   // the reason of a gap, which is counted for each receiver; "": it is none

	// Set by take.
	before Position // the place of the delivery before it
	seq    uint64   // among the group's deliveries
	feeds  int      // that have yet to pass it on; guarded by group.mu
}

// feeds are how a large group is delivered to: each of the engine's writers has
// a feed of it.
type feeds struct {
	list []*feed // by writer

	// Guarded by group.mu.
	underway int           // deliveries that wait in a feed, or are being passed on
	room     chan struct{} // closed when a full feed is taken from; nil: nobody waits
}

// feed is the deliveries of a group that wait for one writer, which passes
// them on to the members whose sockets it writes to.
type feed struct {
	// Static after construction.
	r      *Router
	group  *group
	all    *feeds
	writer int

	posted atomic.Bool // it is on the writer's list, or being passed on

	// Guarded by group.mu.
	members []*member // like group.list: appended to in place, never overwritten
	waiting []fed
	bytes   int // of their frames
}

// fed is a delivery, and to whom it goes.
type fed struct {
	delivery *delivery
	members  []*member
}

// feedLocked makes the group a large one.
func (g *group) feedLocked(r *Router) {
	fs := &feeds{list: make([]*feed, r.engine.Writers())}
	for i := range fs.list {
		fs.list[i] = &feed{r: r, group: g, all: fs, writer: i}
	}
	g.feeds = fs
	g.dealLocked(g.list)
}

// dealLocked gives the members to the feeds anew.
func (g *group) dealLocked(list []*member) {
	for _, f := range g.feeds.list {
		f.members = nil
	}
	for _, m := range list {
		g.feeds.addLocked(m)
	}
}

func (fs *feeds) addLocked(m *member) {
	f := fs.list[m.conn.sock.Writer()]
	f.members = append(f.members, m)
}

func (fs *feeds) fullLocked() bool {
	for _, f := range fs.list {
		if len(f.waiting) >= feedDeliveries || f.bytes >= feedBytes {
			return true
		}
	}
	return false
}

// roomLocked is closed when a full feed has been taken from.
func (fs *feeds) roomLocked() <-chan struct{} {
	if fs.room == nil {
		fs.room = make(chan struct{})
	}
	return fs.room
}

// putLocked has a delivery wait in all feeds that have members.
func (fs *feeds) putLocked(d *delivery) {
	for _, f := range fs.list {
		if len(f.members) > 0 {
			f.waiting = append(f.waiting, fed{d, f.members})
			f.bytes += len(d.item.Frame.Payload())
			d.feeds++
		}
	}
	if d.feeds > 0 {
		fs.underway++
	}
}

// post sees to it that what waits is passed on.
func (fs *feeds) post() {
	for _, f := range fs.list {
		if f.posted.CompareAndSwap(false, true) {
			f.r.engine.Post(f.writer, f)
		}
	}
}

// batch is what is passed on at once: consecutive deliveries to the same members.
type batch struct {
	deliveries []*delivery
	members    []*member
	run        *socket.Run
	excepts    bool // one of them has an exception
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) free() {
	b.run.Free()
	clear(b.deliveries)
	*b = batch{deliveries: b.deliveries[:0]}
	batches.Put(b)
}

// Do passes on what waits in the feed, or a part of it, on the writer's goroutine.
func (f *feed) Do() {
	b := batches.Get().(*batch)
	b.run = socket.NewRun()
	f.take(b)
	f.r.guard("a delivery", func() { f.r.passOn(b) })
	more := f.settle(b)
	b.free()
	if more { // behind what else the writer has to do
		f.r.engine.Post(f.writer, f)
	}
}

// take moves deliveries from the feed to the batch.
func (f *feed) take(b *batch) {
	g := f.group
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, w := range f.waiting {
		d := w.delivery
		if n > 0 && (len(w.members) != len(b.members) || &w.members[0] != &b.members[0] || d.tells != "" || b.deliveries[0].tells != "") {
			break
		}
		if !b.run.Add(d.item) {
			break
		}
		b.deliveries = append(b.deliveries, d)
		b.members = w.members
		b.excepts = b.excepts || d.except != 0
		f.bytes -= len(d.item.Frame.Payload())
		n++
	}
	rest := copy(f.waiting, f.waiting[n:])
	clear(f.waiting[rest:])
	if f.waiting = f.waiting[:rest]; rest == 0 && cap(f.waiting) > keptWaiting {
		f.waiting = nil
	}
	if f.all.room != nil {
		close(f.all.room)
		f.all.room = nil
	}
}

// settle notes that the batch's deliveries have been passed on, and says
// whether more wait: if not, the feed is not posted any more.
func (f *feed) settle(b *batch) (more bool) {
	g := f.group
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range b.deliveries {
		if d.feeds--; d.feeds == 0 {
			f.all.underway--
			g.giveLocked(d)
		}
	}
	more = len(f.waiting) > 0
	if !more {
		f.posted.Store(false)
	}
	return more
}

// passOn sends the deliveries of a batch to its members.
func (r *Router) passOn(b *batch) {
	if len(b.deliveries) == 0 {
		return
	}
	var t sent
	defer t.settle(r)
	for _, m := range b.members {
		n := 0
		if m.state.Load() == active && !b.spares(m.conn.id) {
			n = b.run.Write(m.conn.sock)
			t.delivered += uint64(n)
			t.receivers += uint64(n)
		}
		for _, d := range b.deliveries[n:] {
			t.pass(m, d, false)
		}
	}
	r.tell(b.deliveries[0], &t)
}

// spares reports whether the connection does not get one of the deliveries.
func (b *batch) spares(conn uint64) bool {
	if b.excepts {
		for _, d := range b.deliveries {
			if d.except == conn {
				return true
			}
		}
	}
	return false
}
