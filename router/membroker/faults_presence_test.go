package membroker_test

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/router"
)

func (f *faulty) Nodes(ctx context.Context) ([]router.NodeInfo, error) {
	if f.fault.nodes != nil {
		return f.fault.nodes(f.Broker, ctx)
	}
	return f.Broker.Nodes(ctx)
}

func (f *faulty) Rooms(ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
	if f.fault.rooms != nil {
		return f.fault.rooms(f.Broker, ctx, limit, cursor)
	}
	return f.Broker.Rooms(ctx, limit, cursor)
}

// remembered is what a faulty broker remembers by itself.
type remembered struct {
	mu    sync.Mutex
	seats map[seat]bool
	nodes map[string]router.NodeInfo
	rooms map[string]bool
}

type seat struct {
	room, user string
	conn       uint64
}

var memories sync.Map // of router.Broker: its *remembered

func memoryOf(b router.Broker) *remembered {
	m, _ := memories.LoadOrStore(b, &remembered{seats: make(map[seat]bool), nodes: make(map[string]router.NodeInfo), rooms: make(map[string]bool)})
	return m.(*remembered)
}

// has reports whether the node has the user in the room.
func (m *remembered) has(room, user string) bool {
	for s := range m.seats {
		if s.room == room && s.user == user {
			return true
		}
	}
	return false
}

// isThere reports whether a user is in the room, as a page says.
func isThere(b router.Broker, ctx context.Context, room, user string) bool {
	page, _ := b.Present(ctx, room, 1<<20, "")
	return slices.ContainsFunc(page.Users, func(u router.OccupiedBy) bool { return u.User == user })
}

// presenceFaults are faults in who was first and last, of nodes and of rooms.
var presenceFaults = map[string]fault{
	"everyone is the first": {group: "Presence", enter: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
		_, err := b.Enter(ctx, room, o)
		return true, err
	}},
	"nobody is the last": {group: "Presence", leave: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
		_, err := b.Leave(ctx, room, o)
		return false, err
	}},
	"each node tells its own first and last": {group: "Presence",
		enter: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
			m := memoryOf(b)
			m.mu.Lock()
			defer m.mu.Unlock()
			first := !m.has(room, o.User)
			m.seats[seat{room, o.User, o.Conn}] = true
			_, err := b.Enter(ctx, room, o)
			return first, err
		},
		leave: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
			m := memoryOf(b)
			m.mu.Lock()
			defer m.mu.Unlock()
			was := m.has(room, o.User)
			delete(m.seats, seat{room, o.User, o.Conn})
			_, err := b.Leave(ctx, room, o)
			return was && !m.has(room, o.User), err
		}},
	"who is there is looked up before entering": {group: "Presence", enter: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
		first := !isThere(b, ctx, room, o.User)
		time.Sleep(time.Millisecond) // others look too
		_, err := b.Enter(ctx, room, o)
		return first, err
	}},
	"who is there is looked up after leaving": {group: "Presence", leave: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
		_, err := b.Leave(ctx, room, o)
		time.Sleep(time.Millisecond) // others leave too
		return !isThere(b, ctx, room, o.User), err
	}},
	"a node sees one node": {group: "Nodes", nodes: func(b router.Broker, ctx context.Context) ([]router.NodeInfo, error) {
		all, err := b.Nodes(ctx)
		return all[:min(len(all), 1)], err
	}},
	"nodes are in no order": {group: "Nodes", nodes: func(b router.Broker, ctx context.Context) ([]router.NodeInfo, error) {
		all, err := b.Nodes(ctx)
		slices.Reverse(all)
		return all, err
	}},
	"nodes stay as they were at first": {group: "Nodes", nodes: func(b router.Broker, ctx context.Context) ([]router.NodeInfo, error) {
		all, err := b.Nodes(ctx)
		m := memoryOf(b)
		m.mu.Lock()
		defer m.mu.Unlock()
		for i, n := range all {
			if old, ok := m.nodes[n.ID]; ok {
				all[i] = old
			}
			m.nodes[n.ID] = all[i]
		}
		return all, err
	}},
	"closed nodes stay": {group: "Nodes", nodes: func(b router.Broker, ctx context.Context) ([]router.NodeInfo, error) {
		all, err := b.Nodes(ctx)
		m := memoryOf(b)
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, n := range all {
			m.nodes[n.ID] = n
		}
		all = all[:0]
		for _, n := range m.nodes {
			all = append(all, n)
		}
		slices.SortFunc(all, func(a, b router.NodeInfo) int { return cmp.Compare(a.ID, b.ID) })
		return all, err
	}},
	"a node's start is cut to seconds": {group: "Nodes", nodes: func(b router.Broker, ctx context.Context) ([]router.NodeInfo, error) {
		all, err := b.Nodes(ctx)
		for i := range all {
			all[i].Started = all[i].Started.Truncate(1e9)
		}
		return all, err
	}},
	"users are rooms": {group: "Rooms", subscribe: func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
		if t.User {
			b.Subscribe(ctx, router.Topic{Name: t.Name}, keep)
		}
		return b.Subscribe(ctx, t, keep)
	}},
	"rooms stay listed": {group: "Rooms", rooms: func(b router.Broker, ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
		all, err := b.Rooms(ctx, 1<<20, "")
		m := memoryOf(b)
		m.mu.Lock()
		for _, r := range all.Rooms {
			m.rooms[r] = true
		}
		all.Rooms = all.Rooms[:0]
		for r := range m.rooms {
			if r > cursor {
				all.Rooms = append(all.Rooms, r)
			}
		}
		m.mu.Unlock()
		slices.Sort(all.Rooms)
		if len(all.Rooms) > limit {
			all.Rooms = all.Rooms[:limit]
			all.Cursor = all.Rooms[limit-1]
		}
		return all, err
	}},
	"rooms are listed without those in braces": {group: "Rooms", rooms: func(b router.Broker, ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
		page, err := b.Rooms(ctx, limit, cursor)
		page.Rooms = slices.DeleteFunc(page.Rooms, func(r string) bool { return strings.HasPrefix(r, "{") })
		return page, err
	}},
	"rooms are sorted without regard to case": {group: "Rooms", rooms: func(b router.Broker, ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
		page, err := b.Rooms(ctx, limit, cursor)
		slices.SortFunc(page.Rooms, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
		return page, err
	}},
	"the cursor of rooms is an index": {group: "Rooms", rooms: func(b router.Broker, ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
		page, err := b.Rooms(ctx, 1<<20, "")
		from, _ := strconv.Atoi(cursor)
		to := min(from+limit, len(page.Rooms))
		if to < len(page.Rooms) {
			page.Cursor = strconv.Itoa(to)
		}
		page.Rooms = page.Rooms[min(from, to):to]
		return page, err
	}},
	"the last of a full page is missing": {group: "Rooms", rooms: func(b router.Broker, ctx context.Context, limit int, cursor string) (router.RoomsPage, error) {
		page, err := b.Rooms(ctx, limit, cursor)
		if len(page.Rooms) == limit {
			page.Rooms = page.Rooms[:limit-1]
		}
		return page, err
	}},
}

func init() {
	for name, f := range presenceFaults {
		faults[name] = f
	}
}
