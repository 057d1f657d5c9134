package socket

import (
	"errors"
	"testing"
	"time"
)

const (
	shortPing = 200 * time.Millisecond
	shortPong = 600 * time.Millisecond
)

// beats is for tests that are the clock themselves: the wheel's next turn is far away.
var beats = Options{PingInterval: time.Hour, PongTimeout: time.Hour}

// beat is one turn of the wheel: a ping, or the look at what came after it.
func (s *Socket) beat() { s.expire() }

// awaitRead waits until the reader has taken something, and waits again.
func (s *Socket) awaitRead(t *testing.T, since uint32) {
	t.Helper()
	eventually(t, "the reader has read", func() bool { n := s.reads.Load(); return n != since && n%2 == 1 })
}

func TestAClientThatAnswersPingsStays(t *testing.T) {
	srv := serve(t, serverConfig{options: beats}, echo)
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	for range 4 {
		reads := s.reads.Load()
		s.beat()
		c.expect(opPing, "")
		c.write(masked(finBit|opPong, ""))
		s.awaitRead(t, reads)
		s.beat()
	}
	c.write(text("here"))
	c.expect(opText, "here")
	if st := srv.engine.Stats(); st.Pings != 4 || st.Silent != 0 {
		t.Errorf("counted are %d pings and %d silent sockets, want 4 and none", st.Pings, st.Silent)
	}
}

func TestAClientThatSendsNothingAfterAPingIsEnded(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{options: Options{PingInterval: shortPing, PongTimeout: shortPong}}, readAll(ended))
	c := srv.rawDial(t, 0)
	c.write(text("before the ping"))
	if err := receive(t, ended); err != ErrSilent {
		t.Errorf("Read ended with %v, want ErrSilent", err)
	}
	c.expect(opPing, "")
	if _, err := c.next(); err == nil {
		t.Error("the connection goes on")
	}
	if code := srv.socket(t).CloseCode(); code != 1006 {
		t.Errorf("CloseCode is %d, want 1006", code)
	}
	if st := srv.engine.Stats(); st.Silent != 1 {
		t.Errorf("%d silent sockets are counted, want 1", st.Silent)
	}
}

func TestAClientThatStopsInTheMiddleOfAMessageIsEnded(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{options: Options{PingInterval: shortPing, PongTimeout: shortPong}}, readAll(ended))
	c := srv.rawDial(t, 0)
	c.write(text("a message that is cut")[:10])
	if err := receive(t, ended); err != ErrSilent {
		t.Errorf("Read ended with %v, want ErrSilent", err)
	}
}

func TestAnythingThatComesIsASignOfLife(t *testing.T) {
	o := beats
	o.JSONPing = textFrame(`{"event":"ping"}`)
	srv := serve(t, serverConfig{options: o}, echo)
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	for _, life := range []struct {
		sent   []byte
		answer byte // opcode; 0: none
	}{
		{text("pong"), opText},
		{masked(finBit|opPing, ""), opPong},
		{masked(finBit|opPong, "unasked"), 0},
		{masked(opText, "half a message"), 0},
	} {
		reads := s.reads.Load()
		s.beat()
		c.expect(opText, `{"event":"ping"}`)
		c.write(life.sent)
		s.awaitRead(t, reads)
		if s.beat(); s.silent.Load() {
			t.Fatalf("%q was no sign of life", life.sent)
		}
		if life.answer == 0 {
			continue
		}
		if f, err := c.next(); err != nil || f.opcode != life.answer {
			t.Fatalf("frame %+v, error %v", f, err)
		}
	}
}

// A caller that takes its time for a message does not read, so what the client
// sends meanwhile is not seen. That is not the client's silence.
func TestAClientIsNotSilentWhileTheCallerDoesNotRead(t *testing.T) {
	busy, done := make(chan struct{}), make(chan struct{})
	srv := serve(t, serverConfig{options: beats}, func(s *Socket) {
		if _, err := s.Read(); err != nil {
			t.Error(err)
		}
		close(busy)
		<-done
		echo(s)
	})
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	c.write(text("takes long"))
	receive(t, busy)
	for range 3 {
		s.beat()
		c.expect(opPing, "")
		s.beat()
	}
	close(done)
	c.write(text("still here"))
	c.expect(opText, "still here")
	if srv.engine.Stats().Silent != 0 {
		t.Error("the client was taken for silent")
	}
}

// The ping is behind data that the client has not read: its silence says nothing.
func TestAClientThatHasNotSeenThePingIsNotSilent(t *testing.T) {
	ended := make(chan error, 1)
	o := beats
	o.WriteTimeout = time.Hour
	srv := serve(t, serverConfig{sendBuffer: 4096, options: o}, readAll(ended))
	c := srv.rawDial(t, 4096)
	s := srv.socket(t)
	block(t, srv, s)
	for range 5 {
		s.beat()
	}
	if srv.engine.Stats().Silent != 0 {
		t.Error("the client was taken for silent")
	}
	s.Close(4000, "")
	c.expectClose(4000)
	if err := receive(t, ended); errors.Is(err, ErrSilent) {
		t.Error("Read ended with ErrSilent")
	}
}

func TestFirstPingsAreSpreadOverTheInterval(t *testing.T) {
	w := newWheel()
	e := &Engine{wheel: w}
	const n, interval = 1000, 10 * time.Second
	for range n {
		s := &Socket{engine: e, settings: &settings{pingInterval: interval, pongTimeout: time.Second}}
		s.heartbeat.start(s)
	}
	perSlot := map[int64]int{}
	for i := range w.slots {
		for h, e := &w.slots[i], w.slots[i].next; e != h; e = e.next {
			perSlot[e.due]++
			if e.due > int64(interval/tick)+10 {
				t.Errorf("a first ping is due at tick %d", e.due)
			}
		}
	}
	if len(perSlot) < 90 {
		t.Errorf("first pings are in %d slots, want about 100", len(perSlot))
	}
}
