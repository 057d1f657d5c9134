package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// audience is sixteen connections that a rollout must not end.
type audience []*websocket.Conn

func (s *docShell) audience(address string) (a audience) {
	s.t.Helper()
	for range 16 {
		c, _, err := websocket.Dial(s.t.Context(), "ws://"+address+"/ws", nil)
		done(s.t, err)
		s.t.Cleanup(func() { c.CloseNow() })
		a = append(a, c)
		done(s.t, c.Write(s.t.Context(), websocket.MessageText, []byte(`{"type":"join_room","room":"lobby"}`)))
	}
	return a
}

// talk sends three messages on each connection, and returns on how many connections
// the word in capitals is refused. The other two always end alike.
func (a audience) talk(t *testing.T) (refused int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, c := range a {
		for id, text := range []string{"hi", "buy spam", "buy SPAM"} {
			done(t, c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"room_message","room":"lobby","content":%q,"id":%d}`, text, id)))
			for answered := false; !answered; {
				_, frame, err := c.Read(ctx)
				if err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				ack := strings.Contains(string(frame), fmt.Sprintf(`"event":"ack","id":%d`, id))
				denied := strings.Contains(string(frame), `"code":"invalid"`)
				answered = ack || denied
				switch {
				case id == 0 && denied, id == 1 && ack:
					t.Fatalf("%s: %s", text, frame)
				case id == 2 && denied:
					refused++
				}
			}
		}
	}
	return refused
}

func TestEachStepOfTheRolloutWorks(t *testing.T) {
	s, clients, admin := newDocShell(t)
	var a audience
	refused := []int{} // after each block that changes what runs
	for _, b := range docBlocks(t, "rollout.md") {
		b.commands = strings.NewReplacer("127.0.0.1:8080", clients, "127.0.0.1:8081", admin, "sluice reload", "sluice reload --admin http://"+admin,
			"sluice status", "sluice status --admin http://"+admin, "sluice rollback", "sluice rollback --admin http://"+admin).Replace(b.commands)
		switch {
		case b.mark == "background":
			s.start(b, clients)
			a = s.audience(clients)
			refused = append(refused, a.talk(t))
			continue
		case strings.HasPrefix(b.commands, "sluice plugin replay"):
			s.awaitOutput(b, "filter hello: 48 questions, 16 differences")
		}
		s.run(b)
		if strings.Contains(b.commands, "sluice reload") || strings.Contains(b.commands, "sluice rollback") {
			refused = append(refused, a.talk(t))
		}
		if strings.Contains(b.commands, "shadow: 100%") && strings.Contains(b.commands, "sluice check") {
			s.awaitOutput(docBlock{commands: "sluice status --admin http://" + admin}, "hello: the shadow answers 16 of 48 events otherwise")
		}
	}
	if len(refused) != 7 {
		t.Fatalf("the document makes %d steps: %v", len(refused), refused)
	}
	// Captured, shadow, a tenth, half, back to a tenth, half again, all.
	half := refused[3]
	if refused[0] != 0 || refused[1] != 0 || refused[2] > half || half == 0 || half == 16 || refused[4] != refused[2] || refused[5] != half || refused[6] != 16 {
		t.Errorf("of 16 connections so many have the word in capitals refused: %v", refused)
	}
}

// awaitOutput repeats a block until it prints the text: what a node has been told may take
// a moment to be on disk, or to be counted.
func (s *docShell) awaitOutput(b docBlock, text string) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		out, _ := s.command(s.t.Context(), b.commands).CombinedOutput()
		if strings.Contains(string(out), text) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s\ndoes not print %q but\n%s", b.commands, text, out)
		}
	}
}
