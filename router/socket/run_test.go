package socket

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// asleep waits until no writer of the server has anything to do.
func (srv *server) asleep(t testing.TB) {
	t.Helper()
	eventually(t, "the writers are asleep", func() bool {
		for _, w := range srv.engine.writers {
			if w.awake.Load() {
				return false
			}
		}
		return true
	})
}

func TestARunReachesEachSocketWithOneSystemCall(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	var clients []*rawClient
	var sockets []*Socket
	for range 3 {
		clients = append(clients, srv.rawDial(t, 0))
		sockets = append(sockets, srv.socket(t))
	}
	srv.asleep(t)
	before := srv.engine.Stats()
	r := NewRun()
	size := 0
	for i := 0; ; i++ {
		f := textFrame(fmt.Sprint(i, strings.Repeat("r", 1000)))
		if !r.Add(Item{Frame: f}) {
			break
		}
		size += len(f.wire)
	}
	if size > batchSize || size < batchSize-2000 {
		t.Errorf("a run takes %d bytes", size)
	}
	n := len(r.items)
	for _, s := range sockets {
		if got := r.Write(s); got != n {
			t.Errorf("%d of %d items are written", got, n)
		}
	}
	for _, c := range clients {
		for i := range n {
			c.expect(opText, fmt.Sprint(i, strings.Repeat("r", 1000)))
		}
	}
	st := srv.engine.Stats()
	if st.Writes-before.Writes != 3 || st.Frames-before.Frames != uint64(3*n) || st.Bytes-before.Bytes != uint64(3*size) {
		t.Errorf("counted are %d writes, %d frames and %d bytes", st.Writes-before.Writes, st.Frames-before.Frames, st.Bytes-before.Bytes)
	}
	r.Free()
	if r = NewRun(); len(r.items) != 0 || r.size != 0 {
		t.Error("a new run is not empty")
	}
	if !r.Add(Item{Frame: textFrame(strings.Repeat("x", 2*batchSize))}) || r.Add(Item{Frame: textFrame("")}) {
		t.Error("a frame larger than a run is not a run of its own")
	}
	r.Free()
}

func TestARunLeavesASocketAloneThatIsBeingWrittenOrClosing(t *testing.T) {
	srv := serve(t, serverConfig{sendBuffer: 4096}, echo)
	r := NewRun()
	defer r.Free()
	r.Add(Item{Frame: textFrame("x")})
	srv.rawDial(t, 4096)
	s := srv.socket(t)
	block(t, srv, s)
	if r.Write(s) != 0 {
		t.Error("it is written into what drain writes")
	}
	c := srv.rawDial(t, 0)
	s = srv.socket(t)
	s.Close(4000, "")
	if r.Write(s) != 0 {
		t.Error("it is written behind a close frame")
	}
	c.expectClose(4000)
}

// Runs, frames that are sent now and frames that are queued, by many goroutines, with pings and
// small buffers: each sender's arrive whole and in order, and the socket is never left
// with something that nobody writes.
func TestWhoeverWritesASocketTheFramesStayWholeAndInOrder(t *testing.T) {
	const senders, each = 9, 300
	srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{PingInterval: 50 * time.Millisecond}}, echo)
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	var wg sync.WaitGroup
	send := func(f func(Item) (Outcome, int), it Item) {
		for {
			if o, _ := f(it); o != Overflow {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	for i := range senders {
		item := func(j int) Item {
			return Item{Frame: textFrame(fmt.Sprintf("%d %d %s", i, j, strings.Repeat("d", rand.IntN(3000))))}
		}
		wg.Go(func() {
			for j := 0; j < each; {
				switch i % 3 {
				case 0:
					send(s.Send, item(j))
					j++
				case 1:
					send(s.SendNow, item(j))
					j++
				default:
					r := NewRun()
					for j < each && r.Add(item(j)) {
						j++
					}
					for _, it := range r.items[r.Write(s):] {
						send(s.Send, it)
					}
					r.Free()
				}
			}
		})
	}
	next := make([]int, senders)
	for seen := 0; seen < senders*each; {
		f, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.opcode == opPing {
			c.write(masked(finBit|opPong, f.payload))
			continue
		}
		var i, j int
		if n, _ := fmt.Sscan(f.payload, &i, &j); n != 2 || j != next[i] {
			t.Fatalf("frame %d of sender %d, want %d", j, i, next[i])
		}
		next[i]++
		seen++
	}
	wg.Wait()
	eventually(t, "nobody has the right to write", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.busy && !s.pendingLocked()
	})
	if srv.engine.Stats().Handovers == 0 {
		t.Error("the socket was never full: the test shows nothing")
	}
}

// Sockets are written while they are closed, by the server, by the client, or by a
// fault of the connection: every Release ends, which serve checks.
func TestASocketMayEndWhileItIsWritten(t *testing.T) {
	srv := serve(t, serverConfig{sendBuffer: 4096}, echo)
	f := textFrame(strings.Repeat("e", 3000))
	for i := range 60 {
		c := srv.rawDial(t, 4096)
		s := srv.socket(t)
		var wg sync.WaitGroup
		for k := range 3 {
			wg.Go(func() {
				r := NewRun()
				defer r.Free()
				r.Add(Item{Frame: f})
				r.Add(Item{Frame: f})
				for o := Queued; o != Closed; {
					if k == 0 {
						o, _ = s.SendNow(Item{Frame: f})
					} else if n := r.Write(s); n < 2 {
						o, _ = s.Send(Item{Frame: f})
					}
				}
			})
		}
		switch i % 3 {
		case 0:
			s.Close(4000, "over")
		case 1:
			c.write(masked(finBit|opClose, "\x03\xe8"))
		}
		c.must(c.Close())
		wg.Wait()
	}
}

func TestWhatIsSentNowIsWrittenByTheSenderIfTheWriterSleeps(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	srv.asleep(t)
	resume := make(chan struct{})
	before := srv.engine.Stats().Writes
	if o, _ := s.SendNow(Item{Frame: textFrame("now")}); o != Queued {
		t.Fatalf("outcome %v", o)
	}
	if srv.engine.Stats().Writes != before+1 || s.QueuedBytes() != 0 {
		t.Error("it was not written on the sender's goroutine")
	}
	c.expect(opText, "now")
	srv.engine.Post(s.Writer(), taskFunc(func() { <-resume }))
	for _, p := range []string{"1", "2"} { // behind what the writer is about
		if o, _ := s.SendNow(Item{Frame: textFrame(p)}); o != Queued {
			t.Fatalf("outcome %v", o)
		}
	}
	if n := srv.engine.Stats().Writes; n != before+1 {
		t.Errorf("%d writes while the writer is awake", n-before-1)
	}
	close(resume)
	c.expect(opText, "1")
	c.expect(opText, "2")
	srv.asleep(t)
	if n := srv.engine.Stats().Writes; n != before+2 {
		t.Errorf("%d writes for what has queued up, want 1", n-before-1)
	}
}

type taskFunc func()

func (f taskFunc) Do() { f() }

func TestATaskIsDoneByItsWriterAndAfterTheEndByWhoeverPostsIt(t *testing.T) {
	e := NewEngine()
	done := make(chan int, 100)
	for i := range 100 {
		e.Post(i%e.Writers(), taskFunc(func() { done <- i }))
	}
	e.Close()
	if len(done) != 100 {
		t.Errorf("at the end %d of 100 tasks are done", len(done))
	}
	did := false
	e.Post(0, taskFunc(func() { did = true }))
	if !did {
		t.Error("a task is lost")
	}
}

func TestSendingNowAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip(skippedUnderRace)
	}
	srv, sockets := fanOut(t, 1)
	srv.asleep(t)
	it := Item{Frame: textFrame("x")}
	if n := testing.AllocsPerRun(2000, func() { sockets[0].SendNow(it) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// The client does not read until a run was not taken whole.
func TestWhatASocketDoesNotTakeOfARunFollowsOnce(t *testing.T) {
	for _, size := range []int{10, 3000} { // the cut is in a frame, nearly always
		srv := serve(t, serverConfig{sendBuffer: 4096}, echo)
		c := srv.rawDial(t, 4096)
		s := srv.socket(t)
		sent := 0
		for cut := false; !cut; {
			r := NewRun()
			for r.Add(Item{Frame: textFrame(fmt.Sprint(sent+len(r.items), strings.Repeat("r", size)))}) {
			}
			n := r.Write(s)
			cut = n < len(r.items)
			for _, it := range r.items[n:] {
				if o, _ := s.Send(it); o != Queued {
					t.Fatalf("outcome %v", o)
				}
			}
			sent += len(r.items)
			r.Free()
		}
		for i := range sent {
			c.expect(opText, fmt.Sprint(i, strings.Repeat("r", size)))
		}
	}
}

func TestWhatIsQueuedWhileASocketIsWrittenDirectlyIsWrittenAfterwards(t *testing.T) {
	for _, full := range []bool{false, true} {
		srv := serve(t, serverConfig{}, echo)
		c := srv.rawDial(t, 0)
		s := srv.socket(t)
		eventually(t, "nobody writes", func() bool { _, ok := s.beginDirect(); return ok })
		if _, ok := s.beginDirect(); ok {
			t.Error("two have the right to write")
		}
		if o, _ := s.SendNow(Item{Frame: textFrame("meanwhile")}); o != Queued {
			t.Fatalf("outcome %v", o)
		}
		s.endDirect(0, 0, nil, 0, full)
		c.expect(opText, "meanwhile")
		if n := srv.engine.Stats().Handovers; (n == 1) != full {
			t.Errorf("full is %v, and %d goroutines waited for the socket", full, n)
		}
	}
}
