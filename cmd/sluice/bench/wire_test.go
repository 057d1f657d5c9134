package bench

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

func TestAMarkSaysWhatWasPutIntoIt(t *testing.T) {
	prefix := markerPrefix("abcdef")
	for _, want := range []mark{{0, 1, 0}, {1<<48 - 1, 1<<32 - 1, maxConnections - 1}, {123456789, 42, 7}} {
		text := appendMark(nil, prefix, want)
		if len(text) != markerSize {
			t.Errorf("it has %d bytes, not %d", len(text), markerSize)
		}
		if got, ok := parseMark(text[prefixSize:]); !ok || got != want {
			t.Errorf("got %+v of %+v", got, want)
		}
		if bytes.ContainsAny(text, "0123456789\"\\<>&") {
			t.Errorf("%s has what a filter or JSON may change", text)
		}
	}
}

func TestWhatIsNoMarkIsNotTakenForOne(t *testing.T) {
	for _, text := range []string{"", "abc", strings.Repeat("a", markerSize-prefixSize-1), strings.Repeat("q", markerSize), strings.Repeat("A", markerSize), strings.Repeat("1", markerSize)} {
		if m, ok := parseMark([]byte(text)); ok {
			t.Errorf("%q is %+v", text, m)
		}
	}
}

// unmask reads a client's frame.
func unmask(t *testing.T, b []byte) (op byte, payload []byte) {
	t.Helper()
	if b[1]&0x80 == 0 {
		t.Fatal("it is not masked")
	}
	n, at := int(b[1]&0x7f), 2
	switch n {
	case 126:
		n, at = int(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		n, at = int(binary.BigEndian.Uint64(b[2:])), 10
	}
	key := b[at : at+4]
	for i, c := range b[at+4:] {
		payload = append(payload, c^key[i&3])
	}
	if len(payload) != n {
		t.Fatalf("its length is %d, not %d", n, len(payload))
	}
	return b[0] & 0x0f, payload
}

func TestFramesOfEveryLengthAreMaskedAndWhole(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		want := bytes.Repeat([]byte("xyz"), n)[:n]
		if op, got := unmask(t, appendFrame(nil, opText, false, want)); op != opText || !bytes.Equal(got, want) {
			t.Errorf("%d bytes come as %d of kind %d", n, len(got), op)
		}
	}
}

func TestHeadersAreReadOnceTheyAreWhole(t *testing.T) {
	for _, c := range []struct {
		head   string
		length int
	}{{"\x81\x05", 5}, {"\x81\x7e\x01\x00", 256}, {"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 65536}, {"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", maxFrame + 1}} {
		for i := range c.head {
			if _, ok := readHeader([]byte(c.head[:i])); ok {
				t.Errorf("%q is taken for whole", c.head[:i])
			}
		}
		if h, ok := readHeader([]byte(c.head)); !ok || h.length != c.length || h.size != len(c.head) || !h.fin {
			t.Errorf("%q is %+v", c.head, h)
		}
	}
}

func TestFramesThatNoServerMaySendAreFoundOut(t *testing.T) {
	for head, wrong := range map[string]bool{
		"\x81\x05": false, "\x01\x05": false, "\x89\x7d": false, "\x88\x00": false,
		"\x81\x85": true, "\xc1\x05": true, "\xa1\x05": true, "\x09\x01": true, "\x89\x7e\x00\x80": true, "\x83\x00": true, "\x8b\x00": true,
		"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff": true,
	} {
		h, _ := readHeader([]byte(head))
		if got := isWrong([]byte(head), h, false); got != wrong {
			t.Errorf("%q is wrong: %v", head, got)
		}
	}
	h, _ := readHeader([]byte("\xc1\x05"))
	if isWrong([]byte("\xc1\x05"), h, true) {
		t.Error("a compressed frame is wrong although compression was agreed on")
	}
	if h, _ := readHeader([]byte("\xc9\x05")); !isWrong([]byte("\xc9\x05"), h, true) {
		t.Error("a compressed ping is right")
	}
}

func TestTheAnswerToTheOfferOfCompressionIsUnderstood(t *testing.T) {
	for header, want := range map[string]deflateTerms{
		"":                   {},
		"x-webkit":           {},
		"permessage-deflate": {on: true, takeover: true, clientMaxBits: 15},
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover": {on: true, clientMaxBits: 15},
		"permessage-deflate; client_max_window_bits=10":                              {on: true, takeover: true, clientMaxBits: 10},
		`permessage-deflate;client_max_window_bits="9";server_no_context_takeover`:   {on: true, clientMaxBits: 9},
	} {
		if got := parseDeflateTerms(header); got != want {
			t.Errorf("%q is %+v, not %+v", header, got, want)
		}
	}
}

func TestMessagesThatReferToThoseBeforeAreInflated(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		var k codec
		var window []byte
		for i := range 200 {
			want := fmt.Sprintf(`{"event":"chat","n":%d,"content":%q}`, i/2, strings.Repeat("hello ", 100+i))
			out.Reset()
			if !takeover {
				w.Reset(&out)
			}
			if _, err := w.Write([]byte(want)); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			packed := bytes.TrimSuffix(out.Bytes(), deflateTail[:4])
			for range 2 - min(1, len(window)) { // the same bytes again, as on another connection
				got, err := k.inflate(packed, window)
				if err != nil || string(got) != want {
					t.Fatalf("takeover %v, message %d: %v, %.80q", takeover, i, err, got)
				}
			}
			if takeover {
				window = slide(window, []byte(want))
			}
		}
		if len(window) > windowSize {
			t.Errorf("the window has %d bytes", len(window))
		}
	}
}

func TestWhatIsDeflatedHereCanBeInflated(t *testing.T) {
	var k, other codec
	for range 3 {
		want := strings.Repeat("a message ", 50)
		got, err := other.inflate(k.deflate([]byte(want)), nil)
		if err != nil || string(got) != want {
			t.Errorf("%v, %.60q", err, got)
		}
	}
}

func TestDamagedCompressionIsAnError(t *testing.T) {
	var k codec
	if _, err := k.inflate([]byte{0xff, 0xff, 0xff}, nil); err == nil {
		t.Error("it is inflated")
	}
	got, err := k.inflate(new(codec).deflate([]byte("fine")), nil)
	if err != nil || string(got) != "fine" {
		t.Errorf("what comes after it is not: %v %q", err, got)
	}
}
