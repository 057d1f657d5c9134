package main

import (
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
)

// hub is all rooms of the process.
type hub struct {
	// Static after construction.
	options
	shards []*shard
	pings  *wheel // nil: no heartbeats
	done   chan struct{}

	// Guarded by mu.
	mu    sync.RWMutex
	rooms map[string]*room
}

// room is its members. It stays when they have left.
type room struct {
	mu      sync.RWMutex
	members []*client
	shares  [][]*client // shard: the members of each writer
}

func newHub(o options) *hub {
	h := &hub{options: o, rooms: map[string]*room{}, done: make(chan struct{})}
	if o.Out == "shard" {
		n := o.Shards
		if n == 0 {
			n = runtime.GOMAXPROCS(0)
		}
		for i := range n {
			s := &shard{index: i, wake: make(chan struct{}, 1)}
			h.shards = append(h.shards, s)
			go s.run(h.done)
		}
	}
	if o.Ping > 0 {
		h.pings = newWheel()
		go h.pings.run(o.Ping, h.done)
	}
	return h
}

// serve accepts connections until ln is closed.
func (h *hub) serve(ln net.Listener) error {
	if h.Accept == "nethttp" {
		mux := http.NewServeMux()
		mux.HandleFunc("/ws", h.serveHTTP)
		return http.Serve(ln, mux)
	}
	for {
		nc, err := ln.Accept()
		if err != nil {
			return err
		}
		go h.serveRaw(nc)
	}
}

// close ends the writers and heartbeats; connections end with their clients.
func (h *hub) close() { close(h.done) }

func (h *hub) room(name string) *room {
	h.mu.RLock()
	r := h.rooms[name]
	h.mu.RUnlock()
	if r != nil {
		return r
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r = h.rooms[name]; r == nil {
		r = &room{shares: make([][]*client, len(h.shards))}
		h.rooms[name] = r
	}
	return r
}

func (r *room) join(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.shares); n > 0 {
		i := len(r.members) % n
		r.shares[i] = append(r.shares[i], c)
	}
	r.members = append(r.members, c)
}

func (r *room) leave(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	is := func(other *client) bool { return other == c }
	r.members = slices.DeleteFunc(r.members, is)
	for i := range r.shares {
		r.shares[i] = slices.DeleteFunc(r.shares[i], is)
	}
}

// publish hands m to the members. The order of one publisher's messages stays:
// its reading goroutine alone calls this for it.
func (h *hub) publish(r *room, m *message) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if h.shards != nil {
		for i, s := range h.shards {
			if len(r.shares[i]) > 0 {
				s.add(job{r, m.frame})
			}
		}
		return
	}
	for _, c := range r.members {
		c.deliver(m)
	}
}
