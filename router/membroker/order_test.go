package membroker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/router"
	"sluice/router/membroker"
)

// sinkTo starts a broker with a function for a sink.
func sinkTo(t *testing.T, b router.Broker, f func(m *router.Message)) router.Broker {
	t.Helper()
	if err := b.Start(sinkFunc(f)); err != nil {
		t.Fatalf("Start: %v", err)
	}
	return b
}

func subscribe(t testing.TB, b router.Broker, room string) {
	t.Helper()
	if _, err := b.Subscribe(t.Context(), router.Topic{Name: room}, router.Keep{}); err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
}

func roomMessage(room, id string) *router.Message {
	return &router.Message{Kind: router.RoomMessage, Room: room, ID: id}
}

// stuck is a sink whose deliveries to room "stuck" wait until it is released.
type stuck struct {
	inside    chan struct{} // closed at the first call for the room
	release   chan struct{}
	once      sync.Once
	delivered atomic.Int64
}

func newStuck() *stuck {
	return &stuck{inside: make(chan struct{}), release: make(chan struct{})}
}

func (s *stuck) Describe() router.NodeInfo { return router.NodeInfo{} }

func (s *stuck) Deliver(m *router.Message) {
	if m.Room == "stuck" {
		s.once.Do(func() { close(s.inside) })
		<-s.release
	}
	s.delivered.Add(1)
}

// queueCapacity is how many messages a room holds behind the one that is being
// delivered.
const queueCapacity = 256

// fill publishes one message that gets stuck, and as many as fit behind it.
func (s *stuck) fill(t *testing.T, b router.Broker) {
	t.Helper()
	go b.Publish(context.Background(), roomMessage("stuck", "first"))
	<-s.inside
	for i := range queueCapacity {
		if _, err := b.Publish(t.Context(), roomMessage("stuck", fmt.Sprint(i))); err != nil {
			t.Fatalf("Publish: %v", err)
		}
	}
}

func TestARoomThatIsBehindHoldsUpNoOther(t *testing.T) {
	s, b := newStuck(), membroker.New()
	if err := b.Start(s); err != nil {
		t.Fatal(err)
	}
	subscribe(t, b, "stuck")
	s.fill(t, b)
	for i := range 200 { // some share a shard with the stuck one
		name := fmt.Sprint("room ", i)
		subscribe(t, b, name)
		before := s.delivered.Load()
		if _, err := b.Publish(t.Context(), roomMessage(name, "x")); err != nil || s.delivered.Load() != before+1 {
			t.Fatalf("a message to %s: error %v, %d delivered; want one", name, err, s.delivered.Load()-before)
		}
	}
	close(s.release)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestAPublisherToAFullQueueWaitsForItToMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newStuck(), membroker.New()
		if err := b.Start(s); err != nil {
			t.Fatal(err)
		}
		subscribe(t, b, "stuck")
		s.fill(t, b)

		var published atomic.Int64
		for range 1000 {
			go func() {
				if _, err := b.Publish(t.Context(), roomMessage("stuck", "late")); err != nil {
					t.Errorf("Publish: %v", err)
				}
				published.Add(1)
			}()
		}
		synctest.Wait()
		if n := published.Load(); n != 0 {
			t.Errorf("%d publishers did not wait", n)
		}
		close(s.release)
		synctest.Wait()
		if p, d := published.Load(), s.delivered.Load(); p != 1000 || d != 1+queueCapacity+1000 {
			t.Errorf("%d were published and %d delivered; want 1000 and %d", p, d, 1+queueCapacity+1000)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAQueueIsFullAtAMebibyteOfContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newStuck(), membroker.New()
		if err := b.Start(s); err != nil {
			t.Fatal(err)
		}
		subscribe(t, b, "stuck")
		go b.Publish(t.Context(), roomMessage("stuck", "first"))
		<-s.inside
		m := roomMessage("stuck", "large")
		m.Content = make([]byte, 64<<10)
		for range 16 {
			if _, err := b.Publish(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := b.Publish(ctx, m); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Publish behind 1 MiB: error %v, want to have waited", err)
		}
		close(s.release)
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAWaitingPublisherGivesUpWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newStuck(), membroker.New()
		if err := b.Start(s); err != nil {
			t.Fatal(err)
		}
		subscribe(t, b, "stuck")
		s.fill(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Publish(ctx, roomMessage("stuck", "never"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, router.ErrUnavailable) {
			t.Errorf("Publish: error %v, want %v and %v", err, context.DeadlineExceeded, router.ErrUnavailable)
		}
		close(s.release)
		synctest.Wait()
		if d := s.delivered.Load(); d != 1+queueCapacity {
			t.Errorf("%d were delivered, want %d: not the one that was given up", d, 1+queueCapacity)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAWaitingPublisherGivesUpWhenItsNodeCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := membroker.NewHub()
		s, other := newStuck(), hub.Node()
		if err := other.Start(s); err != nil {
			t.Fatal(err)
		}
		subscribe(t, other, "stuck")
		s.fill(t, other)
		b := sinkTo(t, hub.Node(), func(*router.Message) {})
		failed := make(chan error)
		go func() {
			_, err := b.Publish(context.Background(), roomMessage("stuck", "never"))
			failed <- err
		}()
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, router.ErrBrokerClosed) {
			t.Errorf("Publish: error %v, want %v", err, router.ErrBrokerClosed)
		}
		close(s.release)
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestHealthReportsAQueueThatHasBeenFullForTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newStuck(), membroker.New()
		if err := b.Start(s); err != nil {
			t.Fatal(err)
		}
		subscribe(t, b, "stuck")
		s.fill(t, b)
		go b.Publish(t.Context(), roomMessage("stuck", "late"))
		synctest.Wait()
		time.Sleep(9 * time.Second)
		if err := b.Health(t.Context()); err != nil {
			t.Errorf("after 9 s: %v", err)
		}
		time.Sleep(2 * time.Second)
		want := `membroker: deliveries to room "stuck" have not moved for 11s, with publishers waiting`
		if err := b.Health(t.Context()); err == nil || err.Error() != want {
			t.Errorf("after 11 s: error %v, want %s", err, want)
		}
		close(s.release)
		synctest.Wait()
		if err := b.Health(t.Context()); err != nil {
			t.Errorf("once it moved: %v", err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A publisher delivers for others, but goes back to its client after a bounded
// number: what it leaves is still delivered, in order.
func TestNoPublisherIsCapturedByTheLoadOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const share = 16
		inside, returned := make(chan struct{}), make(chan struct{})
		step := make(chan struct{}) // one receive lets one delivery go on
		var order []string
		b := sinkTo(t, membroker.New(), func(m *router.Message) {
			if m.ID == "first" {
				close(inside)
			}
			<-step
			order = append(order, m.ID)
		})
		subscribe(t, b, "lobby")
		go func() {
			b.Publish(t.Context(), roomMessage("lobby", "first"))
			close(returned)
		}()
		<-inside
		want := []string{"first"}
		for i := range 100 {
			id := fmt.Sprint(i)
			want = append(want, id)
			if _, err := b.Publish(t.Context(), roomMessage("lobby", id)); err != nil {
				t.Fatal(err)
			}
		}
		for range 1 + share {
			step <- struct{}{}
		}
		<-returned // though 84 messages still wait
		for range 100 - share {
			step <- struct{}{}
		}
		synctest.Wait()
		if fmt.Sprint(order) != fmt.Sprint(want) {
			t.Errorf("delivered %v, want %v", order, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatWasAcceptedReachesOtherNodesThoughThePublishersNodeCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := membroker.NewHub()
		s, other := newStuck(), hub.Node()
		if err := other.Start(s); err != nil {
			t.Fatal(err)
		}
		subscribe(t, other, "stuck")
		b := sinkTo(t, hub.Node(), func(*router.Message) {})
		s.fill(t, b)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		close(s.release)
		synctest.Wait()
		if d := s.delivered.Load(); d != 1+queueCapacity {
			t.Errorf("%d were delivered, want %d", d, 1+queueCapacity)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseOfTheLastNodeLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newStuck(), membroker.New()
		if err := b.Start(s); err != nil {
			t.Fatal(err)
		}
		subscribe(t, b, "stuck")
		s.fill(t, b)
		closed := make(chan struct{})
		go func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned during a call of Deliver")
		default:
		}
		close(s.release)
		<-closed
		if d := s.delivered.Load(); d != 1 {
			t.Errorf("%d were delivered; want none after Close began but the one under way", d)
		}
	})
}

func TestMisuseIsReported(t *testing.T) {
	b := membroker.New()
	if err := b.Start(nil); err == nil {
		t.Error("Start without a sink succeeded")
	}
	if err := b.Health(t.Context()); err == nil {
		t.Error("Health before Start succeeded")
	}
	sinkTo(t, b, func(*router.Message) {})
	defer b.Close()
	if err := b.Start(newStuck()); err == nil {
		t.Error("a second Start succeeded")
	}
	if _, err := b.Publish(t.Context(), &router.Message{}); err == nil {
		t.Error("publishing a message of no kind succeeded")
	}
	if _, err := b.Present(t.Context(), "lobby", 0, ""); err == nil {
		t.Error("a page of no users succeeded")
	}
}
