package bench

import (
	"fmt"
	"os"
	"time"
)

// connect has all clients shake hands and join, with a bounded number of them
// under way at once, and returns how long it took. It ends early if the server
// refuses most of them.
func (r *run) connect() (time.Duration, error) {
	start := r.now()
	told, looked := start, start
	for r.dialled < len(r.clients) || len(r.pendings) > 0 {
		if r.stopped() || r.giveUp() {
			break
		}
		wait, err := r.dialMore(start)
		if err != nil {
			return 0, err
		}
		r.engine.poll(min(wait, tick))
		r.settlePendings()
		now := r.now()
		if now-looked > int64(tick) {
			looked = now
			r.expirePendings(now)
		}
		if now-told > int64(2*time.Second) {
			told = now
			r.say(fmt.Sprintf("connecting: %d of %d are there, %d refused", r.members, len(r.clients), r.failed))
		}
	}
	for _, c := range r.pendings { // given up
		c.leave()
	}
	r.pendings = nil
	return time.Duration(r.now() - start), nil
}

// dialMore begins as many connections as may be under way, and returns when the
// next one is due.
func (r *run) dialMore(start int64) (time.Duration, error) {
	for r.dialled < len(r.clients) && len(r.pendings) < r.o.Concurrency {
		now := r.now()
		if r.o.ConnectRate > 0 {
			due := start + int64(float64(r.dialled)/r.o.ConnectRate*1e9)
			if due > now {
				return time.Duration(due - now), nil
			}
		}
		c := r.clients[r.dialled]
		r.dialled++
		c.began = now
		if err := r.engine.dial(c); err != nil {
			c.leave()
			return 0, fmt.Errorf("this machine cannot open connection %d of %d: %w; its ports or file descriptors are used up: use fewer --connections, or wait a minute for ports of earlier runs", r.dialled, len(r.clients), err)
		}
		if c.state != gone {
			r.pendings = append(r.pendings, c)
		}
	}
	return tick, nil
}

// settlePendings takes out who is there, or gone.
func (r *run) settlePendings() {
	kept := r.pendings[:0]
	for _, c := range r.pendings {
		if c.state != member && c.state != gone {
			kept = append(kept, c)
		}
	}
	r.pendings = kept
}

func (r *run) expirePendings(now int64) {
	for _, c := range r.pendings {
		if now-c.began > int64(r.o.ConnectTimeout) {
			c.ended(os.ErrDeadlineExceeded)
		}
	}
	r.settlePendings()
}

// giveUp reports whether so many were refused that it makes no sense to go on.
func (r *run) giveUp() bool { return r.failed >= 10 && r.failed > r.members }

// joined makes a client a member.
func (r *run) joined(c *client, now int64) {
	c.state = member
	r.members++
	r.joins.add(now - c.began)
	if c.slow {
		r.engine.pause(c)
		return
	}
	c.room.readers++
}
