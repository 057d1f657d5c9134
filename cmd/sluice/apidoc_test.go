package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// varying are the values of answers that differ from run to run.
var varying = []struct {
	value *regexp.Regexp
	as    string
}{
	{regexp.MustCompile(`"(message_id|order_id|epoch|node|id|version|filters)":"[^"]+"`), `"$1":"…"`},
	{regexp.MustCompile(`"started":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`), `"started":"…"`},
	{regexp.MustCompile(`"(time|uptime_seconds)":\d+`), `"$1":…`},
}

// sameFields is an answer without what varies.
func sameFields(text string) string {
	for _, v := range varying {
		text = v.value.ReplaceAllString(text, v.as)
	}
	return strings.TrimSpace(text)
}

// member is a connection that is in rooms.
func member(t *testing.T, address, user string, rooms ...string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+address+"/ws?client_id="+user, nil)
	done(t, err)
	t.Cleanup(func() { c.CloseNow() })
	for _, room := range rooms {
		done(t, c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"join_room","room":%q}`, room)))
		awaitFrame(t, c, `"event":"joined"`)
	}
	return c
}

// awaitFrame reads up to the frame with the text.
func awaitFrame(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, frame, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("while waiting for %s: %v", text, err)
		}
		if strings.Contains(string(frame), text) {
			return
		}
	}
}

func TestEachCommandOfTheServerAPIsPageIsAnsweredAsShown(t *testing.T) {
	s, clients, operators := newDocShell(t)
	s.env = append(s.env, "SLUICE_ADMIN_TOKEN=s3cret")
	var ann, bob *websocket.Conn
	asked := func(what string) docBlock {
		return docBlock{commands: "curl -s -H 'Authorization: Bearer s3cret' 'http://" + operators + "/api/" + what + "'"}
	}
	operations := make(map[string]bool)
	for _, b := range docBlocks(t, "api.md") {
		b.commands = strings.NewReplacer("127.0.0.1:8080", clients, "127.0.0.1:8081", operators).Replace(b.commands)
		if b.mark == "background" {
			b.commands = strings.TrimPrefix(b.commands, "SLUICE_ADMIN_TOKEN=s3cret ") // exec takes no assignment
			s.start(b, clients)
			ann, bob = member(t, clients, "ann", "chat:1", "lobby"), member(t, clients, "bob", "chat:1")
			member(t, clients, "ann", "chat:1")
			continue
		}
		out, err := s.command(t.Context(), "set -eu\n"+b.commands).CombinedOutput()
		if err != nil || sameFields(string(out)) != sameFields(b.shown) {
			t.Errorf("%s\nends with %v and prints\n%s\nand the document shows\n%s", b.commands, err, out, b.shown)
		}
		for _, m := range regexp.MustCompile(`/api/([a-z]+)`).FindAllStringSubmatch(b.commands, -1) {
			operations[m[1]] = true
		}
		// What is on its way must have arrived before the page goes on.
		switch {
		case strings.Contains(b.commands, "/api/disconnect"):
			for err == nil {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				_, _, err = bob.Read(ctx)
				cancel()
			}
			if websocket.CloseStatus(err) != 4003 || !strings.Contains(err.Error(), "Your account was closed.") {
				t.Errorf("bob's connection ends with %v", err)
			}
			s.awaitOutput(asked("presence?room=chat:1"), `"total":1`)
			s.awaitOutput(asked("info"), `"connections":2,"users":1`)
		case strings.Contains(b.commands, "/api/unsubscribe"):
			awaitFrame(t, ann, `"The lobby closes."`)
			s.awaitOutput(asked("rooms"), `{"rooms":["chat:1"]}`)
			s.awaitOutput(asked("info"), `"rooms":1,`)
		case strings.Contains(b.commands, `"everywhere": true`):
			s.awaitOutput(asked("info"), `"generation":3`)
		}
	}
	for _, op := range []string{"publish", "broadcast", "direct", "disconnect", "unsubscribe", "presence", "history", "rooms", "info", "batch", "reload"} {
		if !operations[op] {
			t.Errorf("the page has no command for %s", op)
		}
	}
	resp, err := http.Get("http://" + operators + "/api/openapi.json")
	done(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the description wants more than the page says: %d", resp.StatusCode)
	}
}
