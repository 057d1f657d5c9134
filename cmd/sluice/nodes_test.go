package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router/redisbroker/redistest"
)

// onRedis is the configuration of a node that meets others on a Redis. The room
// kept has a history, the others have none.
func onRedis(id string, keys ...string) string {
	return fmt.Sprintf(`
node_id: %s
broker: redis
redis: {%s, probe_interval: 200ms, max_reconnect: 200ms, timeout: 2s}
rooms:
  - {match: "kept", presence: true, history: {size: 100, ttl: 5m}}
  - {match: "**", presence: true}
`, id, strings.Join(keys, ", "))
}

func addressOf(s *redistest.Server) string { return fmt.Sprintf("addresses: [%q]", s.Addr) }

// awaitReady waits until the node's probe answers with the status, and returns what it says.
func (n *running) awaitReady(status int) string {
	n.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		code, body := n.get(n.clients + "/readyz")
		if code == status {
			return body
		}
		if time.Now().After(end) {
			n.t.Fatalf("/readyz says %d %s, and not %d", code, body, status)
		}
	}
}

// startPair starts two nodes on one Redis, which are ready.
func startPair(t *testing.T, s *redistest.Server) (a, b *running) {
	t.Helper()
	a, b = start(t, onRedis("a", addressOf(s))), start(t, onRedis("b", addressOf(s)))
	for _, n := range []*running{a, b} {
		n.awaitReady(http.StatusOK)
	}
	return a, b
}

// enter joins a room, and returns the answer.
func (c *client) enter(room string) event {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"type":"join_room","room":%q}`, room))
	for {
		if e := c.await("joined"); e.Room == room {
			return e
		}
	}
}

// hears waits for a chat event with the content.
func (c *client) hears(content string) event {
	c.t.Helper()
	for {
		if e := c.await("chat"); string(e.Content) == content {
			return e
		}
	}
}

func TestTwoNodesAreOneSystem(t *testing.T) {
	a, b := startPair(t, redistest.Start(t))
	ann, bob := a.dial("/ws?client_id=ann"), b.dial("/ws?client_id=bob")
	for _, c := range []*client{ann, bob} {
		c.enter("chat:1")
	}

	ann.send(`{"type":"room_message","room":"chat:1","content":"to the room"}`)
	for _, c := range []*client{ann, bob} {
		if e := c.hears(`"to the room"`); e.From != "ann" || e.Room != "chat:1" {
			t.Errorf("got %+v", e)
		}
	}
	bob.send(`{"type":"direct_message","target_user":"ann","content":"to ann"}`)
	if e := ann.hears(`"to ann"`); e.From != "bob" || !e.Direct {
		t.Errorf("got %+v", e)
	}
	ann.send(`{"type":"chat","content":"to all"}`)
	if e := bob.hears(`"to all"`); e.From != "ann" || e.Room != "" {
		t.Errorf("got %+v", e)
	}
	ann.send(`{"type":"presence","room":"chat:1"}`)
	if e := ann.await("presence"); e.Total != 2 {
		t.Errorf("got %+v", e)
	}

	var info struct {
		Nodes []struct {
			ID          string
			Connections int
		}
	}
	until(t, "each node shows both, with their connections", func() bool {
		_, body := b.get(b.admin + "/api/info")
		return json.Unmarshal([]byte(body), &info) == nil && len(info.Nodes) == 2 &&
			info.Nodes[0].ID == "a" && info.Nodes[1].ID == "b" && info.Nodes[0].Connections == 1 && info.Nodes[1].Connections == 1
	})

	var out, errOut bytes.Buffer
	if code := Main(t.Context(), []string{"status", "--admin", "http://" + a.admin}, nil, nil, &out, &errOut); code != 0 ||
		!regexp.MustCompile(`(?m)^a, this one +dev .*\nb +dev `).MatchString(out.String()) {
		t.Errorf("sluice status: %d %s%s", code, &out, &errOut)
	}
	if status, answer := postJSON(t, "http://"+a.admin+"/api/disconnect", `{"user":"bob","reason":"go away"}`); status != http.StatusOK {
		t.Fatalf("got %d %s", status, answer)
	}
	err := bob.readError()
	for err == nil {
		err = bob.readError()
	}
	if code := websocket.CloseStatus(err); code < 4000 || code > 4099 || !strings.Contains(err.Error(), "go away") {
		t.Errorf("closed with %v", err)
	}
}

// until waits for something to be so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestAReloadOfOneNodeCanBeThatOfAll(t *testing.T) {
	s := redistest.Start(t)
	a := start(t, onRedis("a", addressOf(s)))
	other := startReloadable(t, onRedis("b", addressOf(s)))
	for _, n := range []*running{a, other.running} {
		n.awaitReady(http.StatusOK)
	}
	var out, errOut bytes.Buffer
	if code := Main(t.Context(), []string{"reload", "--everywhere", "--admin", "http://" + a.admin}, nil, nil, &out, &errOut); code != 0 || !strings.Contains(out.String(), "all nodes were told") {
		t.Fatalf("%d %s%s", code, &out, &errOut)
	}
	until(t, "the other node reloads", func() bool { return strings.Contains(other.logText(), `"trigger":"order"`) })
}

func TestWhileRedisIsAwayNothingIsAcceptedAndNobodyIsCutOff(t *testing.T) {
	s := redistest.Start(t)
	a, b := startPair(t, s)
	ann, bob := a.dial("/ws?client_id=ann"), b.dial("/ws?client_id=bob")
	for _, c := range []*client{ann, bob} {
		c.enter("plain")
	}
	epoch := ann.enter("kept").Epoch
	if was := bob.enter("kept"); was.Epoch != epoch || epoch == "" {
		t.Fatalf("the nodes know the epochs %q and %q", epoch, was.Epoch)
	}

	s.Kill()
	for _, n := range []*running{a, b} {
		if body := n.awaitReady(http.StatusServiceUnavailable); !strings.Contains(body, s.Addr) {
			t.Errorf("/readyz does not name the Redis: %s", body)
		}
		if code, _ := n.get(n.clients + "/healthz"); code != http.StatusOK {
			t.Errorf("a node without Redis is alive, but /healthz says %d", code)
		}
	}
	for _, room := range []string{"plain", "kept"} {
		ann.send(fmt.Sprintf(`{"type":"room_message","room":%q,"content":"while it is away","id":1}`, room))
		if e := ann.await("error"); e.Code != "unavailable" || string(e.ID) != "1" {
			t.Errorf("got %+v", e)
		}
	}
	for _, c := range []*client{ann, bob} {
		c.send(`{"type":"ping"}`)
		c.await("pong")
	}
	// The node is subscribed to the user and the room already.
	a.dial("/ws?client_id=ann").enter("plain")

	s.Restart() // empty: it had nothing on disk
	for _, n := range []*running{a, b} {
		n.awaitReady(http.StatusOK)
	}
	told := map[string]string{}
	for len(told) < 3 {
		e := bob.await("gap")
		told[e.Room] = e.Reason
		if e.Epoch == epoch {
			t.Errorf("the history was lost, and bob is told to go on in it: %+v", e)
		}
	}
	// Of the room with a history he is told that it is lost, if it has begun anew already.
	if told["plain"] != "possible_gap" || told["kept"] != "possible_gap" && told["kept"] != "lost" || told[""] != "possible_gap" {
		t.Errorf("bob is told %v", told)
	}
	for _, room := range []string{"plain", "kept"} {
		ann.send(fmt.Sprintf(`{"type":"room_message","room":%q,"content":"again in %s"}`, room, room))
		bob.hears(fmt.Sprintf(`"again in %s"`, room))
	}
}

func TestARedisThatRestartsWithItsDataEndsTheEpochAndKeepsTheHistory(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := startPair(t, s)
	ann, bob := a.dial("/ws?client_id=ann"), b.dial("/ws?client_id=bob")
	ann.enter("kept")
	epoch := bob.enter("kept").Epoch
	ann.send(`{"type":"room_message","room":"kept","content":"before"}`)
	bob.hears(`"before"`)
	s.Kill()
	b.awaitReady(http.StatusServiceUnavailable)
	s.Restart()
	b.awaitReady(http.StatusOK)
	for {
		if e := bob.await("gap"); e.Room == "kept" {
			if e.Reason != "lost" || e.Epoch == "" || e.Epoch == epoch {
				t.Errorf("after the epoch %s bob is told %+v", epoch, e)
			}
			break
		}
	}
	bob.send(`{"type":"history","room":"kept"}`)
	if e := bob.await("history"); len(e.Messages) != 1 || string(e.Messages[0].Content) != `"before"` {
		t.Errorf("got %+v", e)
	}
	a.awaitReady(http.StatusOK)
	again := a.dial("/ws?client_id=cid")
	again.send(fmt.Sprintf(`{"type":"join_room","room":"kept","recover":{"epoch":%q,"offset":1}}`, epoch))
	if e := again.await("joined"); e.Recovered {
		t.Errorf("a recovery in an epoch that has ended succeeds: %+v", e)
	}
}

func TestAShortInterruptionIsNoGapInARoomWithHistory(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr)
	a, b := start(t, onRedis("a", addressOf(s))), start(t, onRedis("b", fmt.Sprintf("addresses: [%q]", p.Addr)))
	for _, n := range []*running{a, b} {
		n.awaitReady(http.StatusOK)
	}
	ann, bob := a.dial("/ws?client_id=ann"), b.dial("/ws?client_id=bob")
	for _, c := range []*client{ann, bob} {
		c.enter("kept")
	}
	p.Cut()
	b.awaitReady(http.StatusServiceUnavailable)
	for i := range 10 {
		ann.send(fmt.Sprintf(`{"type":"room_message","room":"kept","content":%d,"id":%d}`, i, i))
		ann.await("ack")
	}
	p.Resume()
	for want := 0; want < 10; {
		e, err := bob.read()
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Event == "gap" && e.Room == "kept":
			t.Fatalf("bob is told of a gap: %+v", e)
		case e.Event == "chat" && e.Room == "kept":
			if string(e.Content) != fmt.Sprint(want) || e.Offset != uint64(want+1) {
				t.Fatalf("bob gets %s at %d, want %d", e.Content, e.Offset, want)
			}
			want++
		}
	}
}

func TestANodeStartsWithoutItsRedisAndIsReadyOnceItIsThere(t *testing.T) {
	s := redistest.Start(t)
	s.Kill()
	n := start(t, onRedis("a", addressOf(s)))
	if body := n.awaitReady(http.StatusServiceUnavailable); !strings.Contains(body, s.Addr) {
		t.Errorf("/readyz does not name the Redis: %s", body)
	}
	s.Restart()
	n.awaitReady(http.StatusOK)
	c := n.dial("/ws?client_id=ann")
	c.enter("plain")
	c.send(`{"type":"room_message","room":"plain","content":1}`)
	c.hears("1")
}

func TestARefusalThatNoWaitingChangesEndsTheStartWithItsReason(t *testing.T) {
	secured := redistest.Start(t, "--requirepass", "right")
	for name, c := range map[string]struct{ config, want string }{
		"a wrong password": {onRedis("a", addressOf(secured), `password: hunter2`), "password"},
		"no password":      {onRedis("a", addressOf(secured)), "password"},
		"not a Cluster":    {onRedis("a", addressOf(redistest.Start(t)), `mode: cluster`), "cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			writeFile(t, path, "listen: 127.0.0.1:0\nadmin: {listen: off}\n"+c.config)
			var stderr lockedBuffer
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if code := Main(ctx, []string{"serve", "--config", path, "--cache", "off"}, nil, nil, io.Discard, &stderr); code != 1 {
				t.Errorf("exit %d", code)
			}
			got := stderr.String()
			if !strings.Contains(strings.ToLower(got), c.want) || !strings.Contains(got, "config.yaml:6: redis:") || strings.Contains(got, "hunter2") {
				t.Errorf("got %s", got)
			}
		})
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
