package socket

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestAFragmentedMessageIsReadWholeAndAPingWithinItIsAnswered(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	c := srv.rawDial(t, 0)
	c.write(masked(opText, "one "))
	c.write(masked(finBit|opPing, "are you there"))
	c.expect(opPong, "are you there")
	c.write(masked(0, "two "))
	c.write(masked(finBit, "three"))
	c.expect(opText, "one two three")
}

func TestAPingIsAnsweredWithItsPayload(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	c := srv.rawDial(t, 0)
	for _, p := range []string{"", "x", strings.Repeat("p", maxControl)} {
		c.write(masked(finBit|opPing, p))
		c.expect(opPong, p)
	}
	c.write(masked(finBit|opPong, "unasked"))
	c.write(text("on"))
	c.expect(opText, "on")
}

func TestAMessageOfTheLimitPassesAndOneByteMoreEndsWith1009(t *testing.T) {
	const limit = 10_000
	for name, split := range map[string]bool{"whole": false, "fragmented": true} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			srv := serve(t, serverConfig{options: Options{ReadLimit: limit}}, func(s *Socket) {
				b, err := s.Read()
				if err != nil || len(b) != limit {
					t.Errorf("%d bytes, error %v; want %d", len(b), err, limit)
				}
				readAll(ended)(s)
			})
			c := srv.rawDial(t, 0)
			for _, n := range []int{limit, limit + 1} {
				if p := strings.Repeat("m", n); split {
					c.write(masked(opText, p[:n/2]))
					c.write(masked(finBit, p[n/2:]))
				} else {
					c.write(text(p))
				}
			}
			c.expectClose(1009)
			if err := receive(t, ended); err != ErrTooBig {
				t.Errorf("Read ended with %v, want ErrTooBig", err)
			}
			if code := srv.socket(t).CloseCode(); code != 1009 {
				t.Errorf("CloseCode is %d, want 1009", code)
			}
		})
	}
}

func TestAnAnnouncedSizeIsNotAllocated(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{options: Options{ReadLimit: 1 << 30}}, readAll(ended))
	c := srv.rawDial(t, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.write(maskedHeader(finBit|opText, 1<<29))
	c.write(make([]byte, 5000))
	c.must(c.CloseWrite())
	receive(t, ended)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated for 5000", n)
	}
}

// The close frame would be lost if the connection was reset because of what
// the client had sent and nobody read.
func TestAClientThatIsStillSendingSeesWhyItIsClosed(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{options: Options{ReadLimit: 1000}}, readAll(ended))
	c := srv.rawDial(t, 0)
	c.write(text(strings.Repeat("m", 500_000)))
	receive(t, ended)
	c.expectClose(1009)
	c.expectEOF()
}

func TestABinaryMessageEndsReading(t *testing.T) {
	ended := make(chan error, 2)
	srv := serve(t, serverConfig{}, func(s *Socket) {
		readAll(ended)(s)
		s.Close(1003, "text only")
		readAll(ended)(s)
	})
	c := srv.rawDial(t, 0)
	c.write(masked(finBit|2, "\x00\x01"))
	c.expectClose(1003)
	for range 2 {
		if err := receive(t, ended); err != ErrBinary {
			t.Errorf("Read ended with %v, want ErrBinary", err)
		}
	}
}

func TestATextMessageThatIsNotUTF8IsReportedAndTheNextOneRead(t *testing.T) {
	failures := make(chan error, 1)
	srv := serve(t, serverConfig{}, func(s *Socket) {
		_, err := s.Read()
		failures <- err
		echo(s)
	})
	c := srv.rawDial(t, 0)
	c.write(text("caf\xe9"))
	if err := receive(t, failures); err != ErrUTF8 {
		t.Errorf("Read returned %v, want ErrUTF8", err)
	}
	c.write(masked(opText, "caf\xc3")) // a character may be split
	c.write(masked(finBit, "\xa9"))
	c.expect(opText, "café")
}

func TestAViolationOfTheProtocolEndsWith1002(t *testing.T) {
	for name, b := range map[string][]byte{
		"a frame that is not masked":         {finBit | opText, 2, 'h', 'i'},
		"a control frame over 125 bytes":     masked(finBit|opPing, strings.Repeat("p", 126)),
		"a fragmented control frame":         masked(opPing, "p"),
		"a reserved opcode":                  masked(finBit|3, "x"),
		"a reserved bit":                     masked(finBit|0x40|opText, "x"),
		"a continuation of nothing":          masked(finBit, "x"),
		"a message within a message":         append(masked(opText, "x"), text("y")...),
		"a close frame with one byte":        masked(finBit|opClose, "x"),
		"a close frame with a reserved code": masked(finBit|opClose, "\x03\xed"),
		"a negative length":                  append([]byte{finBit | opText, 0xFF}, "\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"...),
		"not WebSocket at all":               []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			srv := serve(t, serverConfig{}, readAll(ended))
			c := srv.rawDial(t, 0)
			c.write(b)
			c.expectClose(1002)
			c.expectEOF()
			c.must(c.Close())
			if err := receive(t, ended); err == nil || errors.Is(err, ErrBinary) {
				t.Errorf("Read ended with %v", err)
			}
			if code := srv.socket(t).CloseCode(); code != 1002 {
				t.Errorf("CloseCode is %d, want 1002", code)
			}
		})
	}
}

func TestAResetInTheMiddleOfAFrameEndsReading(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{}, readAll(ended))
	c := srv.rawDial(t, 0)
	whole := text(strings.Repeat("m", 5000))
	c.write(whole[:700])
	c.must(c.SetLinger(0))
	c.must(c.Close())
	if err := receive(t, ended); err == nil {
		t.Error("Read ended without an error")
	}
	if code := srv.socket(t).CloseCode(); code != 1006 {
		t.Errorf("CloseCode is %d, want 1006", code)
	}
}

func TestAClientThatOnlyStopsSendingStillGetsWhatIsQueued(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	c := srv.rawDial(t, 0)
	var all []byte
	for range 100 {
		all = append(all, text("answer me")...)
	}
	c.write(all)
	c.must(c.CloseWrite())
	for range 100 {
		c.expect(opText, "answer me")
	}
	c.expectEOF()
}

func TestAFloodOfPingsIsSlowedAndThenGoesOn(t *testing.T) {
	for name, opcode := range map[string]byte{"pings": opPing, "pongs": opPong} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, serverConfig{}, echo)
			c := srv.rawDial(t, 0)
			var flood []byte
			for range 3 * smallPerSecond {
				flood = append(flood, masked(finBit|opcode, "!")...)
			}
			c.write(append(flood, text("behind")...))
			for {
				f, err := c.next()
				c.must(err)
				if f.payload == "behind" {
					break
				}
			}
			if n := srv.engine.Stats().Floods; n == 0 || n > 2 {
				t.Errorf("the reader paused %d times, want once or twice", n)
			}
		})
	}
}

func TestAFloodOfEmptyFragmentsIsSlowedAndItsMessageThenRead(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	c := srv.rawDial(t, 0)
	flood := masked(opText, "")
	for range 3 * smallPerSecond {
		flood = append(flood, masked(0, "")...)
	}
	c.write(append(flood, masked(finBit, "the end")...))
	c.expect(opText, "the end")
	if n := srv.engine.Stats().Floods; n == 0 || n > 3 {
		t.Errorf("the reader paused %d times, want once to three times", n)
	}
}

func TestFragmentsOfALargeMessageAreNoFlood(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	c := srv.rawDial(t, 0)
	part := strings.Repeat("m", smallFragment)
	for range 20 { // messages
		flood := masked(opText, part)
		for range 50 {
			flood = append(flood, masked(0, part)...)
		}
		c.write(append(flood, masked(finBit, "!")...))
		c.expect(opText, strings.Repeat(part, 51)+"!")
	}
	if n := srv.engine.Stats().Floods; n != 0 {
		t.Errorf("the reader paused %d times", n)
	}
}

// Nothing of the message need come for it.
func TestAnAnnouncedSizeOverTheLimitEndsWith1009AtOnce(t *testing.T) {
	for name, frames := range map[string][]byte{
		"in one frame":       maskedHeader(finBit|opText, 1<<40),
		"in a later one":     append(masked(opText, strings.Repeat("m", 600)), maskedHeader(finBit, 401)...),
		"behind the message": append(text("first"), maskedHeader(opText, 1001)...),
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			messages := make(chan string, 2)
			srv := serve(t, serverConfig{options: Options{ReadLimit: 1000}}, func(s *Socket) {
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
			for i := range frames { // the headers come in pieces
				c.write(frames[i : i+1])
			}
			c.expectClose(1009)
			if err := receive(t, ended); err != ErrTooBig {
				t.Errorf("Read ended with %v, want ErrTooBig", err)
			}
			if name == "behind the message" && receive(t, messages) != "first" {
				t.Error("the message before was lost")
			}
		})
	}
}

func TestAMessageThatDoesNotEndIsEndedThoughPingsCome(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{options: Options{MessageTime: 50 * time.Millisecond}}, readAll(ended))
	c := srv.rawDial(t, 0)
	c.write(masked(opText, "never "))
	for {
		if _, err := c.Write(masked(finBit|opPing, "")); err != nil {
			break
		}
		select {
		case err := <-ended:
			if err != ErrStalled {
				t.Errorf("Read ended with %v, want ErrStalled", err)
			}
			if n := srv.engine.Stats().Stalled; n != 1 {
				t.Errorf("%d are counted as stalled", n)
			}
			return
		case <-time.After(20 * time.Millisecond): // the pace of the pings
		}
	}
	t.Error("the connection ended without ErrStalled")
}

// Every read of the node ends within a message, and each message in time.
func TestAStreamOfMessagesMayLastLongerThanOne(t *testing.T) {
	const limit = 200 * time.Millisecond
	srv := serve(t, serverConfig{options: Options{MessageTime: limit}}, echo)
	c := srv.rawDial(t, 0)
	whole := text("message")
	c.write(whole[:8])
	for begun := time.Now(); time.Since(begun) < 3*limit; time.Sleep(limit / 20) {
		c.write(append(append([]byte(nil), whole[8:]...), whole[:8]...))
		c.expect(opText, "message")
	}
}
