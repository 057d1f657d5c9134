package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const rooms = `
rooms:
  - {match: "**", presence: true}
`

func TestTwoClientsChatInARoom(t *testing.T) {
	n := start(t, rooms)
	alice, bob := n.dial("/ws?client_id=alice"), n.dial("/ws/secure?client_id=bob")
	for _, c := range []*client{alice, bob} {
		c.send(`{"type":"join_room","room":"chat:1","id":1}`)
		c.await("joined")
	}
	alice.send(`{"type":"room_message","room":"chat:1","content":{"text": "hi"},"id":"m"}`)
	for _, c := range []*client{alice, bob} {
		if e := c.await("chat"); e.From != "alice" || e.Room != "chat:1" || string(e.Content) != `{"text": "hi"}` {
			t.Errorf("got %+v", e)
		}
	}
	bob.send(`{"type":"presence","room":"chat:1"}`)
	if e := bob.await("presence"); e.Total != 2 {
		t.Errorf("got %+v", e)
	}
}

func TestAMessageOverTheLimitIsRefusedWithTheFiltersReason(t *testing.T) {
	n := start(t, rooms+`
filters:
  - {name: size, plugin: "builtin:size", config: {max_bytes: 10}}
`)
	c := n.dial("/ws?client_id=alice")
	c.send(`{"type":"join_room","room":"chat:1"}`)
	c.await("joined")
	c.send(`{"type":"room_message","room":"chat:1","content":"a message that is too long","id":7}`)
	e := c.await("error")
	if e.Code != "too_large" || e.Filter != "size" || !strings.Contains(e.Reason, "10") || string(e.ID) != "7" {
		t.Errorf("got %+v", e)
	}
	c.send(`{"type":"room_message","room":"chat:1","content":"short"}`)
	if e := c.await("chat"); string(e.Content) != `"short"` {
		t.Errorf("got %+v", e)
	}
	if _, body := n.get(n.admin + "/metrics"); !regexp.MustCompile(`sluice_filter_verdicts_total\{filter="size",role="active",verdict="deny",version="[0-9a-f]{12}"\} 1\n`).MatchString(body) {
		t.Errorf("the refusal is not in the metrics:\n%s", body)
	}
}

func TestStatisticsAndMetricsFollowWhatClientsDo(t *testing.T) {
	n := start(t, rooms)
	c := n.dial("/ws?client_id=alice")
	c.send(`{"type":"join_room","room":"a"}`)
	c.await("joined")
	c.send(`{"type":"room_message","room":"a","content":1}`)
	c.await("chat")

	if code, body := n.get(n.clients + "/stats"); code != 200 || body != `{"local_connections":1,"rooms":1}`+"\n" {
		t.Errorf("clients see %d %s", code, body)
	}
	code, body := n.get(n.admin + "/stats")
	var s struct {
		Connections          int `json:"local_connections"`
		Rooms, Users         int
		Generation, Accepted uint64
		Commands, Published  map[string]uint64
		Filters              []any
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != 200 {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if s.Connections != 1 || s.Rooms != 1 || s.Users != 1 || s.Accepted != 1 || s.Generation != 1 || s.Commands["join_room"] != 1 || s.Published["room"] != 1 || s.Filters == nil {
		t.Errorf("got %s", body)
	}
	_, body = n.get(n.admin + "/metrics")
	for _, line := range []string{
		"sluice_connections 1", "sluice_rooms 1", "sluice_connections_accepted_total 1", `sluice_commands_total{type="room_message"} 1`,
		`sluice_messages_published_total{kind="room"} 1`, `sluice_dropped_total{reason="overflow"} 0`, "go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(body, "\n"+line) {
			t.Errorf("no metric %q", line)
		}
	}
}

func TestWhileItDrainsANodeSaysSoAndTakesNobody(t *testing.T) {
	// The window is longer than any test: what ends it is that nobody is left.
	n := start(t, "shutdown: {drain: 10000h}\n")
	c := n.dial("/ws?client_id=alice")
	if code, body := n.get(n.clients + "/readyz"); code != 200 {
		t.Fatalf("not ready before: %d %s", code, body)
	}
	n.stop()
	code, body := 0, ""
	for code != http.StatusServiceUnavailable {
		code, body = n.get(n.clients + "/readyz")
	}
	if !strings.Contains(body, "draining") {
		t.Errorf("got %s", body)
	}
	if code, _ := n.get(n.admin + "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("the admin listener says %d", code)
	}
	if code, _ := n.get(n.clients + "/healthz"); code != http.StatusOK {
		t.Errorf("a draining node is alive, but /healthz says %d", code)
	}
	if code, _ := n.get(n.clients + "/ws"); code != http.StatusServiceUnavailable {
		t.Errorf("a new connection gets %d", code)
	}
	c.send(`{"type":"ping"}`)
	c.await("pong")
	c.conn.CloseNow()
	if code := n.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestConnectionsAreClosedWith4200AtTheEnd(t *testing.T) {
	n := start(t, "shutdown: {drain: 0s}\n")
	c := n.dial("/ws?client_id=alice")
	n.stop()
	var closed websocket.CloseError
	for !errors.As(c.readError(), &closed) {
	}
	if closed.Code != 4200 {
		t.Errorf("closed with %v", closed)
	}
	if code := n.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// process runs the command as a process of its own, and waits until it listens.
func process(t *testing.T, args ...string) (cmd *exec.Cmd, clients string) {
	t.Helper()
	cmd = exec.Command("sluice", append(args, "--listen", "127.0.0.1:0", "--admin-listen", "off", "--cache", "off")...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	buf := make([]byte, 4096)
	for text := ""; ; {
		k, err := stderr.Read(buf)
		text += string(buf[:k])
		if m := regexp.MustCompile(`ws://(\S+)/ws`).FindStringSubmatch(text); m != nil {
			return cmd, m[1]
		}
		if err != nil {
			t.Fatalf("%v after %s", err, text)
		}
	}
}

func TestTheProcessEndsWithZeroAfterSIGTERM(t *testing.T) {
	cmd, _ := process(t, "--shutdown-drain", "0s")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestASecondSignalEndsTheProcessAtOnce(t *testing.T) {
	cmd, address := process(t, "--shutdown-drain", "10000h")
	n := &running{t: t, clients: address}
	n.dial("/ws")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for code := 0; code != http.StatusServiceUnavailable; {
		code, _ = n.get(address + "/readyz")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", err)
	}
}

// endsUnfinished sends a request that stays unfinished, and waits until the
// node gives it up.
func endsUnfinished(t *testing.T, address, request string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection stays open after %q", request)
	}
}

func TestASlowRequestIsGivenUpAfterTheHandshakeTimeout(t *testing.T) {
	n := start(t, "limits: {handshake_timeout: 100ms}\n")
	for _, request := range []string{
		"",
		"GET /ws HTTP/1.1\r\nHost: x\r\nUpgr",
		"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
	} {
		endsUnfinished(t, n.clients, request)
		endsUnfinished(t, n.admin, request)
	}
}

func TestAConnectionOutlivesTheTimeoutsOfItsRequest(t *testing.T) {
	n := start(t, "limits: {handshake_timeout: 50ms, write_timeout: 50ms}\n")
	c := n.dial("/ws")
	for range 4 { // 50 ms each
		endsUnfinished(t, n.clients, "")
	}
	c.send(`{"type":"ping"}`)
	c.await("pong")
}

func TestAHeaderOfExcessiveSizeIsRefused(t *testing.T) {
	n := start(t, "")
	if code, _ := n.get(n.clients+"/ws", "X-Large", strings.Repeat("x", 64<<10)); code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", code)
	}
}

func TestANodeWithoutAuthenticationWarnsThatItAdmitsAnyone(t *testing.T) {
	n := start(t, "")
	if text := n.logText(); !strings.Contains(text, `"level":"WARN"`) || !strings.Contains(text, "everyone is admitted") {
		t.Errorf("the log says nothing:\n%s", text)
	}
}

func TestOnceClientsAreAskedWhoTheyAreTheCountsAreForOperators(t *testing.T) {
	filter, err := filepath.Abs("../../plugins/testdata/capture.wasm")
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, "filters:\n  - {name: auth, plugin: "+filter+"}\n")
	if code, body := n.get(n.clients + "/stats"); code != http.StatusNotFound {
		t.Errorf("got %d %s", code, body)
	}
	if code, body := n.get(n.admin + "/stats"); code != http.StatusOK || !strings.Contains(body, `"name":"auth"`) {
		t.Errorf("got %d %s", code, body)
	}
	if strings.Contains(n.logText(), "everyone is admitted") {
		t.Error("the log says that everyone is admitted")
	}
}

func TestThePagesOfClientsTellOnlyWhatTheyShould(t *testing.T) {
	n := start(t, "")
	for _, path := range []string{"/metrics", "/", "/stats/x"} {
		if code, body := n.get(n.clients + path); code != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestTheAdminListenerWantsItsTokenAndItsName(t *testing.T) {
	n := start(t, `admin: {listen: "127.0.0.1:0", token: "${SECRET}"}`, "SECRET=s3cret")
	for _, c := range []struct {
		path   string
		header []string
		want   int
	}{
		{"/metrics", nil, 401},
		{"/stats", []string{"Authorization", "Bearer wrong"}, 401},
		{"/stats", []string{"Authorization", "Bearer s3cret"}, 200},
		{"/healthz", nil, 200},
		{"/readyz", nil, 200},
		{"/stats", []string{"Authorization", "Bearer s3cret", "Host", "evil.example"}, 403},
	} {
		if got, body := n.get(n.admin+c.path, c.header...); got != c.want {
			t.Errorf("%s %v: %d %s", c.path, c.header, got, body)
		}
	}
}
