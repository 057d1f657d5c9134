package router_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/router"
	"sluice/router/membroker"
)

type atomicBool = atomic.Bool

func TestJoiningTwiceIsAnsweredTwiceAndCountsOnce(t *testing.T) {
	n := startNode(t, silent)
	u := n.as(t, "ann")
	u.join("r")
	if e := u.ask(`{"type":"join_room","room":"r"}`); e.name() != "joined" {
		t.Fatalf("got %v", e)
	}
	u.send(`{"type":"room_message","room":"r","content":1}`)
	u.expect("chat")
	u.quiet() // delivered once, and not announced again
	u.send(`{"type":"leave_room","room":"r"}`)
	u.expect("left")
	eventually(t, "the room is gone", func() bool { return n.Stats().Rooms == 0 })
}

func TestLeavingEndsDeliveries(t *testing.T) {
	n := startNode(t, silent)
	a, b := n.as(t, "ann"), n.as(t, "bob")
	a.join("r")
	b.join("r")
	a.expect("user_joined")
	b.send(`{"type":"leave_room","room":"r"}`)
	b.expect("left")
	if e := a.expect("user_left"); e.str("user_id") != "bob" || e.str("room") != "r" {
		t.Errorf("got %v", e)
	}
	a.send(`{"type":"room_message","room":"r","content":1}`)
	a.expect("chat")
	b.quiet()
}

func TestALimitOfRoomsHoldsAtItsEdge(t *testing.T) {
	for _, max := range []int{1, 16, 17, 20} { // around the step from a list to a map
		n := startNode(t, silent, withLimits(func(l *router.Limits) { l.RoomsPerConnection = max }))
		u := n.as(t, "ann")
		for i := range max {
			u.join(fmt.Sprint("r", i))
		}
		e := u.refusedWith("forbidden", `{"type":"join_room","room":"one-more"}`)
		if !strings.Contains(e.str("reason"), fmt.Sprint(max)) {
			t.Errorf("no limit in %v", e)
		}
		u.send(`{"type":"leave_room","room":"r0"}`)
		u.expect("left")
		u.join("one-more")
		u.send(`{"type":"room_message","room":"one-more","content":1}`)
		u.expect("chat")
		u.leaveNow()
		eventually(t, "all rooms are gone", func() bool { return n.Stats().Rooms == 0 })
	}
}

func TestJoinedPrecedesTheRoomsDeliveries(t *testing.T) {
	n := startNode(t, silent)
	talker := n.as(t, "ann")
	talker.join("r")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				talker.send(fmt.Sprintf(`{"type":"room_message","room":"r","content":%d}`, i))
				<-talker.events
			}
		}
	}()
	for i := range 50 {
		u := n.as(t, fmt.Sprint("u", i))
		u.send(`{"type":"join_room","room":"r"}`)
		u.expect("joined")
		// and from then on without a gap
		last := u.until("chat")["content"].(float64)
		for range 5 {
			next := u.until("chat")["content"].(float64)
			if next != last+1 {
				t.Fatalf("%v came after %v", next, last)
			}
			last = next
		}
		u.leaveNow()
	}
	close(stop)
	<-stopped
}

func TestAFailedSubscriptionRefusesTheJoinAndLeavesNothing(t *testing.T) {
	b := &broker{}
	var failing atomicBool
	b.subscribe = func(_ context.Context, topic router.Topic) error {
		if failing.Load() && !topic.User {
			return errOut
		}
		return nil
	}
	n := startNodeWith(t, b, membroker.New(), silent)
	u := n.as(t, "ann")
	failing.Store(true)
	u.refusedWith("unavailable", `{"type":"join_room","room":"r"}`)
	if s := n.Stats(); s.Rooms != 0 || s.Broker != 1 {
		t.Errorf("got %d rooms, %d failures", s.Rooms, s.Broker)
	}
	failing.Store(false)
	u.join("r")
	u.send(`{"type":"room_message","room":"r","content":1}`)
	u.expect("chat")
}

func TestJoinsThatRaceWaitForOneSubscription(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("fails=", fails), func(t *testing.T) {
			b := &broker{}
			held, release := make(chan struct{}, 100), make(chan struct{})
			b.subscribe = func(_ context.Context, topic router.Topic) error {
				if topic.User {
					return nil
				}
				held <- struct{}{}
				<-release
				if fails {
					return errOut
				}
				return nil
			}
			n := startNodeWith(t, b, membroker.New(), silent)
			var joiners []*client
			for i := range 5 {
				u := n.as(t, fmt.Sprint("u", i))
				u.send(`{"type":"join_room","room":"r"}`)
				joiners = append(joiners, u)
			}
			<-held
			eventually(t, "all have asked", func() bool { return n.Stats().Commands["join_room"] == 5 })
			close(release)
			for _, u := range joiners {
				if e := u.until(map[bool]string{false: "joined", true: "error"}[fails]); fails && e.str("code") != "unavailable" {
					t.Errorf("got %v", e)
				}
			}
			if !fails && len(held) > 0 {
				t.Errorf("%d more subscriptions", len(held))
			}
		})
	}
}

func TestEverySubscriptionAndPresenceIsGivenBack(t *testing.T) {
	b := &broker{}
	n := startNodeWith(t, b, membroker.New(), silent, withRule("p:*", func(r *router.RoomRule) { r.Presence, r.Announce = true, router.AnnounceOff }))
	for i := range 10 {
		u := n.as(t, fmt.Sprint("u", i%3))
		for r := range 20 {
			u.join(fmt.Sprintf("p:%d", (r+i)%25))
		}
		if i%2 == 0 {
			u.ws.CloseNow()
		} else {
			u.leaveNow()
		}
	}
	eventually(t, "all are gone", func() bool { s := n.Stats(); return s.Connections == 0 && s.Rooms == 0 && s.Users == 0 })
	eventually(t, "all is given back", func() bool { return b.subscribed.Load() == 0 && b.occupations.Load() == 0 })
	if b.unbalanced.Load() {
		t.Error("something was given back twice")
	}
}
