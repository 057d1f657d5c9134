package brokertest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/router"
)

var presenceTests = []test{
	{"an empty room has nobody in it", 1, func(t *testing.T, c *cluster) {
		page, err := c.nodes[0].Present(t.Context(), "lobby", 10, "")
		if err != nil || page.Total != 0 || len(page.Users) != 0 || page.Cursor != "" {
			t.Errorf("Present: %+v, %v; want an empty page", page, err)
		}
	}},
	{"who enters is seen on every node until he leaves", 2, func(t *testing.T, c *cluster) {
		enter(c.nodes[0], "lobby", "ann", 1)
		enter(c.nodes[1], "lobby", "bob", 2)
		for _, n := range c.nodes {
			present(n, "lobby", "ann", 1, "bob", 1)
		}
		leave(c.nodes[0], "lobby", "ann", 1)
		for _, n := range c.nodes {
			present(n, "lobby", "bob", 1)
		}
		leave(c.nodes[1], "lobby", "bob", 2)
		for _, n := range c.nodes {
			present(n, "lobby")
		}
	}},
	{"a user of several connections is one, and stays until the last one leaves", 2, func(t *testing.T, c *cluster) {
		enter(c.nodes[0], "lobby", "ann", 1)
		enter(c.nodes[0], "lobby", "ann", 2)
		enter(c.nodes[1], "lobby", "ann", 3)
		present(c.nodes[0], "lobby", "ann", 3)
		leave(c.nodes[0], "lobby", "ann", 1)
		present(c.nodes[1], "lobby", "ann", 2)
		leave(c.nodes[1], "lobby", "ann", 3)
		present(c.nodes[1], "lobby", "ann", 1)
		leave(c.nodes[0], "lobby", "ann", 2)
		present(c.nodes[1], "lobby")
	}},
	{"a connection that enters twice counts once, with its new info", 1, func(t *testing.T, c *cluster) {
		enter(c.nodes[0], "lobby", "ann", 1)
		o := router.Occupant{Conn: 1, User: "ann", Info: []byte(`"new"`)}
		if _, err := c.nodes[0].Enter(t.Context(), "lobby", o); err != nil {
			t.Fatalf("Enter: %v", err)
		}
		eventually(t, func() error {
			page, err := c.nodes[0].Present(t.Context(), "lobby", 10, "")
			if err != nil {
				return err
			}
			if len(page.Users) != 1 || page.Users[0].Connections != 1 || string(page.Users[0].Info) != `"new"` {
				return fmt.Errorf("present are %s, want ann once with the new info", describe(page.Users))
			}
			return nil
		})
	}},
	{"a user is shown with the info of a connection that is there", 2, func(t *testing.T, c *cluster) {
		enter(c.nodes[0], "lobby", "ann", 1)
		enter(c.nodes[1], "lobby", "ann", 2)
		leave(c.nodes[1], "lobby", "ann", 2)
		present(c.nodes[0], "lobby", "ann", 1)
		page, err := c.nodes[0].Present(t.Context(), "lobby", 10, "")
		if err != nil || len(page.Users) != 1 || string(page.Users[0].Info) != info("ann", 1) {
			t.Errorf("Present: %s, %v; want ann with %s", describe(page.Users), err, info("ann", 1))
		}
	}},
	{"an occupant who is not there may leave", 1, func(t *testing.T, c *cluster) {
		leave(c.nodes[0], "lobby", "ann", 1)
		enter(c.nodes[0], "lobby", "ann", 1)
		leave(c.nodes[0], "lobby", "ann", 2)
		leave(c.nodes[0], "lobby", "bob", 1)
		leave(c.nodes[0], "attic", "ann", 1)
		present(c.nodes[0], "lobby", "ann", 1)
	}},
	{"presence is a room's own", 1, func(t *testing.T, c *cluster) {
		enter(c.nodes[0], "lobby", "ann", 1)
		enter(c.nodes[0], "attic", "bob", 2)
		present(c.nodes[0], "lobby", "ann", 1)
		present(c.nodes[0], "attic", "bob", 1)
	}},
	{"presence comes in pages sorted by user, with the total on each", 2, pages},
	{"users who come and go between pages neither repeat nor hide others", 1, pagesAmidChange},
	{"presence is right after many came and went at once", 2, presenceChurn},
	{"the first connection of a user and the last are told, over all nodes", 3, firstAndLast},
	{"of connections that enter or leave at once one is the first and one the last", 3, oneFirstOneLast},
	{"arrivals and departures alternate, whatever enters and leaves at once", 3, arrivalsAlternate},
	{"who was in the room by a closed node alone arrives anew", 2, func(t *testing.T, c *cluster) {
		tells(t, c.nodes[1], enters, "ann", 1, true)
		tells(t, c.nodes[0], enters, "bob", 2, true)
		tells(t, c.nodes[1], enters, "bob", 3, false)
		c.nodes[1].close()
		present(c.nodes[0], "lobby", "bob", 1)
		tells(t, c.nodes[0], enters, "ann", 4, true)
		tells(t, c.nodes[0], leaves, "bob", 2, true)
	}},
	{"a node that closes takes its occupants with it", 2, func(t *testing.T, c *cluster) {
		enter(c.nodes[0], "lobby", "ann", 1)
		enter(c.nodes[1], "lobby", "ann", 2)
		enter(c.nodes[1], "lobby", "bob", 3)
		enter(c.nodes[1], "attic", "bob", 3)
		present(c.nodes[0], "lobby", "ann", 2, "bob", 1)
		c.nodes[1].close()
		present(c.nodes[0], "lobby", "ann", 1)
		present(c.nodes[0], "attic")
	}},
}

func info(user string, conn uint64) string { return fmt.Sprintf(`{"user":%q,"conn":%d}`, user, conn) }

func occupant(user string, conn uint64) router.Occupant {
	return router.Occupant{Conn: conn, User: user, Info: []byte(info(user, conn))}
}

func enter(n *node, room, user string, conn uint64) {
	n.t.Helper()
	if _, err := n.Enter(n.t.Context(), room, occupant(user, conn)); err != nil {
		n.t.Errorf("node %d: Enter: %v", n.index, err)
	}
}

func leave(n *node, room, user string, conn uint64) {
	n.t.Helper()
	if _, err := n.Leave(n.t.Context(), room, occupant(user, conn)); err != nil {
		n.t.Errorf("node %d: Leave: %v", n.index, err)
	}
}

// present waits until the room holds exactly these users: pairs of name and
// number of connections, sorted.
func present(n *node, room string, pairs ...any) {
	n.t.Helper()
	var want string
	for i := 0; i < len(pairs); i += 2 {
		want += fmt.Sprintf(" %q×%d", pairs[i], pairs[i+1])
	}
	eventually(n.t, func() error {
		page, err := n.Present(n.t.Context(), room, 1000, "")
		if err != nil {
			return err
		}
		if got := describe(page.Users); got != want || page.Total != len(pairs)/2 || page.Cursor != "" {
			return fmt.Errorf("node %d: in room %q are%s (total %d, cursor %q), want%s", n.index, room, got, page.Total, page.Cursor, want)
		}
		return nil
	})
}

func describe(users []router.OccupiedBy) string {
	var s string
	for _, u := range users {
		s += fmt.Sprintf(" %q×%d", u.User, u.Connections)
	}
	return s
}

func userName(i int) string { return fmt.Sprintf("user %04d", i) }

// awaitTotal waits until this many users are in the lobby.
func awaitTotal(n *node, users int) {
	n.t.Helper()
	eventually(n.t, func() error {
		page, err := n.Present(n.t.Context(), "lobby", 1, "")
		if err == nil && page.Total != users {
			err = fmt.Errorf("%d users are in the lobby, want %d", page.Total, users)
		}
		return err
	})
}

func pages(t *testing.T, c *cluster) {
	const users = 997
	for i := range users {
		i = i * 7 % users // in no order
		enter(c.nodes[i%2], "lobby", userName(i), uint64(i+1))
	}
	awaitTotal(c.nodes[0], users)
	for _, limit := range []int{1, 2, 100, 996, 997, 998, 5000} {
		next, cursor := 0, ""
		for {
			page, err := c.nodes[0].Present(t.Context(), "lobby", limit, cursor)
			if err != nil {
				t.Fatalf("Present: %v", err)
			}
			if want := min(limit, users-next); len(page.Users) != want || page.Total != users {
				t.Fatalf("with limit %d: %d users of %d on the page from user %d, want %d of %d", limit, len(page.Users), page.Total, next, want, users)
			}
			for _, u := range page.Users {
				if u.User != userName(next) {
					t.Fatalf("with limit %d: user %q, want %q", limit, u.User, userName(next))
				}
				next++
			}
			if (page.Cursor == "") != (next == users) {
				t.Fatalf("with limit %d: after user %d the cursor is %q", limit, next, page.Cursor)
			}
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
	}
}

func pagesAmidChange(t *testing.T, c *cluster) {
	n := c.nodes[0]
	for i := 0; i < 100; i += 2 {
		enter(n, "lobby", userName(i), uint64(i+1))
	}
	awaitTotal(n, 50)
	seen := make(map[string]bool)
	for cursor, page := "", 0; ; page++ {
		p, err := n.Present(t.Context(), "lobby", 10, cursor)
		if err != nil {
			t.Fatalf("Present: %v", err)
		}
		for _, u := range p.Users {
			if seen[u.User] {
				t.Fatalf("%s is on two pages", u.User)
			}
			seen[u.User] = true
		}
		if cursor = p.Cursor; cursor == "" {
			break
		}
		// Users of the page leave, its last one too, or enter among those shown.
		for i := page * 20; i < page*20+20; i += 2 {
			if page%2 == 0 {
				leave(n, "lobby", userName(i), uint64(i+1))
			} else {
				enter(n, "lobby", userName(i-1), uint64(i))
			}
		}
	}
	for i := 0; i < 100; i += 2 {
		if !seen[userName(i)] {
			t.Errorf("%s is on no page", userName(i))
		}
	}
}

func presenceChurn(t *testing.T, c *cluster) {
	const workers, rounds = 8, 50
	var wg sync.WaitGroup
	for w := range workers {
		n := c.nodes[w%2]
		wg.Go(func() {
			for r := range rounds {
				enter(n, "lobby", userName(r%10), uint64(w+1))
				if _, err := n.Present(t.Context(), "lobby", 3, userName(r%10)); err != nil {
					t.Errorf("Present: %v", err)
				}
				if r < rounds-1 {
					leave(n, "lobby", userName(r%10), uint64(w+1))
				}
			}
		})
	}
	wg.Wait()
	present(c.nodes[0], "lobby", userName((rounds-1)%10), workers)
}

const enters, leaves = true, false

// change has a connection enter the lobby, or leave it, and returns what the
// broker tells: that it was the first, or the last. It may be used on any goroutine.
func change(n *node, enters bool, user string, conn uint64) bool {
	method, call := "Enter", n.Enter
	if !enters {
		method, call = "Leave", n.Leave
	}
	edge, err := call(n.t.Context(), "lobby", occupant(user, conn))
	if err != nil {
		n.t.Errorf("node %d: %s: %v", n.index, method, err)
	}
	return edge
}

// tells checks what the broker tells of a change.
func tells(t *testing.T, n *node, enters bool, user string, conn uint64, want bool) {
	t.Helper()
	if got := change(n, enters, user, conn); got != want {
		what := "Enter was told to be the first"
		if !enters {
			what = "Leave was told to be the last"
		}
		t.Errorf("node %d, connection %d of %s: %s: %t, want %t", n.index, conn, user, what, got, want)
	}
}

func firstAndLast(t *testing.T, c *cluster) {
	a, b, d := c.nodes[0], c.nodes[1], c.nodes[2]
	for range 3 {
		tells(t, a, leaves, "ann", 1, false) // is not there
		tells(t, a, enters, "ann", 1, true)
		tells(t, a, enters, "ann", 1, false) // again
		tells(t, b, enters, "bob", 2, true)  // another user
		tells(t, a, enters, "ann", 3, false)
		tells(t, b, enters, "ann", 4, false)
		tells(t, d, leaves, "ann", 1, false) // is another node's
		tells(t, a, leaves, "ann", 1, false)
		tells(t, a, leaves, "ann", 3, false)
		tells(t, d, enters, "ann", 5, false)
		tells(t, b, leaves, "ann", 4, false)
		tells(t, d, leaves, "ann", 5, true)
		tells(t, d, leaves, "ann", 5, false)
		tells(t, a, enters, "bob", 6, false)
		tells(t, b, leaves, "bob", 2, false)
		tells(t, a, leaves, "bob", 6, true)
	}
}

// oneFirstOneLast has the connections of a user on all nodes enter at once, and
// then leave at once, some twice.
func oneFirstOneLast(t *testing.T, c *cluster) {
	const each, rounds = 3, 50
	for round := range rounds {
		for _, enters := range []bool{enters, leaves} {
			var edges atomic.Int32
			var wg sync.WaitGroup
			begin := make(chan struct{})
			for i, n := range c.nodes {
				for k := range each {
					wg.Go(func() {
						<-begin
						if change(n, enters, "ann", uint64(i*each+k/2+1)) {
							edges.Add(1)
						}
					})
				}
			}
			close(begin)
			wg.Wait()
			if got := edges.Load(); got != 1 {
				t.Fatalf("round %d, entering %t: %d of %d connections were told to be the first, or the last; want 1", round, enters, got, each*len(c.nodes))
			}
		}
	}
	present(c.nodes[0], "lobby")
}

// arrivalsAlternate has connections of a user come and go as they like. At any
// time as many have been told to be the first as the last, or one more.
func arrivalsAlternate(t *testing.T, c *cluster) {
	const each, rounds = 2, 100
	var arrivals, departures atomic.Int32
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		for k := range each {
			conn := uint64(i*each + k + 1)
			wg.Go(func() {
				for range rounds {
					if change(n, enters, "ann", conn) {
						arrivals.Add(1)
					}
					if change(n, leaves, "ann", conn) {
						departures.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if a, d := arrivals.Load(), departures.Load(); a != d || a == 0 {
		t.Errorf("everyone has left: %d arrivals and %d departures were told, want as many, and at least one", a, d)
	}
	tells(t, c.nodes[0], enters, "ann", 100, true)
}
