package socket

import (
	"context"
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
