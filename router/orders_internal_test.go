package router

import (
	"fmt"
	"sync"
	"testing"
)

// heldOrders are orders whose work waits to be let go, and which notes what was done.
type heldOrders struct {
	orders
	begun, goOn chan struct{}

	mu   sync.Mutex
	done []string // guarded by mu
}

func newHeldOrders() *heldOrders {
	h := &heldOrders{begun: make(chan struct{}, 2*maxOrders), goOn: make(chan struct{})}
	h.count = newTally(orderNames)
	h.do = func(c order) {
		h.begun <- struct{}{}
		<-h.goOn
		h.mu.Lock()
		defer h.mu.Unlock()
		h.done = append(h.done, c.User)
	}
	return h
}

func TestOrdersAreCarriedOutInTheirOrderAndNotBeyondTheirBound(t *testing.T) {
	h := newHeldOrders()
	if !h.put(order{Control: Control{Do: ControlRemove, User: "0"}}) {
		t.Fatal("the first is refused")
	}
	<-h.begun // put has returned, and the work has not ended
	for i := range maxOrders {
		if !h.put(order{Control: Control{Do: ControlRemove, User: fmt.Sprint(i + 1)}}) {
			t.Fatalf("order %d is refused", i+1)
		}
	}
	if h.put(order{Control: Control{Do: ControlRemove}}) {
		t.Error("one more than the bound is taken")
	}
	close(h.goOn)
	h.underway.Wait()
	if len(h.done) != maxOrders+1 {
		t.Fatalf("%d were carried out", len(h.done))
	}
	for i, user := range h.done {
		if user != fmt.Sprint(i) {
			t.Fatalf("the %dth that was carried out was %s", i, user)
		}
	}
	if len(h.lanes) > 0 {
		t.Error("an idle node keeps memory or a goroutine for orders")
	}
}

func TestStoppingWaitsForWhatHasBegunAndDropsTheRest(t *testing.T) {
	h := newHeldOrders()
	for range 3 {
		h.put(order{Control: Control{Do: ControlRemove, User: "ann"}})
	}
	<-h.begun
	stopped := make(chan struct{})
	go func() {
		h.stop()
		close(stopped)
	}()
	for set := false; !set; {
		h.orders.mu.Lock()
		set = h.stopped
		h.orders.mu.Unlock()
	}
	select {
	case <-stopped:
		t.Error("stop returned while an order was under way")
	default:
	}
	close(h.goOn)
	<-stopped
	if len(h.done) != 1 {
		t.Errorf("%d were carried out", len(h.done))
	}
	if !h.put(order{Control: Control{Do: ControlRemove}}) || !h.put(order{Control: Control{Do: ControlReload}}) {
		t.Error("an order to a stopped node counts as an overflow")
	}
	h.underway.Wait()
	if len(h.done) != 1 {
		t.Error("a stopped node carries out orders")
	}
}
