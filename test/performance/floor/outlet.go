package main

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// heldBack is how many bytes may wait for a socket that is full; its connection
// is closed beyond.
const heldBack = 1 << 20

// outlet is a connection to which whoever has something writes without waiting.
// What the socket does not take is kept, and a goroutine writes it when it can.
// The library writes its own frames through it as well, so that none gets
// between the halves of another.
type outlet struct {
	net.Conn
	raw     syscall.RawConn
	attempt func(fd uintptr) bool // try, made once: as a closure it would be garbage of every write

	// Guarded by mu.
	mu       sync.Mutex
	rest     []byte
	draining bool // a goroutine writes rest
	// What try writes, and what came of it.
	b   []byte
	n   int
	err error
}

var _ net.Conn = (*outlet)(nil)

func newOutlet(nc net.Conn) (*outlet, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, errors.New("the connection has no descriptor")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	o := &outlet{Conn: nc, raw: raw}
	o.attempt = o.try
	return o, nil
}

// try is one write that does not wait: its answer is always that it is done.
func (o *outlet) try(fd uintptr) bool {
	o.n, o.err = syscall.Write(int(fd), o.b)
	if o.err == syscall.EAGAIN || o.err == syscall.EINTR {
		o.n, o.err = 0, nil
	}
	return true
}

// send writes b, which is not kept.
func (o *outlet) send(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.draining {
		if len(o.rest)+len(b) > heldBack {
			o.Conn.Close() // it reads too slowly
			return
		}
		o.rest = append(o.rest, b...)
		return
	}
	o.b = b
	err := o.raw.Write(o.attempt)
	o.b = nil
	if err != nil || o.err != nil {
		o.Conn.Close()
		return
	}
	if o.n < len(b) {
		o.rest = append([]byte(nil), b[o.n:]...)
		o.draining = true
		go o.drain()
	}
}

// drain writes what is kept until nothing is, or the connection has ended.
func (o *outlet) drain() {
	for {
		o.mu.Lock()
		b := o.rest
		o.rest = nil
		o.draining = len(b) > 0
		o.mu.Unlock()
		if len(b) == 0 {
			return
		}
		if _, err := o.Conn.Write(b); err != nil {
			o.Conn.Close()
			return // and remains draining: what comes is not sent
		}
	}
}

// Write is for the library's own frames.
func (o *outlet) Write(b []byte) (int, error) {
	o.send(b)
	return len(b), nil
}
