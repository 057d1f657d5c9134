package router

import (
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router/wire"
)

// smallBuffers has the kernel keep little for a connection.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err == nil {
		err = nc.(*net.TCPConn).SetWriteBuffer(16 << 10)
	}
	return nc, err
}

// slowRoom is a room of whose members some never read until they are told to.
type slowRoom struct {
	r            *Router
	slow         []*listener
	reading      int
	got          atomic.Int64 // messages, by all who read
	ends         sync.WaitGroup
	stopExpected atomic.Bool
}

func newSlowRoom(t *testing.T, members, slow int, policy SlowPolicy) *slowRoom {
	limits := DefaultLimits()
	limits.Queue = 64 << 10
	limits.WriteTimeout = 10 * maxWait
	limits.PingInterval = 0
	s := &slowRoom{r: routerOf(t, limits, RoomRule{Announce: AnnounceOff, Slow: policy}), reading: members - slow}
	server := httptest.NewUnstartedServer(s.r)
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	t.Cleanup(func() {
		s.r.Close()
		server.Close()
		s.ends.Wait()
	})
	addr := server.Listener.Addr().String()
	for i := range members {
		if i%(members/slow) == 1 {
			l := listen(t, addr, fmt.Sprint("slow", i))
			l.command(`{"type":"join_room","room":"r"}`)
			l.expect(t, "joined")
			s.slow = append(s.slow, l)
			continue
		}
		l := joined(t, addr, i)
		s.ends.Go(func() { s.read(t, l) })
	}
	t.Cleanup(func() { s.stopExpected.Store(true) }) // before the clients are closed
	return s
}

// read takes all messages, of which none may be missing.
func (s *slowRoom) read(t *testing.T, l *listener) {
	for want := 1; ; want++ {
		m, err := l.next()
		if err != nil {
			if !s.stopExpected.Load() {
				t.Errorf("a member that reads: %v", err)
			}
			return
		}
		if n := number(t, m); n != want {
			t.Errorf("a member that reads got message %d, want %d", n, want)
			return
		}
		s.got.Add(1)
	}
}

// deliver delivers messages, a few at a time: the next ones when all who read have those.
func (s *slowRoom) deliver(t *testing.T, messages int) {
	for n := 1; n <= messages; n++ {
		m := said(n)
		m.Content = append(m.Content[:len(m.Content)-1], strings.Repeat("s", 2000)+`"`...)
		s.r.Deliver(m)
		if n%8 == 0 || n == messages {
			await(t, "who reads has all", func() bool { return s.got.Load() == int64(n*s.reading) })
		}
	}
}

func TestTenOfAThousandMembersThatNeverReadDelayNobodyAndAreCounted(t *testing.T) {
	const members, slow, messages = 1000, 10, 320
	s := newSlowRoom(t, members, slow, SlowDropOldest)
	s.deliver(t, messages)
	st := s.r.Stats()
	if st.Delivered+st.Dropped[DroppedOverflow]+st.Dropped[DroppedClosing] != members*messages || st.Delivered != members*messages {
		t.Errorf("%d are delivered, want %d; dropped: %v", st.Delivered, members*messages, st.Dropped)
	}
	dropped := int(st.Dropped[DroppedOldest])
	if dropped == 0 || st.Blocked == 0 {
		t.Errorf("%d dropped, %d blocked: the test shows nothing", dropped, st.Blocked)
	}
	// What was not dropped comes in the end, and a gap wherever something is missing.
	got, gaps := 0, 0
	for _, l := range s.slow {
		l.SetReadDeadline(time.Now().Add(2 * maxWait))
		for last, gap := 0, false; last < messages; {
			m, err := l.next()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(m, `"gap"`) {
				gap = true
				gaps++
				continue
			}
			n := number(t, m)
			if n <= last || (n != last+1) != gap {
				t.Fatalf("message %d after %d, with a gap: %v", n, last, gap)
			}
			last, gap = n, false
			got++
		}
	}
	if got+dropped != slow*messages || gaps == 0 {
		t.Errorf("%d came and %d were dropped, of %d; %d gaps", got, dropped, slow*messages, gaps)
	}
	if n := s.r.Stats().Gaps[wire.GapSlow]; n < uint64(gaps) {
		t.Errorf("%d gaps are counted, and %d came", n, gaps)
	}
}

func TestMembersThatNeverReadAreDisconnectedAndTheOthersGetEverything(t *testing.T) {
	const members, slow, messages = 200, 10, 320
	s := newSlowRoom(t, members, slow, SlowDisconnect)
	s.deliver(t, messages)
	for _, l := range s.slow { // what is in the buffers, then the close frame
		l.SetReadDeadline(time.Now().Add(2 * maxWait))
		var err error
		for err == nil {
			_, err = l.next()
		}
		if !strings.Contains(err.Error(), "begins with 88") || !strings.Contains(err.Error(), "too slowly") {
			t.Errorf("ended with %v", err)
		}
	}
	st := s.r.Stats()
	if st.Slow["disconnect"] != slow || st.Dropped[DroppedOverflow] < slow {
		t.Errorf("slow: %v, dropped: %v", st.Slow, st.Dropped)
	}
	if st.Delivered < uint64(s.reading*messages) {
		t.Errorf("%d are delivered", st.Delivered)
	}
}

func TestMembersThatNeverReadKeepTheLatest(t *testing.T) {
	const members, slow, messages = 200, 10, 320
	s := newSlowRoom(t, members, slow, SlowKeepLatest)
	s.deliver(t, messages)
	st := s.r.Stats()
	if st.Delivered != members*messages || st.Dropped[DroppedKeepLatest] == 0 {
		t.Errorf("%d are delivered, dropped: %v", st.Delivered, st.Dropped)
	}
	for _, l := range s.slow {
		l.SetReadDeadline(time.Now().Add(2 * maxWait))
		for n := 0; n != messages; n = number(t, l.expect(t, "chat")) {
		}
	}
}
