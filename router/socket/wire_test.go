package socket

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// wire is a socket without a connection: the test decides how much of what is
// taken each write takes.
type wire struct {
	*Socket
	r      *rand.Rand
	stream []byte
}

func newWire(seed uint64) *wire {
	return &wire{
		Socket: &Socket{writer: newWriter(0), settings: &settings{queueLimit: 1 << 30}, busy: true},
		r:      rand.New(rand.NewPCG(seed, 2)),
	}
}

// write is one write, of which meanwhile happens between taking and settling.
func (w *wire) write(all bool, meanwhile func()) {
	taken := w.takeLocked(nil, 1+w.r.IntN(5000))
	if len(taken) == 0 {
		return
	}
	out := w.gather(taken, w.written, nil)
	n := len(out)
	if !all {
		n = w.r.IntN(len(out) + 1)
		if w.r.IntN(4) == 0 {
			n = 0
		}
	}
	w.stream = append(w.stream, out[:n]...)
	meanwhile()
	w.settleLocked(taken, n)
}

func (w *wire) frames(t *testing.T) (frames []wireFrame) {
	t.Helper()
	c := &rawClient{t: t, br: bufio.NewReader(bytes.NewReader(w.stream))}
	for {
		f, err := c.next()
		if err == io.EOF {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
}

func TestHoweverShortWritesAreFramesAreWholeInOrderAndNoneIsLost(t *testing.T) {
	for seed := range uint64(500) {
		w := newWire(seed)
		var sent []string
		pong, pinged := "", false // the last ones queued
		event := func() {
			switch w.r.IntN(6) {
			case 0:
				pong = fmt.Sprint("pong", len(w.stream), len(sent))
				w.setPong(pongFrame([]byte(pong)))
			case 1:
				w.ping, pinged = pingFrame, true
			default:
				p := fmt.Sprint(len(sent), strings.Repeat("d", w.r.IntN(1000)))
				if w.r.IntN(20) == 0 {
					p += strings.Repeat("long", 3000)
				}
				sent = append(sent, p)
				if o, _ := w.Send(Item{Frame: textFrame(p)}); o != Queued {
					t.Fatalf("outcome %d", o)
				}
			}
		}
		for range 100 {
			event()
			w.write(w.r.IntN(3) == 0, event)
		}
		if seed%2 == 0 {
			w.sayGoodbye(closeFrame(4000, "bye"))
			w.ping, pinged = nil, false
		}
		for i := 0; w.pendingLocked(); i++ {
			w.write(i > 300, func() {})
		}
		checkWire(t, seed, w, sent, pong, pinged)
	}
}

func checkWire(t *testing.T, seed uint64, w *wire, sent []string, pong string, pinged bool) {
	t.Helper()
	frames := w.frames(t)
	var texts []string
	lastPong, pings := "", 0
	for i, f := range frames {
		switch f.opcode {
		case opText:
			texts = append(texts, f.payload)
		case opPong:
			lastPong = f.payload
		case opPing:
			pings++
		case opClose:
			if i != len(frames)-1 || f.code() != 4000 {
				t.Fatalf("seed %d: close frame %q is frame %d of %d", seed, f.payload, i, len(frames))
			}
		}
	}
	if !slices.Equal(texts, sent) {
		t.Fatalf("seed %d: %d messages on the wire, want %d in order", seed, len(texts), len(sent))
	}
	if lastPong != pong {
		t.Fatalf("seed %d: the last pong is %q, want %q", seed, lastPong, pong)
	}
	if pinged && pings == 0 {
		t.Fatalf("seed %d: the ping was lost", seed)
	}
	if bye := frames[len(frames)-1].opcode == opClose; bye != (seed%2 == 0) || bye != w.byeDone {
		t.Fatalf("seed %d: close frame %v, noted %v", seed, bye, w.byeDone)
	}
	if n := w.writer.counts.frames.Load(); int(n) != len(frames) || w.QueuedBytes() != 0 {
		t.Fatalf("seed %d: %d frames are counted, want %d; %d bytes are queued", seed, n, len(frames), w.QueuedBytes())
	}
}

func TestAPingThatWasTakenButNotWrittenIsWrittenLater(t *testing.T) {
	w := newWire(1)
	w.ping = pingFrame
	taken := w.takeLocked(nil, 100)
	w.settleLocked(taken, 0)
	w.write(true, func() {})
	if f := w.frames(t); len(f) != 1 || f[0].opcode != opPing {
		t.Errorf("on the wire is %v, want a ping", f)
	}
}
