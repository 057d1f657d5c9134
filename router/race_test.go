package router_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
	"sluice/router/membroker"
)

// Clients join, leave, publish, read presence and vanish, all at once and in a
// few rooms, while generations are swapped. Afterwards nothing may be left.
func TestJoinsLeavesPublishesAndEndsMayRace(t *testing.T) {
	hub := membroker.NewHub()
	var nodes []*node
	var brokers []*broker
	for range 2 {
		b := &broker{}
		brokers = append(brokers, b)
		nodes = append(nodes, startNodeWith(t, b, hub.Node(), withPresence("p*")))
	}
	swapping, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(swapping)
		for i := uint64(2); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			f := newFilters().on(router.HookMessage, func(*router.Event) {}).on(router.HookLeave, func(*router.Event) {})
			old := nodes[i%2].Swap(&router.Generation{Number: i, Filters: f, Rooms: nodes[i%2].Generation().Rooms})
			if f, ok := old.Filters.(*filters); ok {
				f.retired.Store(true)
			}
		}
	}()
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for life := range 4 {
				ws, _, err := nodes[(i+life)%2].dialRaw(fmt.Sprint("client_id=u", i%5), nil)
				if err != nil {
					t.Error(err)
					return
				}
				reading := make(chan struct{})
				go func() {
					defer close(reading)
					for {
						if _, _, err := ws.Read(context.Background()); err != nil {
							return
						}
					}
				}()
				for range 50 {
					room := []string{"p1", "p2", "q1"}[rand.IntN(3)]
					command := []string{
						`{"type":"join_room","room":"` + room + `"}`,
						`{"type":"leave_room","room":"` + room + `"}`,
						`{"type":"room_message","room":"` + room + `","content":1}`,
						`{"type":"presence","room":"` + room + `"}`,
						`{"type":"direct_message","target_user":"u1","content":1}`,
						`{"type":"chat","content":1}`,
					}[rand.IntN(6)]
					if ws.Write(context.Background(), websocket.MessageText, []byte(command)) != nil {
						break
					}
				}
				if life%2 == 0 {
					ws.Close(websocket.StatusNormalClosure, "")
				}
				ws.CloseNow()
				<-reading
			}
		}()
	}
	clients.Wait()
	close(stop)
	<-swapping
	for i, n := range nodes {
		eventually(t, "nothing is left", func() bool {
			s := n.Stats()
			return s.Connections+s.Rooms+s.Users == 0 && brokers[i].subscribed.Load() == 0 && brokers[i].occupations.Load() == 0
		})
		if s := n.Stats(); s.Panics != 0 || brokers[i].unbalanced.Load() {
			t.Errorf("%d panics: %s", s.Panics, n.logs)
		}
	}
}

// Each message must be of one identity as a whole, while the identity is
// replaced, looked at by revocations, and expires in the end.
func TestRefreshesMayRaceWithMessagesAndRevocations(t *testing.T) {
	is := newIssuer()
	stamp := func(e *router.Event) { e.Verdict.Payload = append([]byte(nil), e.Claims...) }
	is.on(router.HookMessage, stamp)
	n := startNode(t, withFilters(is), quietRooms)
	const versions = 5
	identity := func(v int) router.Identity {
		return router.Identity{User: "ann", Claims: fmt.Appendf(nil, `{"v":%d,"jti":"t%d","tags":["g%d"]}`, v, v, v), Info: fmt.Appendf(nil, `{"v":%d}`, v),
			Expires: time.Now().Add(time.Hour)}
	}
	for v := range versions + 1 {
		is.issue(fmt.Sprint("v", v), identity(v))
	}
	u := n.connect(t, "token=v0")
	u.join("r")
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, v := range []router.Revocation{{TokenID: "none"}, {Tag: "none"}, {User: "bob"}} {
					if closed, err := n.Revoke(v); closed != 0 || err != nil {
						t.Errorf("closed %d: %v", closed, err)
					}
				}
			}
		})
	}
	others.Go(func() {
		for v := 1; v <= versions; v++ {
			for range 100 {
				u.send(`{"type":"room_message","room":"r","content":1}`)
			}
			u.send(refreshCommand(fmt.Sprint("v", v)))
		}
		u.send(`{"type":"ping"}`)
	})
	version, chats := 0, 0
	for e := u.next(); e.name() != "pong"; e = u.next() {
		switch e.name() {
		case "refreshed":
			version++
		case "chat":
			content, info := e["content"].(map[string]any), e["info"].(map[string]any)
			if content["v"] != info["v"] || info["v"] != float64(version) {
				t.Fatalf("in version %d: claims %v, info %v", version, content, info)
			}
			chats++
		default:
			t.Errorf("got %v", e)
		}
	}
	close(stop)
	others.Wait()
	if version != versions || chats != versions*100 {
		t.Errorf("%d refreshes, %d messages", version, chats)
	}
}
