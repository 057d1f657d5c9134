package redisbroker

import (
	"errors"
	"net"
	"testing"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// replica starts a replica of a master, whose replication can be cut.
func replica(t *testing.T, master *redistest.Server) (*redistest.Server, *redistest.Proxy) {
	t.Helper()
	link := redistest.NewProxy(t, master.Addr)
	r := redistest.Start(t)
	host, port, _ := net.SplitHostPort(link.Addr)
	do(t, r.Client(t), "replicaof", host, port)
	return r, link
}

// A replica that missed messages reuses their offsets once it is promoted. Whoever
// had them, or might have, must notice.
func TestAStaleReplicaPromotedBeginsAnotherEpoch(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"publish", "subscribe", "read"} {
		t.Run("noticed by a "+first, func(t *testing.T) {
			master := redistest.Start(t)
			other, link := replica(t, master)
			s := scripted(t, master.Addr)
			for range 3 {
				s.say(t, tenMinutes)
			}
			stream := s.keys.stream("lobby")
			awaitThat(t, "replicated: three messages", func() bool {
				n, err := other.Client(t).XLen(t.Context(), stream).Result()
				return err == nil && n == 3
			})
			link.Cut()
			s.say(t, tenMinutes)
			old := s.say(t, tenMinutes).Position // offset 5, which the replica does not have
			master.Kill()
			do(t, other.Client(t), "replicaof", "no", "one")

			s = scripted(t, other.Addr)
			before := s.b.Counters()
			newest := router.Position{}
			switch first {
			case "publish":
				newest = s.say(t, tenMinutes).Position
				if newest.Offset != 4 {
					t.Errorf("the next offset is %d, want 4: they go on", newest.Offset)
				}
			case "subscribe":
				at, err := s.newest(t.Context(), "lobby", router.Keep{})
				if newest = at; err != nil || at.Offset != 3 {
					t.Errorf("the position is %+v, %v; want offset 3", at, err)
				}
			case "read":
				newest = s.behind(t, router.Position{Epoch: old.Epoch, Offset: 3}).Newest
			}
			if newest.Epoch == old.Epoch || newest.Epoch == "" {
				t.Errorf("the epoch is %q still", newest.Epoch)
			}
			for after := range uint64(7) {
				if page := s.behind(t, router.Position{Epoch: old.Epoch, Offset: after}); page.Gapless || page.Newest != newest {
					t.Errorf("behind %d of the old epoch: gapless %t, newest %+v", after, page.Gapless, page.Newest)
				}
			}
			// What is left belongs to the new epoch, and a second look begins no third.
			if page := s.behind(t, router.Position{Epoch: newest.Epoch, Offset: 1}); !page.Gapless || page.Messages[0].Offset != 2 {
				t.Errorf("behind 1 of the new epoch: %s, gapless %t", offsets(page), page.Gapless)
			}
			if next := s.say(t, tenMinutes).Position; next.Epoch != newest.Epoch || next.Offset != newest.Offset+1 {
				t.Errorf("behind %+v came %+v", newest, next)
			}
			s.counted(t, before, map[string]uint64{eventNames[epochStamp]: 1})
		})
	}
}

func TestAReplicaIsNeitherWrittenNorRead(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	other, _ := replica(t, master)
	s := scripted(t, master.Addr)
	s.say(t, tenMinutes)
	awaitThat(t, "replicated", func() bool {
		n, err := other.Client(t).XLen(t.Context(), s.keys.stream("lobby")).Result()
		return err == nil && n == 1
	})
	s = scripted(t, other.Addr)
	if _, err := s.publish(t.Context(), said(tenMinutes)); !errors.Is(err, router.ErrUnavailable) {
		t.Errorf("publish on a replica: %v", err)
	}
	if _, err := s.newest(t.Context(), "lobby", tenMinutes); !errors.Is(err, router.ErrUnavailable) {
		t.Errorf("the position of a replica: %v", err)
	}
	if page, err := s.history(t.Context(), "lobby", router.HistoryQuery{Limit: 1}); !errors.Is(err, router.ErrUnavailable) {
		t.Errorf("the history of a replica: %+v, %v", page, err)
	}
}
