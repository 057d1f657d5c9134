package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestProfilesAreEnabledAndDisabledByAReload(t *testing.T) {
	n := startReloadable(t, "")
	served := func(want bool) {
		t.Helper()
		if code, body := n.get(n.admin + "/debug/pprof/heap"); code != map[bool]int{true: 200, false: 404}[want] {
			t.Errorf("enabled %t: %d %.200s", want, code, body)
		}
	}
	served(false)
	text, err := os.ReadFile(n.file)
	done(t, err)
	listener := []byte(`admin: {listen: "127.0.0.1:0"`)
	writeFile(t, n.file, string(bytes.Replace(text, listener, append(listener, ", pprof: true"...), 1)))
	for _, step := range []struct {
		command string
		enabled bool
	}{{"reload", true}, {"rollback", false}, {"reload", true}} {
		if code, out, errs := n.command(step.command); code != 0 {
			t.Fatalf("%s: exit %d: %s%s", step.command, code, out, errs)
		}
		served(step.enabled)
	}
	n.write(t, "")
	if code, out, errs := n.command("reload"); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	served(false)
	if code, _ := n.get(n.clients + "/debug/pprof/"); code != 404 {
		t.Errorf("clients see profiles: %d", code)
	}
}

// busy has a client of the node talk to itself until ctx ends.
func busy(ctx context.Context, t *testing.T, n *running) (ended <-chan struct{}) {
	t.Helper()
	c := n.dial("/ws?client_id=ann")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.conn.CloseNow()
		if c.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"join_room","room":"lobby"}`)) != nil {
			return
		}
		for {
			if c.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"room_message","room":"lobby","content":"x"}`)) != nil {
				return
			}
			if _, _, err := c.conn.Read(ctx); err != nil {
				return
			}
		}
	}()
	return done
}

// topOf is what go tool pprof says of a profile.
func topOf(t *testing.T, profile string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "profile.pb.gz")
	if err := os.WriteFile(file, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "tool", "pprof", "-top", "-cum", "-nodecount=2000", "-nodefraction=0", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// The listener's time limits are much shorter than the profile takes.
func TestAProfileOfALoadedNodeTakesItsTimeAndNamesWhatRan(t *testing.T) {
	n := start(t, "limits: {handshake_timeout: 1s, write_timeout: 1s}\nadmin: {listen: \"127.0.0.1:0\", pprof: true}\n")
	ctx, cancel := context.WithCancel(t.Context())
	ended := busy(ctx, t, n)
	defer func() { cancel(); <-ended }()

	code, profile := n.get(n.admin + "/debug/pprof/profile?seconds=5")
	if code != 200 {
		t.Fatalf("%d %.300s", code, profile)
	}
	top := topOf(t, profile)
	var seconds float64
	_, duration, _ := strings.Cut(top, "Duration: ")
	if _, err := fmt.Sscanf(duration, "%fs", &seconds); err != nil || seconds < 4.9 {
		t.Errorf("it was cut short: %v\n%.300s", err, top)
	}
	if !strings.Contains(top, "sluice/router.(*") || !strings.Contains(top, "sluice/router/socket.(*") {
		t.Errorf("the node's work is not in it:\n%s", top)
	}
	for path, want := range map[string]string{
		"goroutine":       "sluice/router",
		"heap?gc=1":       "Type: inuse_space",
		"allocs":          "Type: alloc_space",
		"mutex?seconds=1": "Type: delay",
		"block?seconds=1": "Type: delay",
		"threadcreate":    "Type: threadcreate",
	} {
		code, profile := n.get(n.admin + "/debug/pprof/" + path)
		if code != 200 {
			t.Errorf("%s: %d %.300s", path, code, profile)
		} else if top := topOf(t, profile); !strings.Contains(top, want) {
			t.Errorf("%s does not say %s:\n%.1000s", path, want, top)
		}
	}
	if code, text := n.get(n.admin + "/debug/pprof/goroutine?debug=2"); code != 200 || !strings.Contains(text, "sluice/router/socket.") {
		t.Errorf("goroutines as text: %d %.300s", code, text)
	}
	select {
	case <-ended:
		t.Error("the load ended before the profiles were taken")
	default:
	}
	if code, trace := n.get(n.admin + "/debug/pprof/trace?seconds=3"); code != 200 || !strings.HasPrefix(trace, "go 1.") {
		t.Errorf("a trace: %d %.30q", code, trace)
	}
}
