package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sluice/router/socket"
	"sluice/router/wire"
)

// Router is one node: its connections, its rooms, and what passes between
// them. It is an http.Handler for the WebSocket endpoint.
type Router struct {
	// Static after construction.
	opts    Options
	log     *slog.Logger
	broker  Broker
	engine  *socket.Engine
	origins *origins
	ping    *socket.Frame // the application heartbeat
	ids     messageIDs
	born    time.Time
	ctx     context.Context // ends when Close waits no longer
	cancel  context.CancelFunc

	// Safe for concurrent use.
	cur        atomic.Pointer[current]
	count      *counters
	rooms      *table
	users      *table
	everyone   *group
	addrs      *addrLimiter
	revoked    revocations
	orders     orders
	reads      historyReads
	failureLog logPace
	slots      atomic.Int64  // connections, those that are still in the handshake included
	refusing   chan struct{} // a place for each connection that is upgraded only to be refused
	draining   atomic.Bool   // set under mu; read without it where that does no harm

	mu      sync.Mutex
	running sync.WaitGroup // handshakes and connections; added to under mu and only while not draining
	closed  bool           // guarded by mu
}

// maxRefusing bounds connections that are upgraded only to be told why not.
const maxRefusing = 64

// New returns a node that serves the generation, and starts its broker.
func New(o Options, g *Generation) (*Router, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	cur, err := newCurrent(g)
	if err != nil {
		return nil, err
	}
	allowed, err := parseOrigins(o.AllowedOrigins)
	if err != nil {
		return nil, err
	}
	r := &Router{
		opts:     o,
		log:      o.Log,
		broker:   o.Broker,
		origins:  allowed,
		ping:     socket.NewFrame(32, wire.AppendPing),
		ids:      messageIDs{prefix: o.NodeID + "-" + randomName() + "-"},
		born:     time.Now(),
		count:    newCounters(),
		users:    newTable(o.Broker, true, func(string) Keep { return Keep{} }),
		everyone: new(group),
		addrs:    newAddrLimiter(),
		refusing: make(chan struct{}, maxRefusing),
	}
	r.cur.Store(cur)
	r.rooms = newTable(o.Broker, false, func(room string) Keep { return r.cur.Load().rules.rule(room).History })
	r.reads.places = make(chan struct{}, maxReads)
	r.orders.count, r.orders.do = newTally(orderNames), r.obey
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if err := o.Broker.Start(r); err != nil {
		r.cancel()
		r.orders.stop()
		return nil, fmt.Errorf("router: starting the broker: %w", err)
	}
	r.engine = socket.NewEngine()
	if cur.open {
		r.warnOpen()
	}
	return r, nil
}

// Swap puts a generation in force and returns the one before. Events that have
// begun are judged by the old one; its filters end with ErrRetired those that
// come too late. It panics if the generation is nil.
func (r *Router) Swap(g *Generation) (old *Generation) {
	cur, err := newCurrent(g)
	if err != nil {
		panic(err)
	}
	before := r.cur.Swap(cur)
	if cur.open && !before.open {
		r.warnOpen()
	}
	return before.Generation
}

func (r *Router) warnOpen() {
	r.log.Warn("no filter asks clients who they are: everyone is admitted, under the name of their choice", "node", r.opts.NodeID)
}

// Generation is the one in force.
func (r *Router) Generation() *Generation { return r.cur.Load().Generation }

// Unauthenticated reports whether the generation in force admits anyone,
// because none of its filters has a connect hook.
func (r *Router) Unauthenticated() bool { return r.cur.Load().open }

// ErrDraining is returned by Health while the node shuts down.
var ErrDraining = errors.New("the node is draining")

// Health is nil while the node takes connections and delivers messages, else
// says why it does not.
func (r *Router) Health(ctx context.Context) error {
	if r.draining.Load() {
		return ErrDraining
	}
	return r.broker.Health(ctx)
}

// begin notes a handshake, unless the node is shutting down. It is paired with
// running.Done.
func (r *Router) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining.Load() {
		return false
	}
	r.running.Add(1)
	return true
}

// rule is the room's rule by the generation in force; the room remembers it.
func (r *Router) rule(g *group) *boundRule {
	rules := r.cur.Load().rules
	if b := g.rule.Load(); b != nil && b.set == rules {
		return b
	}
	b := rules.rule(g.name)
	g.rule.Store(b)
	return b
}

// guard runs f and reports whether it ended without a panic, which it logs.
func (r *Router) guard(what string, f func()) (ok bool) {
	defer func() {
		if ok {
			return
		}
		r.count.panics.Add(1)
		r.log.Error("a fault of this program; please report it", "in", what, "panic", recover(), "stack", string(debug.Stack()))
	}()
	f()
	return true
}

// brokerTime bounds a call of the broker that a client waits for.
const brokerTime = 10 * time.Second

// brokerCtx is the context of a call of the broker.
func (r *Router) brokerCtx() (context.Context, context.CancelFunc) {
	return withPatience(r.ctx, brokerTime)
}

// brokerFailed counts a failure of the broker, and logs one a second: while the broker
// is away each message is one.
func (r *Router) brokerFailed(doing string, err error) {
	failures := r.count.broker.Add(1)
	if !errors.Is(err, ErrBrokerClosed) && r.ctx.Err() == nil && r.failureLog.may() {
		r.log.Warn("the broker failed", "doing", doing, "error", err, "failures", failures)
	}
}

// logPace lets one line a second into the log, of what others can cause at will.
type logPace struct{ last atomic.Int64 } // Unix nanoseconds

func (p *logPace) may() bool {
	now, last := time.Now().UnixNano(), p.last.Load()
	return now-last >= int64(time.Second) && p.last.CompareAndSwap(last, now)
}

// messageIDs makes ids that no other node makes, nor this one after a restart.
type messageIDs struct {
	prefix string
	last   atomic.Uint64
}

func (m *messageIDs) next() string {
	var buf [64]byte
	b := append(buf[:0], m.prefix...)
	return string(strconv.AppendUint(b, m.last.Add(1), 36))
}

// randomName is a short name that nobody else has.
func randomName() string { return strconv.FormatUint(rand.Uint64()>>16, 36) }
