package socket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// plainText is what a client of the standard library's flate makes of a compressed frame, whose
// header it checks.
func plainText(t testing.TB, wire []byte) string {
	t.Helper()
	if wire[0] != 0xC1 {
		t.Fatalf("the first byte is %#x, want FIN, RSV1 and text", wire[0])
	}
	body := (&Frame{wire: wire}).Payload()
	if n := len(wire) - len(body); n != headerSize(len(body)) {
		t.Fatalf("a header of %d bytes for %d", n, len(body))
	}
	announced := uint64(wire[1])
	switch announced {
	case 126:
		announced = uint64(binary.BigEndian.Uint16(wire[2:]))
	case 127:
		announced = binary.BigEndian.Uint64(wire[2:])
	}
	if announced != uint64(len(body)) {
		t.Fatalf("the header announces %d bytes of %d", announced, len(body))
	}
	b, err := io.ReadAll(flate.NewReader(strings.NewReader(string(body) + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// deflating is a socket whose peer takes compressed messages, unless the level is 0.
func deflating(level, least int, e *Engine) *Socket {
	return &Socket{settings: &settings{deflate: level, deflateMin: least}, engine: e}
}

// noise is text that does not become smaller.
func noise(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 3))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func TestAFrameIsCompressedWithTheRightHeaderWhateverItsSize(t *testing.T) {
	for _, level := range []int{1, 6, 9} {
		for _, n := range []int{20, 125, 126, 127, 300, 1000, 0xFFFF, 0x10000, 200_000} {
			// half of it is noise, so that compressed sizes are on both sides of each kind of header
			for _, of := range []string{strings.Repeat("a", n), noise(n/2, 1) + strings.Repeat("b", n-n/2)} {
				wire := textFrame(of).deflated(level, 0, new(deflates))
				if wire[0] == finBit|opText {
					if n > 20 {
						t.Errorf("level %d: %d bytes stay as they are", level, n)
					}
					continue
				}
				if got := plainText(t, wire); got != of {
					t.Errorf("level %d: %d bytes come back as %d others", level, n, len(got))
				}
			}
		}
	}
}

func TestAFrameThatBecomesNoSmallerGoesOutAsItIsAndIsTriedOnce(t *testing.T) {
	var counts deflates
	for _, n := range []int{0, 1, 5, 126, 5000, 100_000} {
		f := textFrame(noise(n, 7))
		for range 3 {
			if wire := f.deflated(6, 0, &counts); &wire[0] != &f.wire[0] {
				t.Errorf("%d bytes of noise are compressed to %d", n, len(wire))
			}
		}
	}
	if st := counts.snapshot(); st.Plain != 6 || st.Frames != 0 || st.In != st.Out {
		t.Errorf("counted are %+v, want 6 plain frames", st)
	}
}

func TestNothingIsCompressedBelowTheMinimumNorAnyControlFrameNorForAPeerThatTakesNone(t *testing.T) {
	const n = 1000
	e := new(Engine)
	f := textFrame(strings.Repeat("a", n))
	small := textFrame(strings.Repeat("a", n))
	for _, c := range []struct {
		name  string
		s     *Socket
		frame *Frame
		want  bool
	}{
		{"of the minimum", deflating(1, n, e), f, true},
		{"a byte less", deflating(1, n+1, e), small, false},
		{"no level", deflating(0, 0, e), f, false},
		{"ping", deflating(1, 0, e), pingFrame, false},
		{"pong", deflating(1, 0, e), pongFrame(bytes.Repeat([]byte("a"), maxControl)), false},
		{"close", deflating(1, 0, e), closeFrame(4000, strings.Repeat("a", maxReason)), false},
	} {
		wire := c.s.wireOf(c.frame)
		if got := wire[0]&rsv1Bit != 0; got != c.want {
			t.Errorf("%s: compressed %v, want %v", c.name, got, c.want)
		}
		if !c.want && &wire[0] != &c.frame.wire[0] {
			t.Errorf("%s: it was copied", c.name)
		}
	}
	if f.Payload()[0] != 'a' || len(f.Payload()) != n {
		t.Error("its text is not what it was")
	}
}

func TestSocketsOfOneLevelHaveTheSameBytesOfAFrameWhateverTheirMinimums(t *testing.T) {
	e := new(Engine)
	low, high, other := deflating(1, 100, e), deflating(1, 10_000, e), deflating(6, 10_000, e)
	for range 200 {
		f := textFrame(chatText(1000, 1))
		wires := make([][]byte, 3)
		var done sync.WaitGroup
		for i, s := range []*Socket{low, high, other} {
			done.Go(func() { wires[i] = s.wireOf(f) })
		}
		done.Wait()
		if &wires[0][0] != &wires[1][0] || &low.wireOf(f)[0] != &wires[0][0] {
			t.Fatalf("they are %d and %d bytes", len(wires[0]), len(wires[1]))
		}
		if wires[0][0] != wires[2][0] {
			t.Fatal("it is compressed at one level, and at another it is too small")
		}
	}
}

func TestAFrameIsCompressedOncePerLevelHoweverManyAskAtOnce(t *testing.T) {
	for range 50 {
		var counts deflates
		f := textFrame(chatText(3000, 1))
		var mu sync.Mutex
		forms := make(map[string]bool) // by level and address
		var ready, done sync.WaitGroup
		ready.Add(1)
		for i := range 32 {
			done.Go(func() {
				ready.Wait()
				level := 1 + i%4
				wire := f.deflated(level, 0, &counts)
				mu.Lock()
				defer mu.Unlock()
				forms[fmt.Sprintf("%d %p", level, wire)] = true
				if plainText(t, wire) != string(f.Payload()) {
					t.Error("it is another text")
				}
			})
		}
		ready.Done()
		done.Wait()
		if st := counts.snapshot(); st.Frames != 4 || len(forms) != 4 || st.In != 4*3000 {
			t.Fatalf("at 4 levels it was compressed %d times and has %d forms", st.Frames, len(forms))
		}
	}
}

func TestAReceiverBeyondTheFirstAllocatesNothing(t *testing.T) {
	s := deflating(1, 0, new(Engine))
	f := textFrame(chatText(1024, 1))
	s.wireOf(f)
	if n := testing.AllocsPerRun(100, func() { s.wireOf(f) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestAFrameWithoutCompressionIsOnePointerLargerThanItsBytes(t *testing.T) {
	if got, want := unsafe.Sizeof(Frame{}), unsafe.Sizeof([]byte{})+unsafe.Sizeof(uintptr(0)); got != want {
		t.Errorf("a frame has %d bytes, want %d", got, want)
	}
}

func TestADeflaterIsAsGoodAfterAFrameThatItGaveUp(t *testing.T) {
	text := chatText(2000, 1)
	for range 20 { // some get the deflater that was given back
		textFrame(noise(100_000, 1)).deflated(6, 0, new(deflates))
		if got := plainText(t, textFrame(text).deflated(6, 0, new(deflates))); got != text {
			t.Fatal("it is another text")
		}
	}
}

func TestADeflaterKeepsNoBufferBeyondItsBound(t *testing.T) {
	for range 20 {
		big := noise(2*maxScratch, 1) + strings.Repeat("a", maxScratch)
		if wire := textFrame(big).deflated(1, 0, new(deflates)); wire[0] != 0xC1 {
			t.Fatal("it is not compressed")
		}
		d := takeDeflater(1)
		if cap(d.out) > maxScratch {
			t.Fatalf("it has kept %d bytes", cap(d.out))
		}
		d.giveBack(1)
	}
}
