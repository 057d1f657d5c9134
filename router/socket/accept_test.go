package socket

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestWhatComesBehindTheHandshakeInTheSameWriteIsRead(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	long := strings.Repeat("x", 3000) // more than net/http's buffer has room for in one go
	c := srv.rawDial(t, 0, text("first"), text(long), text("third"))
	c.expect(opText, "first")
	c.expect(opText, long)
	c.expect(opText, "third")
	c.write(text("later"))
	c.expect(opText, "later")
}

func TestASubprotocolIsChosenFromOursAndNoOtherIsEchoed(t *testing.T) {
	srv := serve(t, serverConfig{options: Options{Subprotocols: []string{"v2", "v1"}}}, echo)
	for _, tt := range []struct {
		offered []string
		want    string
	}{
		{nil, ""},
		{[]string{"v1"}, "v1"},
		{[]string{"secret-token", "v1", "v2"}, "v2"},
		{[]string{"secret-token"}, ""},
	} {
		c := srv.dial(t, &websocket.DialOptions{Subprotocols: tt.offered})
		if got := c.Subprotocol(); got != tt.want {
			t.Errorf("of %q %q was chosen, want %q", tt.offered, got, tt.want)
		}
	}
}

func TestARequestThatIsNoHandshakeIsAnsweredWithAnError(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("status %d, want 426", resp.StatusCode)
	}
}

func TestHeadersThatTheCallerHasSetAreInTheResponse(t *testing.T) {
	srv := serve(t, serverConfig{before: func(w http.ResponseWriter) { w.Header().Set("X-Node", "one") }}, echo)
	c := srv.rawDial(t, 0)
	if !strings.Contains(c.header, "X-Node: one\r\n") || !strings.Contains(c.header, "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") {
		t.Errorf("the response is %q", c.header)
	}
}

func TestTimeoutsOfTheHTTPServerEndWithTheHandshake(t *testing.T) {
	const timeout = 100 * time.Millisecond
	srv := serve(t, serverConfig{configure: func(s *http.Server) {
		s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = timeout, timeout, timeout
	}}, echo)
	c := srv.rawDial(t, 0)
	passed := make(chan struct{})
	srv.engine.AfterFunc(3*timeout, func() { close(passed) })
	receive(t, passed)
	c.write(text("still here"))
	c.expect(opText, "still here")
}

func TestASocketWorksOverTLS(t *testing.T) {
	srv := serve(t, serverConfig{tls: true}, echo)
	c := srv.dial(t, nil)
	ctx := context.Background()
	for _, n := range []int{1, 200, 60_000} {
		want := strings.Repeat("t", n)
		if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != want {
			t.Fatalf("%d bytes came back, error %v; want %d", len(got), err, n)
		}
	}
	s := srv.socket(t)
	s.Close(4001, "go away")
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 4001 {
		t.Errorf("error %v, want close code 4001", err)
	}
}

func TestATLSClientThatNeverReadsIsEndedByTheWriteTimeout(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, serverConfig{tls: true, sendBuffer: 4096, options: Options{WriteTimeout: 300 * time.Millisecond}}, readAll(ended))
	srv.dial(t, nil)
	s := srv.socket(t)
	for big := textFrame(strings.Repeat("b", 50_000)); ; {
		if o, _ := s.Send(Item{Frame: big}); o != Queued {
			break
		}
	}
	receive(t, ended)
	if st := srv.engine.Stats(); st.WriteTimeouts != 1 {
		t.Errorf("%d write timeouts counted, want 1", st.WriteTimeouts)
	}
}

// acceptOnly is a socket whose life begins when the test says so.
func acceptOnly(t *testing.T, life func(*Socket)) (*server, *rawClient, *Socket, chan<- struct{}) {
	t.Helper()
	begin := make(chan struct{})
	srv := serve(t, serverConfig{}, func(s *Socket) {
		<-begin
		life(s)
	})
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	c := &rawClient{TCPConn: nc.(*net.TCPConn), t: t, br: bufio.NewReader(nc)}
	c.must(c.SetReadDeadline(time.Now().Add(2 * patience)))
	c.write([]byte(handshake + "\r\n"))
	return srv, c, srv.socket(t), begin
}

func (c *rawClient) expectResponse() {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, nil)
	c.must(err)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatalf("status %d, want 101", resp.StatusCode)
	}
}

func TestTheResponseLeavesInOneWriteWithTheFirstFrame(t *testing.T) {
	srv, c, s, begin := acceptOnly(t, echo)
	defer close(begin)
	if n := s.QueuedBytes(); n != 0 {
		t.Errorf("%d bytes count as queued before anything was sent", n)
	}
	if st := srv.engine.Stats(); st.Writes != 0 {
		t.Errorf("there were %d writes before anything was sent", st.Writes)
	}
	s.Send(Item{Frame: textFrame("welcome")})
	c.expectResponse()
	c.expect(opText, "welcome")
	eventually(t, "the frame is counted", func() bool { return srv.engine.Stats().Frames == 1 })
	if st := srv.engine.Stats(); st.Writes != 1 {
		t.Errorf("there were %d writes, want 1", st.Writes)
	}
}

func TestTheResponseIsSentThoughNothingElseIs(t *testing.T) {
	for name, tt := range map[string]struct {
		life func(*Socket)
		then func(*rawClient)
	}{
		"to who reads": {echo, func(c *rawClient) {
			c.write(text("hello"))
			c.expect(opText, "hello")
		}},
		"to who closes":   {func(s *Socket) { s.Close(4000, ""); readAll(make(chan error, 1))(s) }, func(c *rawClient) { c.expectClose(4000) }},
		"to who releases": {func(*Socket) {}, func(c *rawClient) { c.expectEOF() }},
	} {
		t.Run(name, func(t *testing.T) {
			_, c, _, begin := acceptOnly(t, tt.life)
			close(begin)
			c.expectResponse()
			tt.then(c)
		})
	}
}

func TestCompressionIsAgreedOnOnlyIfBothWantIt(t *testing.T) {
	for _, tt := range []struct {
		level int
		offer websocket.CompressionMode
		want  int
	}{
		{0, websocket.CompressionDisabled, 0},
		{0, websocket.CompressionContextTakeover, 0},
		{6, websocket.CompressionDisabled, 0},
		{6, websocket.CompressionContextTakeover, 6},
		{6, websocket.CompressionNoContextTakeover, 6},
	} {
		srv := serve(t, serverConfig{options: Options{Deflate: tt.level}}, echo)
		srv.dial(t, &websocket.DialOptions{CompressionMode: tt.offer})
		if got := srv.socket(t).deflate; got != tt.want {
			t.Errorf("with level %d and offer %d the socket compresses at %d, want %d", tt.level, tt.offer, got, tt.want)
		}
	}
}

func TestTheAnswerToAnOfferOfCompressionNamesTheWindowIfTheOfferDoes(t *testing.T) {
	const plain = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
	const window = plain + "; server_max_window_bits=15"
	srv := serve(t, serverConfig{options: Options{Deflate: 1}}, echo)
	for offer, want := range map[string]string{
		"permessage-deflate": plain,
		"permessage-deflate; client_max_window_bits; client_no_context_takeover":                       plain,
		"permessage-deflate; server_max_window_bits=15":                                                window,
		"x-other, permessage-deflate ;server_max_window_bits=15; client_max_window_bits=10":            window,
		"permessage-deflate; server_max_window_bits=10":                                                "",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":                            plain,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=15": window,
		"permessage-deflate, permessage-deflate; server_max_window_bits=15":                            plain,
		"permessage-deflate; odd, permessage-deflate; server_max_window_bits=15":                       window,
		"permessage-deflate;": "",
	} {
		req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions": offer} {
			req.Header.Set(name, value)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != want {
			t.Errorf("%q is answered by %q, want %q", offer, got, want)
		}
		if s := srv.socket(t); s.deflate > 0 != (want != "") {
			t.Errorf("%q: the socket compresses at level %d", offer, s.deflate)
		}
		resp.Body.Close()
	}
}

func TestSocketsWithTheSameOptionsShareTheirSettings(t *testing.T) {
	e := new(Engine)
	o := Options{Queue: 1000}.withDefaults()
	a, b := e.shared.of(&o, 0), e.shared.of(&o, 0)
	if a != b {
		t.Error("equal settings are there twice")
	}
	if e.shared.of(&o, 6) == a {
		t.Error("the peer's compression makes no difference")
	}
	for i := range 10 * maxShared {
		o.Queue = i + 1
		if got := e.shared.of(&o, 0); got.queueLimit != i+1 {
			t.Fatalf("a limit of %d, want %d", got.queueLimit, i+1)
		}
	}
	if n := len(e.shared.all); n > maxShared {
		t.Errorf("%d settings are remembered, want at most %d", n, maxShared)
	}
}
