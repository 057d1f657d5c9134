package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

func TestCloseTellsTheClientCodeAndReasonBehindWhatIsQueued(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{}, readAll(ended))
	c := srv.dial(t, nil)
	s := srv.socket(t)
	for i := range 100 {
		s.Send(Item{Frame: textFrame(fmt.Sprint(i))})
	}
	s.Close(4200, "draining")
	s.Close(4001, "too late")
	if o, _ := s.Send(Item{Frame: textFrame("too late")}); o != Closed {
		t.Errorf("Send after Close gives %d, want Closed", o)
	}
	ctx := context.Background()
	for i := range 100 {
		if _, b, err := c.Read(ctx); err != nil || string(b) != fmt.Sprint(i) {
			t.Fatalf("message %q, error %v; want %d", b, err, i)
		}
	}
	_, _, err := c.Read(ctx)
	if ce := new(websocket.CloseError); !errors.As(err, ce) || ce.Code != 4200 || ce.Reason != "draining" {
		t.Errorf("error %v, want 4200 draining", err)
	}
	if err := receive(t, ended); websocket.CloseStatus(err) != 4200 {
		t.Errorf("Read ended with %v, want the client's answer", err)
	}
	if code := s.CloseCode(); code != 4200 {
		t.Errorf("CloseCode is %d, want 4200", code)
	}
}

func TestAReasonIsCutBetweenCharactersAt123Bytes(t *testing.T) {
	for _, tt := range []struct{ reason, want string }{
		{strings.Repeat("r", 123), strings.Repeat("r", 123)},
		{strings.Repeat("r", 124), strings.Repeat("r", 123)},
		{"x" + strings.Repeat("é", 61), "x" + strings.Repeat("é", 61)},
		{strings.Repeat("é", 62), strings.Repeat("é", 61)},
		{strings.Repeat("r", 121) + "€", strings.Repeat("r", 121)},
		{"bad \xff", "bad \uFFFD"},
	} {
		f := closeFrame(4000, tt.reason)
		got := string(f.Payload()[2:])
		if got != tt.want || !utf8.ValidString(got) || closeCode(f) != 4000 {
			t.Errorf("of %q %q is left, want %q", tt.reason, got, tt.want)
		}
	}
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{}, readAll(ended))
	c := srv.rawDial(t, 0)
	srv.socket(t).Close(4000, strings.Repeat("é", 100))
	if f := c.expectClose(4000); len(f.payload) != 2+122 {
		t.Errorf("the payload has %d bytes, want 124", len(f.payload))
	}
}

func TestACodeThatMayNotBeSentIsReplaced(t *testing.T) {
	for code, want := range map[int]int{1000: 1000, 4999: 4999, 3000: 3000, 1005: 1005, 1004: 1011, 1006: 1011, 1015: 1011, 0: 1011, 5000: 1011, 70000: 1011} {
		if got := closeCode(closeFrame(code, "")); got != want {
			t.Errorf("%d became %d, want %d", code, got, want)
		}
	}
}

func TestTheClientsCloseIsAnsweredBehindWhatIsQueued(t *testing.T) {
	for name, tt := range map[string]struct {
		payload string
		code    int
	}{
		"with a code": {"\x0f\xa0bye", 4000},
		"without":     {"", 1005},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			srv := serve(t, serverConfig{}, readAll(ended))
			c := srv.rawDial(t, 0)
			s := srv.socket(t)
			for i := range 50 {
				s.Send(Item{Frame: textFrame(fmt.Sprint(i))})
			}
			c.write(masked(finBit|opClose, tt.payload))
			for i := range 50 {
				c.expect(opText, fmt.Sprint(i))
			}
			c.expect(opClose, tt.payload)
			c.expectEOF()
			if err := receive(t, ended); err == nil {
				t.Error("Read ended without an error")
			}
			if code := s.CloseCode(); code != tt.code {
				t.Errorf("CloseCode is %d, want %d", code, tt.code)
			}
		})
	}
}

func TestBothSidesClosingAtOnceSendOneCloseFrameEach(t *testing.T) {
	for range 20 {
		ended := make(chan error, 1)
		srv := serve(t, serverConfig{}, readAll(ended))
		c := srv.rawDial(t, 0)
		s := srv.socket(t)
		go s.Close(1001, "going away")
		c.write(masked(finBit|opClose, "\x03\xe8"))
		f, err := c.next()
		if err != nil || f.code() != 1001 && f.code() != 1000 {
			t.Fatalf("frame %+v, error %v", f, err)
		}
		c.expectEOF()
		receive(t, ended)
		if code := s.CloseCode(); code != f.code() {
			t.Errorf("CloseCode is %d, want %d", code, f.code())
		}
	}
}

func TestWhatComesAfterCloseIsNotDelivered(t *testing.T) {
	messages := make(chan string, 10)
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{}, func(s *Socket) {
		for {
			b, err := s.Read()
			if err != nil {
				ended <- err
				return
			}
			messages <- string(b)
		}
	})
	c := srv.rawDial(t, 0)
	srv.socket(t).Close(4000, "")
	c.expectClose(4000)
	c.write(text("too late"))
	c.write(masked(finBit|2, "too late"))
	c.write(masked(finBit|opClose, "\x0f\xa0"))
	if err := receive(t, ended); websocket.CloseStatus(err) != 4000 {
		t.Errorf("Read ended with %v, want the client's answer", err)
	}
	if len(messages) > 0 {
		t.Errorf("%q was delivered", <-messages)
	}
}

func TestAClientThatDoesNotAnswerACloseIsNotWaitedForLong(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{}, readAll(ended))
	c := srv.rawDial(t, 0)
	srv.socket(t).Close(4000, "")
	c.expectClose(4000)
	receive(t, ended)
	c.expectEOF()
}

func TestCloseOfABlockedSocketDiscardsWhatIsNotBeingWritten(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{sendBuffer: 4096}, readAll(ended))
	c := srv.rawDial(t, 4096)
	s := srv.socket(t)
	block(t, srv, s)
	for range 50 {
		s.Send(Item{Frame: textFrame("never seen")})
	}
	s.Close(4100, "slow consumer")
	receive(t, ended)
	for {
		f, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.payload == "never seen" {
			t.Fatal("the queue was not discarded")
		}
		if f.opcode == opClose {
			if f.code() != 4100 {
				t.Errorf("close code %d, want 4100", f.code())
			}
			break
		}
	}
	c.expectEOF()
	if st := srv.engine.Stats(); st.Discarded < 50 {
		t.Errorf("%d frames are counted as discarded, want 50", st.Discarded)
	}
}

func TestCloseOfASocketWhoseClientNeverReadsEndsWithTheWriteTimeout(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{WriteTimeout: 300 * time.Millisecond}}, readAll(ended))
	srv.rawDial(t, 4096)
	s := srv.socket(t)
	block(t, srv, s)
	s.Close(4100, "slow consumer")
	receive(t, ended)
	eventually(t, "the socket is released", func() bool { return srv.engine.Stats().Sockets == 0 })
	if n := s.QueuedBytes(); n != 0 {
		t.Errorf("%d bytes are still queued", n)
	}
}

func TestOverTLSTheCloseFrameComesBehindTheFrameBeingWritten(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{tls: true, sendBuffer: 4096, options: Options{Queue: 4 << 20}}, readAll(ended))
	c := srv.dial(t, nil)
	s := srv.socket(t)
	big := textFrame(strings.Repeat("b", 100_000))
	sent := 0
	for {
		o, _ := s.Send(Item{Frame: big})
		if o == Overflow {
			break
		}
		sent++
	}
	s.Close(4100, "slow consumer")
	got := 0
	for {
		_, b, err := c.Read(context.Background())
		if err != nil {
			if websocket.CloseStatus(err) != 4100 {
				t.Errorf("error %v, want close code 4100", err)
			}
			break
		}
		if len(b) != 100_000 {
			t.Fatalf("a message of %d bytes", len(b))
		}
		got++
	}
	receive(t, ended)
	if st := srv.engine.Stats(); got+int(st.Discarded) != sent {
		t.Errorf("of %d messages %d came and %d are counted as discarded", sent, got, st.Discarded)
	}
}

// A write over TLS that waits for the client is not known to, as one to a plain socket is.
func TestOverTLSCloseDiscardsWhatAClientDoesNotTake(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{tls: true, sendBuffer: 4096, options: Options{Queue: 64 << 20, WriteTimeout: time.Hour}}, readAll(ended))
	srv.Client().Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = nc.(*net.TCPConn).SetReadBuffer(4096)
		}
		return nc, err
	}
	srv.dial(t, nil) // and never reads
	s := srv.socket(t)
	f := textFrame(strings.Repeat("f", 10_000))
	for s.QueuedBytes() < 2<<20 {
		s.Send(Item{Frame: f})
	}
	s.Close(4100, "slow consumer")
	receive(t, ended)
	eventually(t, "the queue is discarded", func() bool { return s.QueuedBytes() <= plainBatch+len(f.wire) })
	if st := srv.engine.Stats(); st.Discarded < 100 || st.WriteTimeouts != 0 {
		t.Errorf("%d frames are counted as discarded, want most of 210; %d writes timed out", st.Discarded, st.WriteTimeouts)
	}
	srv.engine.Abort()
	eventually(t, "the socket is released", func() bool { return srv.engine.Stats().Sockets == 0 })
}

// The rest of the frame that is partly on the wire comes before the answer.
func TestTheClientsCloseOfABlockedSocketIsAnsweredBehindWholeFrames(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{sendBuffer: 4096}, readAll(ended))
	c := srv.rawDial(t, 4096)
	s := srv.socket(t)
	block(t, srv, s)
	c.write(masked(finBit|opPing, "before"))
	c.write(masked(finBit|opClose, "\x0f\xa0bye"))
	receive(t, ended)
	if f := c.expectCloseBehind(t, 8000); f.payload != "\x0f\xa0bye" {
		t.Errorf("the answer is %q", f.payload)
	}
	c.expectEOF()
}

// expectCloseBehind skips pongs and text frames of size bytes.
func (c *rawClient) expectCloseBehind(t *testing.T, size int) wireFrame {
	t.Helper()
	for {
		f, err := c.next()
		if err != nil || f.opcode == opText && len(f.payload) != size {
			t.Fatalf("frame %x of %d bytes, error %v", f.opcode, len(f.payload), err)
		}
		if f.opcode == opClose {
			return f
		}
	}
}

func TestAClientThatHasGoneIsNotWaitedForUntilTheWriteTimeout(t *testing.T) {
	for name, end := range map[string]func(*rawClient) error{
		"half-closed": (*rawClient).CloseWrite,
		"reset": func(c *rawClient) error {
			c.must(c.SetLinger(0))
			return c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{WriteTimeout: time.Hour}}, readAll(ended))
			c := srv.rawDial(t, 4096)
			s := srv.socket(t)
			block(t, srv, s)
			c.must(end(c))
			receive(t, ended)
			eventually(t, "the socket is released", func() bool { return srv.engine.Stats().Sockets == 0 })
			if o, _ := s.Send(Item{Frame: textFrame("late")}); o != Closed {
				t.Errorf("Send after Release gives %d, want Closed", o)
			}
			s.Close(4000, "late")
			s.Release()
			if code := s.CloseCode(); code != 1006 {
				t.Errorf("CloseCode is %d, want 1006", code)
			}
		})
	}
}

func TestAbortEndsAReleaseThatWaitsForAClientThatDoesNotRead(t *testing.T) {
	for name, before := range map[string]bool{"before": true, "while it waits": false} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{WriteTimeout: time.Hour}}, readAll(ended))
			c := srv.rawDial(t, 4096)
			s := srv.socket(t)
			block(t, srv, s)
			if before {
				srv.engine.Abort()
			}
			s.Close(4200, "draining")
			receive(t, ended)
			srv.engine.Abort()
			srv.engine.Abort()
			eventually(t, "the socket is released", func() bool { return srv.engine.Stats().Sockets == 0 })
			if st := srv.engine.Stats(); st.Discarded == 0 {
				t.Error("what was queued is not counted as discarded")
			}
			c.must(c.Close())
		})
	}
}
