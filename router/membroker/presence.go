package membroker

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"sluice/router"
)

// presenceShard holds who is in a part of the rooms.
type presenceShard struct {
	mu    sync.Mutex
	rooms map[string]*users // guarded by mu
	peak  int               // guarded by mu: the most rooms this map held
	_     [64]byte          // neighbours' locks are on other cache lines
}

// user is one user in a room.
type user struct {
	name        string
	connections []connection // in the order in which they entered; never empty
}

type connection struct {
	node *Node
	id   uint64
	info []byte
}

func (u *user) find(n *Node, id uint64) int {
	return slices.IndexFunc(u.connections, func(c connection) bool { return c.node == n && c.id == id })
}

func (n *Node) presenceOf(room string) *presenceShard {
	return &n.hub.presence[maphash.String(n.hub.seed, room)%shardCount]
}

// Enter implements router.Broker. A connection that is in the room already gets
// the new info.
func (n *Node) Enter(ctx context.Context, room string, o router.Occupant) (first bool, err error) {
	if err := n.usable(ctx); err != nil {
		return false, err
	}
	s := n.presenceOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.state.Load() != isOpen { // Close sets it before it visits the shards
		return false, router.ErrBrokerClosed
	}
	u := s.roomLocked(room).add(o.User)
	first = len(u.connections) == 0
	c := connection{n, o.Conn, o.Info}
	if i := u.find(n, o.Conn); i >= 0 {
		u.connections[i] = c
	} else {
		u.connections = append(u.connections, c)
	}
	return first, nil
}

// Leave implements router.Broker. It does nothing for an occupant who is not
// there.
func (n *Node) Leave(ctx context.Context, room string, o router.Occupant) (last bool, err error) {
	if err := n.usable(ctx); err != nil {
		return false, err
	}
	s := n.presenceOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	us := s.rooms[room]
	if us == nil {
		return false, nil
	}
	u := us.get(o.User)
	if u == nil {
		return false, nil
	}
	if i := u.find(n, o.Conn); i >= 0 {
		u.connections = slices.Delete(u.connections, i, i+1)
	}
	if len(u.connections) == 0 {
		us.remove(o.User)
		last = true
	}
	s.sweepLocked(room)
	return last, nil
}

// Present implements router.Broker. The cursor is the last user of the page
// before; users who come and go between pages neither repeat nor hide others. The
// info of a user is that of the connection that entered last.
func (n *Node) Present(ctx context.Context, room string, limit int, cursor string) (router.PresencePage, error) {
	var page router.PresencePage
	if err := n.usable(ctx); err != nil {
		return page, err
	}
	if limit < 1 {
		return page, fmt.Errorf("membroker: a page of presence needs a limit of at least 1, not %d", limit)
	}
	s := n.presenceOf(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	us := s.rooms[room]
	if us == nil {
		return page, nil
	}
	page.Total = us.total
	page.Users = make([]router.OccupiedBy, 0, min(limit, us.total))
	for u := range us.after(cursor) {
		if len(page.Users) == limit {
			page.Cursor = page.Users[limit-1].User
			break
		}
		last := u.connections[len(u.connections)-1]
		page.Users = append(page.Users, router.OccupiedBy{User: u.name, Info: last.info, Connections: len(u.connections)})
	}
	return page, nil
}

func (s *presenceShard) roomLocked(room string) *users {
	us := s.rooms[room]
	if us == nil {
		if s.rooms == nil {
			s.rooms = make(map[string]*users)
		}
		us = new(users)
		s.rooms[room] = us
		s.peak = max(s.peak, len(s.rooms))
	}
	return us
}

// sweepLocked removes the room if nobody is in it.
func (s *presenceShard) sweepLocked(room string) {
	if s.rooms[room].total > 0 {
		return
	}
	delete(s.rooms, room)
	if len(s.rooms) == 0 && s.peak > 64 {
		s.rooms, s.peak = nil, 0 // a map does not give memory back
	}
}

// forget takes n's connections out of every room.
func (s *presenceShard) forget(n *Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for room, us := range s.rooms {
		var gone []string
		for u := range us.after("") {
			u.connections = slices.DeleteFunc(u.connections, func(c connection) bool { return c.node == n })
			if len(u.connections) == 0 {
				gone = append(gone, u.name)
			}
		}
		for _, name := range gone {
			us.remove(name)
		}
		s.sweepLocked(room)
	}
}
