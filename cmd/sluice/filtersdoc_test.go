package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// docBlock is a block of commands of a document.
type docBlock struct {
	mark     string // "", fails, either (it may fail), background
	commands string
	shown    string // the output that the document shows after it; "": none
}

var docFence = regexp.MustCompile("(?s)```([a-z]+) ?([a-z]*)\n(.*?)```")

func docBlocks(t *testing.T, name string) (blocks []docBlock) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range docFence.FindAllStringSubmatch(string(text), -1) {
		switch m[1] {
		case "sh":
			blocks = append(blocks, docBlock{mark: m[2], commands: m[3]})
		case "text":
			blocks[len(blocks)-1].shown = m[3]
		}
	}
	return blocks
}

// freeAddress is an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// docShell runs the document's commands, one block after the other, in folders
// that the test owns.
type docShell struct {
	t   *testing.T
	env []string
	dir string
}

func (s *docShell) command(ctx context.Context, text string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", text)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

// run runs a block, and stays in the folder in which it ends.
func (s *docShell) run(b docBlock) {
	s.t.Helper()
	const here = "\n--here--"
	out, err := s.command(s.t.Context(), "set -eu\n"+b.commands+"\nprintf '"+strings.ReplaceAll(here, "\n", `\n`)+"%s' \"$PWD\"").CombinedOutput()
	text, dir, _ := strings.Cut(string(out), here)
	if b.mark != "either" && (err != nil) != (b.mark == "fails") {
		s.t.Fatalf("%s\nends with %v:\n%s", b.commands, err, out)
	}
	if b.shown != "" && strings.TrimSpace(text) != strings.TrimSpace(b.shown) {
		s.t.Errorf("%s\nprints\n%s\nand the document shows\n%s", b.commands, text, b.shown)
	}
	if err == nil {
		s.dir = dir
	}
}

// start runs a block in the background until the test ends, and returns when it
// has printed the text.
func (s *docShell) start(b docBlock, until string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := s.command(ctx, "exec "+b.commands)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	seen, drained := make(chan struct{}), make(chan struct{})
	var text strings.Builder
	go func() {
		defer close(drained)
		found := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
			if !found && strings.Contains(lines.Text(), until) {
				found = true
				close(seen)
			}
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		in.Close()
		<-drained
	})
	select {
	case <-seen:
	case <-drained:
		s.t.Fatalf("%s\nends:\n%s", b.commands, &text)
	case <-time.After(2 * time.Minute):
		s.t.Fatalf("%s\ndoes not print %q", b.commands, until)
	}
}

// newDocShell has the program on its path, and two free addresses for a node. The node
// pings nobody: the tests read their connections only now and then.
func newDocShell(t *testing.T) (s *docShell, clients, admin string) {
	t.Helper()
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "sluice"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &docShell{t: t, dir: t.TempDir(), env: append(os.Environ(),
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GOCACHE="+strings.TrimSpace(string(gocache)),
		"XDG_CACHE_HOME="+t.TempDir(), "GOPROXY=off", "SLUICE_HEARTBEAT_PING=1h")}, freeAddress(t), freeAddress(t)
}

func TestEachStepOfTheFiltersTutorialWorks(t *testing.T) {
	s, clients, admin := newDocShell(t)
	background := 0
	for _, b := range docBlocks(t, "filters.md") {
		b.commands = strings.NewReplacer("127.0.0.1:8080", clients, "127.0.0.1:8081", admin).Replace(b.commands)
		switch {
		case b.mark != "background":
			s.run(b)
		case strings.HasPrefix(b.commands, "sluice serve"):
			background++
			s.start(b, clients)
			sendsAndIsRefused(t, clients)
		default:
			background++
			s.start(b, "the node runs it: generation 2")
			sendsAndIsRefused(t, clients)
		}
	}
	if background != 2 {
		t.Errorf("%d commands ran in the background", background)
	}
}

// sendsAndIsRefused talks to the node as the document does.
func sendsAndIsRefused(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+address+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for _, frame := range []string{
		`{"type":"join_room","room":"lobby"}`,
		`{"type":"room_message","room":"lobby","content":"hi","id":"1"}`,
		`{"type":"room_message","room":"lobby","content":"buy spam","id":"2"}`,
	} {
		if err := c.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	var seen strings.Builder
	for {
		_, frame, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("%v, after\n%s", err, &seen)
		}
		seen.Write(append(frame, '\n'))
		if strings.Contains(string(frame), "that word is not welcome here") {
			break
		}
	}
	if text := seen.String(); !strings.Contains(text, `{"n":1,"content":"hi"}`) || !strings.Contains(text, `"invalid"`) {
		t.Errorf("the node answers\n%s", text)
	}
}
