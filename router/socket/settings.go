package socket

import (
	"sync"
	"time"
)

// settings are what the options of sockets come to. Sockets with the same ones
// share them.
type settings struct {
	readLimit    int
	queueLimit   int
	writeTimeout time.Duration
	messageTime  time.Duration
	pingInterval time.Duration
	pongTimeout  time.Duration
	pingFrame    *Frame // sent by the heartbeat
	deflate      int    // level at which frames of data are compressed; 0: the peer takes none
	deflateMin   int    // bytes of a text below which it is not
}

// maxShared bounds how many settings are remembered: those of options that
// are not used any more are among them.
const maxShared = 64

// sharedSettings finds the settings that are there already.
type sharedSettings struct {
	// Guarded by mu.
	mu  sync.Mutex
	all map[settings]*settings
}

func (sh *sharedSettings) of(o *Options, deflate int) *settings {
	s := settings{o.ReadLimit, o.Queue, o.WriteTimeout, o.MessageTime, o.PingInterval, o.PongTimeout, pingFrame, deflate, o.DeflateMin}
	if o.JSONPing != nil {
		s.pingFrame = o.JSONPing
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if p := sh.all[s]; p != nil {
		return p
	}
	if sh.all == nil || len(sh.all) >= maxShared {
		sh.all = make(map[settings]*settings)
	}
	p := new(s)
	sh.all[s] = p
	return p
}
