package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router/redisbroker/redistest"
)

// TestManyClientsRecoverAtOnce: on one node everyone comes back at the same moment,
// each with fifty messages to catch up. FAULTS=full takes 5,000 clients.
func TestManyClientsRecoverAtOnce(t *testing.T) {
	clients, members, missed := 200, 4, 20
	if full {
		clients, missed = 5000, 50
	}
	server := redistest.Start(t)
	n := startNode(t, "many", fmt.Sprintf("heartbeat: {ping: 10m, pong: 10m}\nbroker: redis\nredis: {addresses: [%q]}", server.Addr))
	rooms := clients / members

	places := missing(t, n, clients, rooms, missed)
	before := n.Metrics()["process_resident_memory_bytes"]

	// They connect first, and ask all at once.
	peers := make([]*peer, clients)
	each(t, clients, 64, func(ctx context.Context, i int) (err error) {
		peers[i], err = dialPlain(ctx, n, i)
		return err
	})
	var slowest atomic.Int64
	var again atomic.Int64 // asked once more, for the node was busy
	begun := time.Now()
	each(t, clients, clients, func(ctx context.Context, i int) error {
		defer peers[i].CloseNow()
		for {
			joined, err := peers[i].join(ctx, i%rooms, &places[i])
			if err == errUnavailable {
				again.Add(1)
				pause(ctx, 100*time.Millisecond)
				continue
			}
			if err != nil {
				return err
			}
			slowest.Store(max(slowest.Load(), int64(time.Since(begun))))
			return caughtUp(joined, i%rooms, missed)
		}
	})
	took := time.Since(begun)
	t.Logf("%d clients recovered %d messages each within %s (%.0f a second), the last after %s; asked again %d times; the node had %.0f MiB before and %d MiB at most",
		clients, missed, took.Round(time.Millisecond), float64(clients)/took.Seconds(), time.Duration(slowest.Load()).Round(time.Millisecond), again.Load(), before/(1<<20), n.peak()>>20)
	if grown := float64(n.peak()) - before; full && grown > 1<<30 {
		t.Errorf("the node took %.0f MiB more for it", grown/(1<<20))
	}
}

// missing has everyone join and leave, and messages sent to every room afterwards. It
// returns where everyone was.
func missing(t *testing.T, n *node, clients, rooms, missed int) []place {
	t.Helper()
	places := make([]place, clients)
	each(t, clients, 64, func(ctx context.Context, i int) error {
		p, err := dialPlain(ctx, n, i)
		if err != nil {
			return err
		}
		defer p.CloseNow()
		joined, err := p.join(ctx, i%rooms, nil)
		places[i] = place{joined.Epoch, joined.Offset}
		return err
	})
	each(t, rooms, 16, func(ctx context.Context, room int) error {
		p, err := dialPlain(ctx, n, clients+room)
		if err != nil {
			return err
		}
		defer p.CloseNow()
		for number := range missed {
			if err := p.write(ctx, map[string]any{"type": "room_message", "room": kept(room), "id": number + 1, "content": []int{room, number + 1}}); err != nil {
				return err
			}
			if e, err := p.until(ctx, "ack"); err != nil || e.Offset != uint64(number+1) {
				return fmt.Errorf("room %d: %+v, %w", room, e, err)
			}
		}
		return nil
	})
	return places
}

// caughtUp checks that a recovery brought all of what was missed, in order.
func caughtUp(joined *event, room, missed int) error {
	if joined.Recovered == nil || !*joined.Recovered || len(joined.Messages) != missed {
		return fmt.Errorf("room %d: recovered %v, %d messages", room, joined.Recovered, len(joined.Messages))
	}
	for i, m := range joined.Messages {
		if want := fmt.Sprintf("[%d,%d]", room, i+1); string(m.Content) != want || m.Offset != uint64(i+1) {
			return fmt.Errorf("room %d: message %d is %s at offset %d", room, i+1, m.Content, m.Offset)
		}
	}
	return nil
}

// TestManyRoomsComeBack: a node is in many rooms when its subscription is killed.
// FAULTS=full takes 100,000 rooms, with and without history.
func TestManyRoomsComeBack(t *testing.T) {
	rooms, perClient := 2000, 100
	if full {
		rooms, perClient = 100000, 1000
	}
	for name, room := range map[string]func(int) string{"kept": kept, "plain": func(i int) string { return fmt.Sprint("plain:", i) }} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			client := server.Client(t)
			n := startNode(t, "rooms", fmt.Sprintf("heartbeat: {ping: 10m, pong: 10m}\nlimits: {rooms_per_connection: %d, queue: 64MiB}\nbroker: redis\nredis: {addresses: [%q]}", perClient, server.Addr))
			peers := make([]*peer, rooms/perClient)
			begun := time.Now()
			before := n.Metrics()["process_resident_memory_bytes"]
			joinAll(t, n, peers, perClient, room)
			subscribed := time.Since(begun)
			runtime.GC()
			after := n.Metrics()["process_resident_memory_bytes"]
			channels := func() int {
				list, err := client.PubSubChannels(t.Context(), "*").Result()
				done(t, err)
				return len(list)
			}
			all := channels()
			if all < rooms {
				t.Fatalf("the node is in %d rooms, and subscribed to %d channels", rooms, all)
			}
			begun = time.Now()
			done(t, client.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
			until(t, "the node is not subscribed any more", func() bool { return channels() < all })
			until(t, "all subscriptions are back", func() bool { return channels() == all })
			back := time.Since(begun)
			// Every room is told, or has its history read; then it is alive.
			hearAll(t, peers, perClient, room)
			t.Logf("%d rooms: joined in %s (%.0f a second), %.0f MiB more (%.0f bytes a room); subscribed again %s after the kill, at most %d MiB",
				rooms, subscribed.Round(time.Millisecond), float64(rooms)/subscribed.Seconds(), (after-before)/(1<<20), (after-before)/float64(rooms), back.Round(time.Millisecond), n.peak()>>20)
			for _, p := range peers {
				p.CloseNow()
			}
		})
	}
}

// joinAll connects clients and has each of them join its share of the rooms.
func joinAll(t *testing.T, n *node, peers []*peer, perClient int, room func(int) string) {
	t.Helper()
	each(t, len(peers), 16, func(ctx context.Context, i int) (err error) {
		if peers[i], err = dialPlain(ctx, n, i); err != nil {
			return err
		}
		var asking sync.WaitGroup
		defer asking.Wait()
		asking.Go(func() { // answers come meanwhile
			for j := range perClient {
				_ = peers[i].write(ctx, map[string]any{"type": "join_room", "room": room(i*perClient + j), "id": j + 1})
			}
		})
		for range perClient {
			if _, err := peers[i].until(ctx, "joined"); err != nil {
				return err
			}
		}
		return nil
	})
}

// hearAll has each client told of the gap of each room without history, and then
// get a message there.
func hearAll(t *testing.T, peers []*peer, perClient int, room func(int) string) {
	t.Helper()
	each(t, len(peers), 16, func(ctx context.Context, i int) error {
		if room(0) != kept(0) {
			for range perClient {
				if _, err := peers[i].until(ctx, "gap"); err != nil {
					return err
				}
			}
		}
		for j := range perClient {
			name := room(i*perClient + j)
			if err := peers[i].write(ctx, map[string]any{"type": "room_message", "room": name, "content": j}); err != nil {
				return err
			}
			e, err := peers[i].until(ctx, "chat")
			if err != nil || e.Room != name {
				return fmt.Errorf("%s is not alive: %+v, %w", name, e, err)
			}
		}
		return nil
	})
}

func kept(room int) string { return fmt.Sprint("kept:", room) }

// each does something for each of a number of things, so many at a time, and fails
// the test if one fails.
func each(t *testing.T, number, atOnce int, do func(ctx context.Context, i int) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	var (
		work   sync.WaitGroup
		failed atomic.Pointer[error]
		next   atomic.Int64
	)
	for range min(number, atOnce) {
		work.Go(func() {
			for i := next.Add(1) - 1; i < int64(number) && failed.Load() == nil; i = next.Add(1) - 1 {
				if err := do(ctx, int(i)); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	work.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
}

// peer is a connection of which a test does all the talking. Most of the time
// nobody reads from it, so it answers no heartbeat.
type peer struct{ *websocket.Conn }

func dialPlain(ctx context.Context, n *node, i int) (*peer, error) {
	conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/ws?client_id=p%d", n.Clients, i), nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(4 << 20)
	return &peer{conn}, nil
}

func (p *peer) write(ctx context.Context, command map[string]any) error {
	frame, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return p.Write(ctx, websocket.MessageText, frame)
}

var errUnavailable = fmt.Errorf("unavailable")

// until reads until an event of that name comes.
func (p *peer) until(ctx context.Context, name string) (*event, error) {
	for {
		_, frame, err := p.Read(ctx)
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(frame, []byte(`{"event":"`+name+`"`)) && !bytes.HasPrefix(frame, []byte(`{"event":"error"`)) {
			continue
		}
		var e event
		if err := json.Unmarshal(frame, &e); err != nil {
			return nil, err
		}
		if e.Event == "error" {
			if e.Code == "unavailable" {
				return nil, errUnavailable
			}
			return nil, fmt.Errorf("refused: %s: %s", e.Code, e.Reason)
		}
		return &e, nil
	}
}

func (p *peer) join(ctx context.Context, room int, from *place) (*event, error) {
	command := map[string]any{"type": "join_room", "room": kept(room), "id": joinID}
	if from != nil {
		command["recover"] = map[string]any{"epoch": from.epoch, "offset": from.offset}
	}
	if err := p.write(ctx, command); err != nil {
		return &event{}, err
	}
	e, err := p.until(ctx, "joined")
	if err != nil {
		return &event{}, err
	}
	return e, nil
}
