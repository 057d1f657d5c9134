//go:build unix

package socket

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUnmaskingInPiecesIsUnmaskingByteByByte(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		key := r.Uint32()
		got, want := make([]byte, r.IntN(200)), make([]byte, 0, 200)
		for i := range got {
			got[i] = byte(r.Uint32())
			want = append(want, got[i]^byte(key>>(8*(i%4))))
		}
		for rest, k := got, key; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			k = unmask(rest[:n], k)
			rest = rest[n:]
		}
		if string(got) != string(want) {
			t.Fatalf("%d bytes came out wrong with the key %x", len(got), key)
		}
	}
}

func TestASmallMessageIsReadWithoutAnAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip(skippedUnderRace)
	}
	for name, size := range map[string]int{"where it was read": 100, "collected": 2000} {
		t.Run(name, func(t *testing.T) {
			message := text(strings.Repeat("m", size))
			s := &Socket{
				settings: &settings{readLimit: 64 << 10, messageTime: time.Hour},
				engine:   &Engine{wheel: newWheel()},
				writer:   newWriter(0),
				nc:       &endless{stream: message},
			}
			n := testing.AllocsPerRun(5000, func() {
				if b, err := s.Read(); err != nil || len(b) != size {
					t.Fatal(len(b), err)
				}
			})
			if n > 0 {
				t.Errorf("%v allocations for a message, want 0", n)
			}
		})
	}
}

// parked is a raw connection of which nothing comes: what the reader holds
// when it would wait, is looked at.
type parked struct {
	syscall.RawConn // nil
	fd              uintptr
	wait            func()
}

func (p *parked) Read(f func(fd uintptr) bool) error {
	for !f(p.fd) {
		p.wait()
	}
	return nil
}

func TestAnIdleSocketHasNoBufferAndAMessageThatIsOpenKeepsIts(t *testing.T) {
	var fds [2]int
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		write []byte
		keeps bool // a buffer, once that is read
	}{
		{nil, false},
		{text("m"), false},
		{text(strings.Repeat("m", 3*readStep)), false},
		{append(append(text("1"), text("2")...), text("3")...), false},
		{masked(finBit|opPing, "!"), false},
		{masked(opText, "half"), true},
		{masked(finBit, " and half"), false},
		{text("cut")[:3], true},
		{text("cut")[3:], false},
	}
	s := &Socket{
		settings: &settings{readLimit: 64 << 10, messageTime: time.Hour},
		engine:   &Engine{wheel: newWheel()},
		writer:   newWriter(0),
		busy:     true,
	}
	i := 0
	s.raw, s.take = &parked{fd: uintptr(fds[0]), wait: func() {
		if keeps := s.in != nil; keeps != steps[i].keeps {
			t.Errorf("after step %d a waiting socket has a buffer: %v", i, keeps)
		}
		if i++; i == len(steps) {
			syscall.Close(fds[1])
			i--
		} else if _, err := syscall.Write(fds[1], steps[i].write); err != nil {
			t.Fatal(err)
		}
	}}, s.takeNow
	messages := 0
	for {
		if _, err := s.Read(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		messages++
	}
	if messages != 7 {
		t.Errorf("%d messages were read, want 7", messages)
	}
}

func TestAMessageThatIsCutByTheEndOfTheConnectionIsNotDelivered(t *testing.T) {
	for name, cut := range map[string][]byte{
		"between two fragments": masked(opText, "half of it"),
		"before the payload":    maskedHeader(finBit|opText, 5),
		"within the payload":    text("a whole one")[:10],
		"within a long payload": text(strings.Repeat("m", 10_000))[:9000],
		"within a header":       text(strings.Repeat("m", 200))[:3],
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			srv := serve(t, serverConfig{}, func(s *Socket) {
				b, err := s.Read()
				if err == nil {
					t.Errorf("%d bytes were delivered", len(b))
				}
				ended <- err
			})
			c := srv.rawDial(t, 0)
			c.write(cut)
			c.must(c.CloseWrite())
			if err := receive(t, ended); !errors.Is(err, io.EOF) {
				t.Errorf("Read ended with %v, want the end of the connection", err)
			}
		})
	}
}
