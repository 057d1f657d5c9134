package redisbroker

import (
	"hash/crc32"
	"slices"
	"strconv"
	"sync"

	"sluice/router"
)

// occupancy holds a part of the rooms in which this node has somebody. Rooms are
// pushed into outboxes under mu, so that close is the last to do it.
type occupancy struct {
	mu     sync.Mutex
	rooms  map[string]*occupied // guarded by mu
	closed bool                 // guarded by mu
	_      [40]byte             // neighbours' locks are on other cache lines
}

// occupied is a room with somebody of this node in it, or whose last one has
// left while Redis does not know of it yet.
type occupied struct {
	// Static after construction.
	name string
	part *occupancy
	box  *outbox

	// Guarded by part.mu.
	users     map[string]*attendee
	unwritten []*attendee // differ from what Redis was last told; oldest first
	sum       int64       // of known, of all users
	uncertain int         // users who are
	queued    bool        // the outbox has the room, or is writing it
	refresh   bool        // the next write says that the node lives
	compare   bool        // next, what Redis has is compared, user by user
	compared  bool        // that has been done since the last refresh
	cleared   bool        // the keys held what no node writes, and were removed
	rebase    bool        // the next write sets the sum that Redis keeps
	drop      bool        // next and last, Redis is told that the node is gone
}

// attendee is a user in a room by this node's connections.
type attendee struct {
	name      string
	seats     []seat // in the order in which they entered
	waiting   []*wait
	known     int64 // check of the entry that Redis has; 0: none
	unwritten bool  // is in the room's list
	uncertain bool  // Redis may have the entry of known, or a later one
}

// state is what Redis is told of the user: the info is that of the connection
// that entered last.
func (u *attendee) state() (connections int, info []byte) {
	n := len(u.seats)
	if n > 0 {
		info = u.seats[n-1].info
	}
	return n, info
}

// seat is one connection in a room.
type seat struct {
	conn uint64
	info []byte
}

// wait is a change that waits to be written.
type wait struct {
	done      chan struct{} // closed once it is, or cannot be for now
	elsewhere bool          // another node had the user in the room; valid once done is closed
}

// changeLocked notes a change. w is nil if there is none.
func (o *occupancy) changeLocked(p *presence, room string, who router.Occupant, enters bool) (r *occupied, edge bool, w *wait) {
	r = o.rooms[room]
	if r == nil {
		if !enters {
			return nil, false, nil
		}
		r = &occupied{name: room, part: o, box: p.boxOf(room), users: make(map[string]*attendee)}
		o.rooms[room] = r
	}
	u := r.users[who.User]
	at := -1
	if u != nil {
		at = slices.IndexFunc(u.seats, func(s seat) bool { return s.conn == who.Conn })
	}
	if !enters {
		if at < 0 {
			return r, false, nil
		}
		u.seats = slices.Delete(u.seats, at, at+1)
		return r, len(u.seats) == 0, r.changedLocked(u)
	}
	if u == nil {
		u = &attendee{name: who.User}
		r.users[who.User] = u
	}
	if at >= 0 {
		u.seats[at].info = who.Info
		return r, false, r.changedLocked(u)
	}
	u.seats = append(u.seats, seat{who.Conn, who.Info})
	return r, len(u.seats) == 1, r.changedLocked(u)
}

// changedLocked returns what is told when the user's state has been written.
func (r *occupied) changedLocked(u *attendee) *wait {
	r.markLocked(u)
	w := &wait{done: make(chan struct{})}
	u.waiting = append(u.waiting, w)
	return w
}

// markLocked has the user's state written.
func (r *occupied) markLocked(u *attendee) {
	if !u.unwritten {
		u.unwritten = true
		r.unwritten = append(r.unwritten, u)
	}
}

// pushLocked has the room written.
func (r *occupied) pushLocked() {
	if !r.queued {
		r.queued = true
		r.box.push(r)
	}
}

// settleLocked is called when a write has ended. It reports that there is more to
// write; else it forgets the room if nobody is in it.
func (r *occupied) settleLocked(later bool) (more bool) {
	if !later && (len(r.unwritten) > 0 || r.refresh || r.compare || r.drop) {
		return true
	}
	r.queued = false
	if len(r.users) == 0 && r.part.rooms[r.name] == r {
		delete(r.part.rooms, r.name)
	}
	return false
}

// release ends the wait of all whose changes are not being written.
func (r *occupied) release() {
	r.part.mu.Lock()
	waiting := r.releaseLocked()
	r.part.mu.Unlock()
	tell(waiting)
}

func (r *occupied) releaseLocked() []*wait {
	var all []*wait
	for _, u := range r.unwritten {
		all = append(all, u.waiting...)
		u.waiting = nil
	}
	return all
}

// tell ends the wait.
func tell(all []*wait) {
	for _, w := range all {
		close(w.done)
	}
}

// refresh refreshes the part's rooms whose outbox is one of these.
func (o *occupancy) refresh(these func(*outbox) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	for _, r := range o.rooms {
		if these(r.box) {
			r.refresh, r.compared = true, false
			r.pushLocked()
		}
	}
}

// close ends all changes, and drops the rooms.
func (o *occupancy) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, r := range o.rooms {
		r.drop = true
		r.pushLocked()
	}
}

// check sums up an entry; it is never 0. It is how a node notices that Redis has
// something else of it: the sums of all checks differ.
func check(user string, connections int, info []byte) int64 {
	if connections == 0 {
		return 0
	}
	b := make([]byte, 0, 64+len(user))
	b = strconv.AppendInt(b, int64(connections), 10)
	b = append(b, ' ')
	b = append(b, user...)
	b = append(b, 0)
	return int64(crc32.Update(crc32.ChecksumIEEE(b), crc32.IEEETable, info))<<1 | 1
}
