package router_test

import (
	"fmt"
	"sync"
	"testing"

	"sluice/router"
	"sluice/router/membroker"
)

func TestAUserIsTakenOutOfARoomWithAllHisConnections(t *testing.T) {
	f, left := newFilters(), new(recorded)
	f.on(router.HookLeave, left.hook)
	b := &broker{}
	n := startNodeWith(t, b, membroker.New(), silent, withFilters(f), withPresence("r"))
	one, two, bob := n.as(t, "ann"), n.as(t, "ann"), n.as(t, "bob")
	one.join("r")
	one.join("q")
	two.send(`{"type":"join_room","room":"r"}`)
	two.expect("joined")
	bob.join("r")
	one.expect("user_joined")
	two.expect("user_joined")

	if got := n.RemoveFromRoom("ann", "r", "be kind"); got != 2 {
		t.Errorf("%d memberships were ended, want 2", got)
	}
	for _, u := range []*client{one, two} {
		for e := u.next(); ; e = u.next() {
			if e.name() == "user_left" { // of the other connection, while this one was in the room
				continue
			}
			if e.name() != "left" || e.str("room") != "r" || e.str("reason") != "be kind" || e["id"] != nil {
				t.Errorf("got %v", e)
			}
			break
		}
		u.quiet()
	}
	if e := bob.expect("user_left"); e.str("user_id") != "ann" {
		t.Errorf("got %v", e)
	}
	bob.send(`{"type":"room_message","room":"r","content":1}`)
	bob.expect("chat")
	one.quiet()
	two.quiet()
	events := left.all()
	if len(events) != 2 || events[0].Cause != router.CauseRemoved || events[1].Room != "r" || events[0].User != "ann" {
		t.Errorf("the filters saw %+v", events)
	}
	one.send(`{"type":"room_message","room":"q","content":1}`) // is in the other room still
	one.expect("chat")
	one.join("r") // and may come back
	if b.occupations.Load() != 2 || n.Stats().Removed != 2 {
		t.Errorf("%d occupations, %d removed", b.occupations.Load(), n.Stats().Removed)
	}
	if got := n.RemoveFromRoom("ann", "", ""); got != 2 {
		t.Errorf("%d memberships were ended, want those in all rooms", got)
	}
	for _, room := range []string{one.until("left").str("room") + one.until("left").str("room")} {
		if room != "rq" && room != "qr" {
			t.Errorf("left %s", room)
		}
	}
	if n.RemoveFromRoom("nobody", "r", "") != 0 || n.RemoveFromRoom("ann", "r", "") != 0 {
		t.Error("who is not there was removed")
	}
}

func TestARemovalWaitsForTheCommandThatIsBeingExecuted(t *testing.T) {
	entering, release := make(chan struct{}), make(chan struct{})
	b := &broker{enter: func(string) error {
		close(entering)
		<-release
		return nil
	}}
	n := startNodeWith(t, b, membroker.New(), silent, withPresence("r"))
	u := n.as(t, "ann")
	u.send(`{"type":"join_room","room":"r"}`)
	<-entering
	removed := make(chan int)
	go func() { removed <- n.RemoveFromRoom("ann", "r", "") }()
	close(release)
	if got := <-removed; got != 1 {
		t.Errorf("%d memberships were ended", got)
	}
	u.expect("joined")
	u.until("left")
	eventually(t, "nothing is left", func() bool { return n.Stats().Rooms == 0 && b.occupations.Load() == 0 })
}

// Clients join, leave and end while an operator removes them all the time. Afterwards
// nothing is left of any membership.
func TestRemovalsAtTheSameTimeAsEverythingElseLeaveNothing(t *testing.T) {
	f := newFilters().on(router.HookLeave, func(e *router.Event) {
		*e.States = append((*e.States)[:0], router.State{Filter: "f", Data: []byte(e.Room)}) // is the connection's own
	})
	b := &broker{}
	n := startNodeWith(t, b, membroker.New(), silent, withFilters(f), withRule("**", func(r *router.RoomRule) {
		r.Presence, r.Announce = true, router.AnnounceOff
	}))
	const users, rounds = 6, 60
	stop := make(chan struct{})
	var removers, clients sync.WaitGroup
	for range 2 {
		removers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					n.RemoveFromRoom(fmt.Sprint("u", i%users), []string{"r", "q", ""}[i%3], "")
				}
			}
		})
	}
	for i := range users {
		clients.Go(func() {
			for round := range rounds {
				u := n.as(t, fmt.Sprint("u", i))
				for j := range 20 {
					room := []string{"r", "q"}[j%2]
					u.send(`{"type":"` + []string{"join_room", "room_message", "leave_room"}[j%3] + `","room":"` + room + `","content":1}`)
				}
				u.send(`{"type":"ping","id":"end"}`)
				u.until("pong")
				if round%2 == 0 {
					u.ws.CloseNow()
				} else {
					u.leaveNow()
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	removers.Wait()
	eventually(t, "nothing is left", func() bool {
		return n.Stats().Connections == 0 && n.Stats().Rooms == 0 && b.occupations.Load() == 0 && b.subscribed.Load() == 0 && !b.unbalanced.Load()
	})
	if n.Stats().Removed == 0 {
		t.Error("nobody was removed")
	}
}
