package socket

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
)

// compressed is what a client sends for a text that it compresses in pieces, which are marked as
// final or not.
func compressed(level int, final bool, pieces ...string) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic(err)
	}
	for _, p := range pieces {
		if final {
			w.Reset(&b)
		}
		_, _ = io.WriteString(w, p)
		if final {
			_ = w.Close()
		} else {
			_ = w.Flush()
		}
	}
	if final {
		return append(b.Bytes(), 0)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte(flushTail))
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestCompressedMessagesAreUnderstoodInEveryFormThatTheRFCShows(t *testing.T) {
	long := chatText(100_000, 1)
	for _, c := range []struct {
		name, want string
		message    []byte
	}{
		{"one block, 7.2.3.1", "Hello", unhex("f2 48 cd c9 c9 07 00")},
		{"not compressed, 7.2.3.3", "Hello", unhex("00 05 00 fa ff 48 65 6c 6c 6f 00")},
		{"final block, 7.2.3.4", "Hello", unhex("f3 48 cd c9 c9 07 00 00")},
		{"final block without the byte behind it", "Hello", unhex("f3 48 cd c9 c9 07 00")},
		{"two blocks, 7.2.3.5", "Hello", unhex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")},
		{"empty, 7.2.3.6", "", unhex("00")},
		{"empty and final", "", unhex("03 00 00")},
		{"final and stored, its end left away", "", unhex("01")},
		{"long", long, compressed(6, false, long)},
		{"stored", long, compressed(0, false, long)},
		{"Huffman codes alone", long, compressed(flate.HuffmanOnly, false, long)},
		{"many pieces", long + long + "x" + long, compressed(1, false, long, long, "x", "", long)},
		{"final pieces", "ab" + long + "c", compressed(9, true, "a", "b", long, "c")},
		{"a reference to before a final block", "abcabcabcabc", append(bytes.TrimSuffix(compressed(6, true, "abcabc"), []byte{0}), dictBlock("abcabc", "abcabc")...)},
		{"an empty block more", "Hello", append(compressed(6, false, "Hello"), "\x00\x00\xff\xff\x00"...)},
	} {
		for _, room := range []int{0, 1, 7, 4096} {
			got, err := inflate(append(make([]byte, 0, room), "before"...), c.message, len(c.want))
			if err != nil || string(got) != "before"+c.want {
				t.Errorf("%s, room %d: %d bytes %.20q, error %v", c.name, room, len(got), got, err)
			}
		}
		if c.want == "" {
			continue
		}
		got, err := inflate(nil, c.message, len(c.want)-1)
		if err != ErrTooBig || string(got) != c.want[:len(c.want)-1] {
			t.Errorf("%s: a byte over the limit gives %d bytes, error %v", c.name, len(got), err)
		}
	}
}

// dictBlock compresses text with what came before as its window.
func dictBlock(before, text string) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, 6, []byte(before))
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte(flushTail))
}

func TestACorruptMessageIsAnError(t *testing.T) {
	whole := compressed(6, false, chatText(5000, 1))
	flipped := bytes.Clone(whole)
	flipped[3] ^= 0x40
	for name, message := range map[string][]byte{
		"not deflate":                      []byte("hello"),
		"a block of a kind that is not":    unhex("07"),
		"lengths that do not match":        unhex("00 05 00 00 00 48"),
		"cut in the middle":                whole[:len(whole)/2],
		"a byte is missing":                whole[:len(whole)-2],
		"a bit is wrong":                   flipped,
		"a reference before the beginning": dictBlock("abcabcabc", "abcabcabc"),
		"a stored block that is not whole": unhex("00 ff 00 00 ff 48"),
		"garbage behind a final block":     append(compressed(6, true, "Hello"), 0xFF, 0xFF),
		"final blocks without end":         bytes.Repeat(unhex("03 00"), maxRestart+2),
		"no bytes at all":                  nil,
	} {
		b, err := inflate(nil, message, 1<<20)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d bytes, error %v; want one of a corrupt message", name, len(b), err)
		}
	}
}

func TestABombCostsNoMoreThanItsLimit(t *testing.T) {
	const limit = 64 << 10
	bomb := compressed(9, false, strings.Repeat("\x00", 64<<20))
	if ratio := (64 << 20) / len(bomb); ratio < 1000 {
		t.Fatalf("the bomb is one of %d : 1", ratio)
	}
	b, err := inflate(nil, bomb, limit)
	if err != ErrTooBig || len(b) != limit || cap(b) > limit+limit/4 {
		t.Errorf("%d bytes in %d, error %v; want %d and ErrTooBig", len(b), cap(b), err, limit)
	}
	if raceEnabled {
		return
	}
	var total uint64
	n := testing.Benchmark(func(tb *testing.B) {
		tb.ReportAllocs()
		for range tb.N {
			if _, err := inflate(nil, bomb, limit); err != ErrTooBig {
				tb.Fatal(err)
			}
		}
	})
	if total = uint64(n.AllocedBytesPerOp()); total > 3*limit {
		t.Errorf("it allocates %d bytes", total)
	}
}

func TestWhatComesOutDecidesTheBufferAndNotWhatMight(t *testing.T) {
	for _, n := range []int{1, 100, 1000, 10_000} {
		b, err := inflate(nil, compressed(6, false, chatText(max(n, 300), 1)[:n]), 1<<30)
		if err != nil || len(b) != n || cap(b) > 2*n+firstRoom {
			t.Errorf("%d bytes came in %d, error %v", len(b), cap(b), err)
		}
	}
}

func TestAnInflaterIsAsGoodAfterACorruptMessageAndHoldsOnToNone(t *testing.T) {
	text := chatText(3000, 1)
	message := compressed(6, false, text)
	for range 20 {
		_, _ = inflate(nil, []byte("corrupt"), 1<<20)
		if b, err := inflate(nil, message, 1<<20); err != nil || string(b) != text {
			t.Fatalf("%d bytes, error %v", len(b), err)
		}
		d := inflaters.Get().(*inflater)
		if d.in.message != nil {
			t.Fatal("it holds on to a message")
		}
		inflaters.Put(d)
	}
}

func FuzzInflateAgreesWithTheStandardLibrary(f *testing.F) {
	text := chatText(400, 1)
	f.Add(compressed(6, false, text), 1000)
	f.Add(compressed(6, true, text, "more"), 1000)
	f.Add(compressed(0, false, text), 100)
	f.Add(unhex("f3 48 cd c9 c9 07 00 00"), 5)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, message []byte, limit int) {
		limit = min(max(limit, 0), 1<<20)
		before := bytes.Clone(message)
		got, err := inflate([]byte("before"), message, limit)
		if !bytes.Equal(message, before) {
			t.Fatal("the message was changed")
		}
		if !bytes.HasPrefix(got, []byte("before")) {
			t.Fatal("what was in dst has gone")
		}
		if got = got[len("before"):]; len(got) > limit {
			t.Fatalf("%d bytes, limit %d", len(got), limit)
		}
		if err != nil && err != ErrTooBig && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("error %v", err)
		}
		// The oracle reads to the first final block.
		src := strings.NewReader(string(message) + ending)
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(src), int64(limit)+1))
		switch {
		case len(want) > limit:
			if err != ErrTooBig || !bytes.Equal(got, want[:limit]) {
				t.Fatalf("%d bytes, error %v; want too much", len(got), err)
			}
		case wantErr != nil:
			if !errors.Is(err, ErrCorrupt) || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, error %v; want %v", len(got), err, wantErr)
			}
		case !bytes.HasPrefix(got, want):
			t.Fatalf("%q, want it to begin with %q", got, want)
		case src.Len() == 0 && (err != nil || len(got) != len(want)):
			t.Fatalf("%q, error %v; want %q", got, err, want)
		}
	})
}

func FuzzWhatIsCompressedIsDecompressed(f *testing.F) {
	f.Add([]byte(chatText(1000, 1)), 6)
	f.Add([]byte("\x00\x00\xff\xff"), 1)
	f.Add([]byte(noise(300, 1)), 9)
	f.Fuzz(func(t *testing.T, text []byte, level int) {
		level = 1 + int(uint(level)%9)
		frame := textFrame(string(text))
		wire := frame.deflated(level, 0, new(deflates))
		if len(wire) > len(frame.wire) {
			t.Fatalf("%d bytes have become %d", len(frame.wire), len(wire))
		}
		if wire[0] != 0xC1 {
			if len(wire) != len(frame.wire) {
				t.Fatal("it is neither compressed nor as it was")
			}
			return
		}
		if plainText(t, wire) != string(text) {
			t.Fatal("the standard library reads another text")
		}
		got, err := inflate(nil, (&Frame{wire: wire}).Payload(), len(text))
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%d bytes have come back as %d, error %v", len(text), len(got), err)
		}
	})
}
