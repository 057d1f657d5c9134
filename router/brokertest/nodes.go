package brokertest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"sluice/router"
)

var nodeTests = []test{
	{"a node sees itself at once, as it is now", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		for _, connections := range []int{0, 1, 2} {
			n.describeAs(router.NodeInfo{ID: "node 0", Connections: connections})
			all, err := n.Nodes(t.Context())
			if err != nil || len(all) != 1 || all[0].ID != "node 0" || all[0].Connections != connections {
				t.Errorf("Nodes: %+v, %v; want node 0 with %d connections", all, err, connections)
			}
		}
	}},
	{"every node sees all nodes, sorted, as they describe themselves", 3, func(t *testing.T, c *cluster) {
		for i, n := range c.nodes {
			n.describeAs(router.NodeInfo{
				ID: n.Describe().ID, Version: "v1.2.3-\"é", Started: time.Date(2024, 2, 29, 1, 2, 3, 4000000, time.UTC),
				Connections: 1_000_000 + i, Users: 3, Rooms: 4, Generation: 1<<53 - 1, Filters: "sha256:abc", Draining: i == 1,
			})
		}
		var want []router.NodeInfo
		for _, n := range c.nodes {
			want = append(want, n.Describe())
		}
		for _, n := range c.nodes {
			seesNodes(n, want...)
		}
	}},
	{"what changes at a node is seen by the others", 2, func(t *testing.T, c *cluster) {
		seesNodes(c.nodes[0], c.nodes[0].Describe(), c.nodes[1].Describe())
		info := c.nodes[1].Describe()
		info.Connections, info.Generation, info.Draining = 7, 2, true
		c.nodes[1].describeAs(info)
		seesNodes(c.nodes[0], c.nodes[0].Describe(), info)
	}},
	{"a node that closes is seen no more", 2, func(t *testing.T, c *cluster) {
		seesNodes(c.nodes[0], c.nodes[0].Describe(), c.nodes[1].Describe())
		c.nodes[1].close()
		seesNodes(c.nodes[0], c.nodes[0].Describe())
	}},
}

// seesNodes waits until a node sees exactly these.
func seesNodes(n *node, want ...router.NodeInfo) {
	n.t.Helper()
	eventually(n.t, func() error {
		got, err := n.Nodes(n.t.Context())
		if err != nil {
			return err
		}
		if !slices.EqualFunc(got, want, sameInfo) {
			return fmt.Errorf("node %d sees %+v, want %+v", n.index, got, want)
		}
		return nil
	})
}

func sameInfo(a, b router.NodeInfo) bool {
	started := a.Started.Equal(b.Started)
	a.Started, b.Started = time.Time{}, time.Time{}
	return started && a == b
}

var roomTests = []test{
	{"where nobody subscribes there are no rooms", 2, func(t *testing.T, c *cluster) {
		page, err := c.nodes[0].Rooms(t.Context(), 10, "")
		if err != nil || len(page.Rooms) != 0 || page.Cursor != "" {
			t.Errorf("Rooms: %+v, %v; want an empty page", page, err)
		}
	}},
	{"a room is listed once while some node is subscribed to it", 3, func(t *testing.T, c *cluster) {
		for _, n := range c.nodes[:2] {
			n.subscribe(room("lobby"))
			n.subscribe(room("lobby"))
		}
		seesRooms(c, "lobby")
		for range 2 {
			c.nodes[0].Unsubscribe(room("lobby"))
		}
		c.nodes[1].Unsubscribe(room("lobby"))
		c.nodes[2].subscribe(room("attic"))
		seesRooms(c, "attic", "lobby")
		c.nodes[1].Unsubscribe(room("lobby"))
		seesRooms(c, "attic")
	}},
	{"rooms of a node that closes go with it", 2, func(t *testing.T, c *cluster) {
		c.subscribe(room("lobby"))
		c.nodes[1].subscribe(room("attic"))
		seesRooms(c, "attic", "lobby")
		c.nodes[1].close()
		n := c.nodes[0]
		eventually(t, func() error { return listsRooms(n, 10, "lobby") })
	}},
	{"users are no rooms, nor is anything else that a node listens to", 2, func(t *testing.T, c *cluster) {
		c.subscribe(user("ann"))
		c.subscribe(room("lobby"))
		c.subscribe(user("bob"))
		seesRooms(c, "lobby")
	}},
	{"a room that is published to, or has a presence, is none without a subscription", 1, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		n.subscribe(room("lobby"))
		n.publish(message(room("attic")))
		enter(n, "cellar", "ann", 1)
		n.await(n.send(room("lobby")))
		seesRooms(c, "lobby")
	}},
	{"rooms of all allowed names are listed, sorted by their bytes", 2, func(t *testing.T, c *cluster) {
		for i, name := range names {
			c.nodes[i%2].subscribe(room(name))
		}
		seesRooms(c, slices.Sorted(slices.Values(names))...)
	}},
	{"rooms come in pages, on which no other room's coming or going makes one repeat or missing", 2, roomPages},
}

// seesRooms waits until every node lists exactly these, in pages of any size.
func seesRooms(c *cluster, want ...string) {
	c.t.Helper()
	for _, n := range c.nodes {
		for _, limit := range []int{1, 2, len(want), len(want) + 1, 10_000} {
			eventually(c.t, func() error { return listsRooms(n, limit, want...) })
		}
	}
}

// listsRooms is nil if the node lists these rooms, in full pages.
func listsRooms(n *node, limit int, want ...string) error {
	var got []string
	for cursor := ""; ; {
		page, err := n.Rooms(n.t.Context(), limit, cursor)
		if err != nil {
			return err
		}
		got = append(got, page.Rooms...)
		if cursor = page.Cursor; cursor == "" {
			break
		}
		if len(page.Rooms) != limit {
			return fmt.Errorf("node %d: a page of %d rooms with limit %d is followed by another", n.index, len(page.Rooms), limit)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("node %d: with limit %d the rooms are %q, want %q", n.index, limit, got, want)
	}
	return nil
}

func roomPages(t *testing.T, c *cluster) {
	const rooms = 300
	name := func(i int) string { return fmt.Sprintf("room %04d", i) }
	want := make(map[string]bool)
	for i := range rooms {
		c.nodes[i%2].subscribe(room(name(2 * i)))
		want[name(2*i)] = true
	}
	n := c.nodes[0]
	eventually(t, func() error { return listsRooms(n, 7, slices.Sorted(maps.Keys(want))...) })
	seen := make(map[string]bool)
	for cursor, i := "", 0; ; i++ {
		page, err := n.Rooms(t.Context(), 10, cursor)
		if err != nil {
			t.Fatalf("Rooms: %v", err)
		}
		for _, r := range page.Rooms {
			if seen[r] {
				t.Fatalf("%s is on two pages", r)
			}
			seen[r] = true
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
		if i%2 == 0 { // among those shown
			c.nodes[0].subscribe(room(name(20*i + 1)))
			c.nodes[1].subscribe(room(name(20*i + 17)))
		} else { // the last one shown
			c.nodes[1].Unsubscribe(room(name(20*i + 18)))
			delete(want, name(20*i+18))
		}
	}
	for r := range want {
		if !seen[r] {
			t.Errorf("%s is on no page", r)
		}
	}
}
