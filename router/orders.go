package router

import (
	"errors"
	"sync"
	"time"
)

// Names in Stats.Orders.
const (
	OrderElsewhere = "elsewhere" // for another node
	OrderMalformed = "malformed" // not an order, or one with a field that this version does not know
	OrderUnknown   = "unknown"   // of a kind that this version does not know
	OrderExpired   = "expired"   // until had passed when it came
	OrderOverflow  = "overflow"  // too many were waiting: not carried out
	OrderFailed    = "failed"    // it could not be carried out, or not wholly
)

var orderNames = []string{string(ControlDisconnect), string(ControlRemove), string(ControlReload),
	OrderElsewhere, OrderMalformed, OrderUnknown, OrderExpired, OrderOverflow, OrderFailed}

// maxOrders bounds the orders of a kind that wait to be carried out.
const maxOrders = 1024

// order is an order that reached this node.
type order struct {
	Control
	id string
}

// orders are what the nodes have been told to do and this one has not done yet. Those of
// a kind are carried out in their order by a goroutine that lives while there are any. A
// kind does not wait for another: a reload takes long, and a removal waits for the commands of
// connections.
type orders struct {
	// Static after construction.
	count *tally
	do    func(order)

	refusals logPace // whoever can publish orders can cause them

	mu sync.Mutex
	// Guarded by mu.
	lanes    map[ControlDo]*lane // those with orders
	stopped  bool
	underway sync.WaitGroup // added to under mu and only while not stopped
}

// lane is the orders of a kind that have not begun, while a goroutine is about them.
type lane struct{ waiting []order }

// put hands an order over; false if too many wait. Reloads that have not begun are one.
func (o *orders) put(c order) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped { // its connections end anyway
		return true
	}
	l := o.lanes[c.Do]
	if l == nil {
		l = new(lane)
		if o.lanes == nil {
			o.lanes = make(map[ControlDo]*lane)
		}
		o.lanes[c.Do] = l
		o.underway.Go(func() { o.run(c.Do) })
	}
	switch {
	case len(l.waiting) > 0 && c.Do == ControlReload:
	case len(l.waiting) >= maxOrders:
		return false
	default:
		l.waiting = append(l.waiting, c)
	}
	return true
}

// run carries out the orders of a kind until there are no more.
func (o *orders) run(kind ControlDo) {
	for {
		c, ok := o.next(kind)
		if !ok {
			return
		}
		o.do(c)
	}
}

func (o *orders) next(kind ControlDo) (c order, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lanes[kind]
	if len(l.waiting) == 0 || o.stopped {
		delete(o.lanes, kind)
		return c, false
	}
	c, l.waiting = l.waiting[0], l.waiting[1:]
	return c, true
}

// stop drops what waits, and returns when what has begun has ended.
func (o *orders) stop() {
	o.mu.Lock()
	o.stopped = true
	o.mu.Unlock()
	o.underway.Wait()
}

// control takes an order from the broker. It decides what becomes of it, and leaves the
// work to another goroutine.
func (r *Router) control(m *Message) {
	c, err := parseControl(m.Content)
	if err == nil && c.Node != "" && c.Node != r.opts.NodeID {
		r.orders.count.count(OrderElsewhere)
		return
	}
	now := time.Now()
	switch {
	case err != nil:
		r.orderRefused(OrderMalformed, m, err)
	case !c.Until.IsZero() && !c.Until.After(now):
		r.orderRefused(OrderExpired, m, errors.New("until had passed when it came; compare the clocks of the nodes"))
	default:
		if err := c.check(now); errors.Is(err, errUnknownOrder) {
			r.orderRefused(OrderUnknown, m, err)
		} else if err != nil {
			r.orderRefused(OrderMalformed, m, err)
		} else if !r.orders.put(order{c, m.ID}) {
			r.orderRefused(OrderOverflow, m, errors.New("too many orders are waiting"))
		}
	}
}

func (r *Router) orderRefused(why string, m *Message, err error) {
	r.orders.count.count(why)
	if r.orders.refusals.may() {
		r.log.Warn("an order was not carried out", "why", why, "from", clipped(m.From), "error", clipped(err.Error()))
	}
}

// clipped is text of a stranger for the log.
func clipped(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// obey carries out an order.
func (r *Router) obey(c order) {
	r.guard("an order", func() {
		r.orders.count.count(string(c.Do))
		log := r.log.With("order", string(c.Do), "id", clipped(c.id))
		var err error
		switch c.Do {
		case ControlDisconnect:
			var closed int
			closed, err = r.Revoke(c.revocation())
			log = log.With("user", c.User, "token", c.TokenID, "tag", c.Tag, "until", c.Until, "closed", closed)
		case ControlRemove:
			memberships := r.removeFromRoom(c.User, c.Room, c.Reason)
			log = log.With("user", c.User, "room", c.Room, "all_rooms", c.AllRooms, "memberships", memberships)
		case ControlReload:
			if r.opts.Reload == nil {
				err = errNoReload
			} else {
				err = r.opts.Reload(r.ctx)
			}
		}
		if err != nil {
			r.orders.count.count(OrderFailed)
			log.Warn("an order could not be carried out, or not wholly", "error", err)
			return
		}
		log.Info("carried out an order")
	})
}

var errNoReload = errors.New("this node cannot reload")
