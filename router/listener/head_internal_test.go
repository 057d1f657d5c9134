package listener

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func known(path []byte) (string, bool) { return "/ws", string(path) == "/ws" }

const plainHead = "GET /ws?a=b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"

func TestAHeadIsWaitedForOnlyWhileItMayBecomeAHandshake(t *testing.T) {
	for text, want := range map[string]fate{
		"":                               unfinished,
		"GET /w":                         unfinished,
		plainHead:                        complete,
		plainHead[:len(plainHead)-1]:     unfinished,
		plainHead[:len(plainHead)-2]:     unfinished,
		plainHead[:len(plainHead)-3]:     unfinished,
		plainHead + "x":                  foreign,
		"P":                              foreign,
		"GET *":                          foreign,
		"GET /healthz HTTP/1.1\r\n":      foreign,
		"GET /ws HTTP/1.0\r\n":           foreign,
		"GET /ws HTTP/1.1\n":             foreign,
		"GET /ws\r\n":                    foreign,
		"GET /ws HTTP/1.1\r\nA: b\n":     foreign,
		"GET /ws HTTP/1.1\r\nA: b\r\n c": foreign,
		"GET /ws HTTP/1.1\r\n\rx":        foreign,
		"GET /ws HTTP/1.1\r\n\n":         foreign,
	} {
		h := head{buf: []byte(text)}
		if got := h.look(known); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestAHeadThatComesInPiecesIsLookedAtAsOneThatComesAtOnce(t *testing.T) {
	for i := range len(plainHead) {
		for k := i; k < len(plainHead); k++ {
			var h head
			for _, n := range []int{i, k} {
				if h.buf = []byte(plainHead[:n]); h.look(known) != unfinished {
					t.Fatalf("%q does not go on", h.buf)
				}
			}
			if h.buf = []byte(plainHead); h.look(known) != complete || h.path != "/ws" {
				t.Fatalf("not complete after %q and %q", plainHead[:i], plainHead[:k])
			}
		}
	}
}

func TestTheTimeThatAHeadHasTakenCountsWhereItIsHandedOver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := &handed{TCPConn: nc.(*net.TCPConn), front: []byte("read"), waited: time.Hour}
	c.SetReadDeadline(time.Now().Add(time.Hour))
	b := make([]byte, 2)
	for _, want := range []string{"re", "ad"} {
		if n, err := c.Read(b); string(b[:n]) != want || err != nil {
			t.Errorf("got %q, %v", b[:n], err)
		}
	}
	if _, err := c.Read(b); !os.IsTimeout(err) {
		t.Errorf("got %v", err)
	}
	c.SetReadDeadline(time.Now().Add(time.Hour)) // of the next request, say
	io.WriteString(client, "x")
	if n, err := c.Read(b); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}

	c.front = []byte("front ")
	io.WriteString(client, "and back")
	client.Close()
	var all strings.Builder
	if n, err := c.WriteTo(&all); all.String() != "front and back" || int(n) != all.Len() || err != nil {
		t.Errorf("got %q of %d, %v", all.String(), n, err)
	}
}

func TestALongHeadIsNotReadInOnePiece(t *testing.T) {
	s := New(&http.Server{MaxHeaderBytes: 1 << 30}, nil)
	defer s.Close()
	if got := s.maxHeader(); got != longestHead {
		t.Errorf("%d bytes are set aside for a head", got)
	}
}
