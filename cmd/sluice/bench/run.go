package bench

import (
	"context"
	"crypto/x509"
	"fmt"
	"strconv"
	"time"
)

// run is one run of a scenario. All of it belongs to the goroutine that calls
// Run, and to those of the engine while that one waits in engine.poll.
type run struct {
	// Static after construction.
	o                     *Options
	ctx                   context.Context
	say                   func(string) // tells how far it is
	name                  string
	prefix                []byte // of markers
	began                 time.Time
	target, publishTarget *target
	roots                 *x509.CertPool // nil: those of the system
	content               template
	rooms                 []*room
	clients               []*client
	engine                engine

	// Buffers and compression, used for one frame at a time.
	codec      codec
	frameBuf   []byte
	commandBuf []byte

	// While connecting.
	dialled  int
	failed   int
	members  int
	joins    histogram
	pendings []*client

	// Counted since the run began.
	version      string // of the node
	pings        int
	compressed   int // connections that agreed on compression
	published    int64
	expected     int64 // deliveries of what was published and not refused
	doubtful     int64 // of these, those that are not due for all that is known: see doubt.go
	delivered    int64 // of those expected, what came
	arrivals     int64 // deliveries that were read, duplicates included
	duplicated   int64
	disordered   int64
	misdelivered int64
	tally        tally

	// Of the messages that were published from measureFrom until measureTo.
	measureFrom, measureTo int64
	latency, late          histogram

	// Of a closed loop: deliveries of what was published until then that have not come
	// and are not waited for any more.
	abandoned, abandonedUntil int64

	over bool // what happens now is not counted
}

func (r *run) now() int64 { return int64(time.Since(r.began)) }

// stopped reports whether the run was interrupted.
func (r *run) stopped() bool { return r.ctx.Err() != nil }

// tick bounds a wait, so that an interruption is noticed.
const tick = 100 * time.Millisecond

// Run does one run. say is called with lines that tell how far it is. The error
// is one that kept it from measuring anything; what the server refused or lost
// is in the result. When ctx ends the run does, with what was measured so far.
func Run(ctx context.Context, o *Options, say func(string)) (*Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := o.checkDescriptors(); err != nil {
		return nil, err
	}
	r, err := newRun(ctx, o, say)
	if err != nil {
		return nil, err
	}
	if r.engine, err = newEngine(r); err != nil {
		return nil, err
	}
	defer r.engine.shut()
	r.over = false
	res, err := r.measure()
	r.over = true
	if err == nil {
		r.goodbye()
	}
	return res, err
}

func newRun(ctx context.Context, o *Options, say func(string)) (*run, error) {
	r := &run{o: o, ctx: ctx, say: say, name: newRunName(), began: time.Now()}
	r.prefix = markerPrefix(r.name)
	var err error
	if r.content, err = o.template(); err != nil && (o.Scenario == Fanout || o.Scenario == Rooms) {
		return nil, err
	}
	if r.target, err = resolveTarget(ctx, "url", o.URL, o.Remote); err != nil {
		return nil, err
	}
	r.publishTarget = r.target
	if o.PublishURL != "" {
		if r.publishTarget, err = resolveTarget(ctx, "publish-url", o.PublishURL, o.Remote); err != nil {
			return nil, err
		}
	}
	r.roots = o.roots
	r.makeRooms()
	return r, r.makeClients()
}

func (r *run) makeRooms() {
	r.rooms = make([]*room, r.o.rooms())
	for i := range r.rooms {
		rm := &room{name: r.o.RoomPrefix + r.name + "-" + strconv.Itoa(i)}
		rm.command = append([]byte(`{"type":"room_message","room":"`+rm.name+`","content":`), r.content.before...)
		r.rooms[i] = rm
	}
}

// makeClients puts client i into room i modulo their number. The last ones are
// those that do not read.
func (r *run) makeClients() error {
	if r.o.Sign != nil {
		r.say(fmt.Sprintf("signing %d tokens", r.o.Connections))
	}
	r.clients = make([]*client, r.o.Connections)
	all := make([]client, r.o.Connections)
	for i := range r.clients {
		c := &all[i]
		*c = client{r: r, index: i, room: r.rooms[i%len(r.rooms)], place: i / len(r.rooms), target: r.target, slow: i >= r.o.Connections-r.o.Slow}
		if c.place == 0 {
			c.target = r.publishTarget
		}
		switch {
		case r.stopped():
			return context.Cause(r.ctx)
		case r.o.Sign != nil:
			token, err := r.o.Sign(r.o.userName(r.name, i))
			if err != nil {
				return err
			}
			c.token = token
		case len(r.o.Tokens) > 0:
			c.token = r.o.Tokens[i%len(r.o.Tokens)]
		}
		r.clients[i] = c
	}
	return nil
}

// measure runs the scenario's phases.
func (r *run) measure() (*Result, error) {
	m := newMeter(r.o.Processes)
	before := m.sample()
	connectTime, err := r.connect()
	if err != nil {
		return nil, err
	}
	res := r.newResult()
	after := m.sample()
	res.connected(r, connectTime, m, before, after)
	switch {
	case r.members == 0 || r.giveUp() || r.stopped():
	case r.o.Scenario == Connect:
		r.settle(settleAfterConnect)
	case r.o.Scenario == Idle:
		r.idle(res, m)
	default:
		r.settle(settleAfterConnect)
		r.load(res, m)
	}
	r.slowOnes()
	res.finish(r, m, before)
	return res, nil
}

// How long a node is left alone after the last join: what it does with a delay
// of its own, such as collecting garbage, is no part of what follows.
const (
	settleAfterConnect = time.Second
	settleBeforeIdle   = 3 * time.Second
)

// settle leaves the node alone for d.
func (r *run) settle(d time.Duration) {
	if !r.o.hurry {
		r.serve(d)
	}
}

// serve answers the server for d, without publishing.
func (r *run) serve(d time.Duration) {
	for end := time.Now().Add(d); !r.stopped(); {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		r.engine.poll(min(left, tick))
	}
}

func (r *run) idle(res *Result, m *meter) {
	r.settle(settleBeforeIdle)
	r.say(fmt.Sprintf("idle for %s", r.o.Duration))
	before, pings := m.sample(), r.pings
	r.serve(r.o.Duration)
	after := m.sample()
	res.idled(r.members, r.pings-pings, m, before, after)
}

// slowOnes reads what the slow members have left lying, to find out which of
// them the server has closed.
func (r *run) slowOnes() {
	const patience, quiet = 2 * time.Second, 300 * time.Millisecond
	paused := 0
	for _, c := range r.clients {
		if c.slow && c.state == member {
			r.engine.resume(c)
			paused++
		}
	}
	seen, since := int64(-1), time.Now()
	for end := time.Now().Add(patience); paused > 0 && time.Now().Before(end) && time.Since(since) < quiet; {
		if now := r.arrivals - int64(r.members); now != seen {
			seen, since = now, time.Now()
		}
		r.engine.poll(tick)
	}
}

// goodbye ends what is left as a client should: with a close frame, on which
// the server closes. So the ports that it leaves for a while are the server's.
func (r *run) goodbye() {
	const patience = 2 * time.Second
	for _, c := range r.clients {
		if c.state == member {
			r.frameBuf = appendFrame(r.frameBuf[:0], opClose, false, []byte{1000 >> 8, 1000 & 0xff})
			r.engine.write(c, r.frameBuf)
		}
	}
	for end := time.Now().Add(patience); r.members > 0 && time.Now().Before(end); {
		r.engine.poll(tick)
	}
}
