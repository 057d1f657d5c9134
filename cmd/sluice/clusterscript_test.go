package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// scriptTime is how long scripts/cluster may take to be ready: it builds the node.
const scriptTime = 10 * time.Minute

// cluster is scripts/cluster, running.
type cluster struct {
	t     *testing.T
	port  int
	cmd   *exec.Cmd
	ended chan struct{} // closed when the script has ended

	mu    sync.Mutex
	lines []string
}

// startCluster runs the script, and waits until it says that all is ready.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	for range 5 {
		c := &cluster{t: t, port: freeRange(t), ended: make(chan struct{})}
		c.cmd = exec.Command("../../scripts/cluster", strconv.Itoa(c.port))
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		out, err := c.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		c.cmd.Stderr = c.cmd.Stdout
		if err := c.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(c.ended)
			for lines := bufio.NewScanner(out); lines.Scan(); {
				c.mu.Lock()
				c.lines = append(c.lines, lines.Text())
				c.mu.Unlock()
			}
			_ = c.cmd.Wait() // its state is looked at
		}()
		t.Cleanup(c.stop)
		for end := time.Now().Add(scriptTime); c.line("Ctrl-C ends all of them.") == "" && !c.hasEnded(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the script is not ready:\n%s", c.text())
			}
		}
		if !c.hasEnded() {
			return c
		}
		if !strings.Contains(c.text(), "is in use") { // someone was quicker
			t.Fatalf("the script ended:\n%s", c.text())
		}
	}
	t.Fatal("no free ports")
	return nil
}

func (c *cluster) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// stop ends the script as Ctrl-C does, and waits until it has ended.
func (c *cluster) stop() {
	if !c.hasEnded() {
		_ = c.cmd.Process.Signal(syscall.SIGINT)
	}
	<-c.ended
	if c.t.Failed() {
		c.t.Logf("the script said:\n%s", c.text())
	}
}

func (c *cluster) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n")
}

// line is the last line that the script printed with this beginning; "": none.
func (c *cluster) line(beginning string) (found string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.lines {
		if strings.HasPrefix(line, beginning) {
			found = line
		}
	}
	return found
}

// process is the process that the script names last in lines with this beginning.
func (c *cluster) process(beginning string) int {
	c.t.Helper()
	m := regexp.MustCompile(`process (\d+)`).FindStringSubmatch(c.line(beginning))
	if m == nil {
		c.t.Fatalf("the script does not name the process of %s:\n%s", beginning, c.text())
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		c.t.Fatal(err)
	}
	return pid
}

// freeRange is a port such that it and all others that the script takes are free.
func freeRange(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		free := true
		for _, offset := range []int{0, 1, 2, 9, 11, 12} {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+offset))
			if free = err == nil; !free {
				break
			}
			l.Close()
		}
		if free {
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

// dialPort connects as the user, until there is a connection.
func dialPort(t *testing.T, port int, user string) *client {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%d/ws?client_id=%s", port, user), nil)
		cancel()
		if err == nil {
			t.Cleanup(func() { conn.CloseNow() })
			c := &client{t, conn}
			c.await("welcome")
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// statusOf asks for a page.
func statusOf(t *testing.T, port int, path string) int {
	t.Helper()
	n := &running{t: t}
	code, _ := n.get(fmt.Sprintf("127.0.0.1:%d%s", port, path))
	return code
}

func TestTheScriptsTwoNodesBehindNginxSurviveARollingRestartWithoutLoss(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Fatal("bash is missing: install it, or run the tests where it is")
	}
	c := startCluster(t)
	if code := statusOf(t, c.port, "/"); code != http.StatusOK {
		t.Errorf("the page through nginx answers %d", code)
	}

	// Through nginx to some node; the other one is where the messages come from.
	reader := dialPort(t, c.port, "reader")
	joined := reader.enter("room")
	own, other := "a", c.port+2
	n := &running{t: t}
	if _, body := n.get(fmt.Sprintf("127.0.0.1:%d/stats", c.port+11)); !strings.Contains(body, `"local_connections":1`) {
		own, other = "b", c.port+1
	}
	writer := dialPort(t, other, "writer")
	writer.enter("room")
	say := func(i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		text := fmt.Sprintf(`{"type":"room_message","room":"room","content":%d,"id":%d}`, i, i)
		if err := writer.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			return err
		}
		for {
			switch e, err := writer.read(); {
			case err != nil:
				return err
			case e.Event == "error":
				return fmt.Errorf("message %d is refused: %s: %s", i, e.Code, e.Reason)
			case e.Event == "ack":
				return nil
			}
		}
	}

	heard := 0
	at := joined.Offset
	hear := func(e event) {
		t.Helper()
		heard++
		if string(e.Content) != strconv.Itoa(heard) || e.Offset != at+1 {
			t.Fatalf("the reader gets %s at offset %d, want %d at %d", e.Content, e.Offset, heard, at+1)
		}
		at = e.Offset
	}
	if err := say(1); err != nil {
		t.Fatal(err)
	}
	hear(reader.await("chat"))

	// The reader's node is restarted while messages go on.
	const last = 50
	if err := syscall.Kill(c.process("node "+own), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	said := make(chan error, 1)
	go func() {
		var err error
		for i := 2; i <= last && err == nil; i++ {
			err = say(i)
		}
		said <- err
	}()
	for {
		e, err := reader.read()
		if err != nil {
			if code := websocket.CloseStatus(err); code != 4200 {
				t.Fatalf("the reader's connection ended with %v", err)
			}
			break
		}
		if e.Event == "chat" {
			hear(e)
		}
	}
	reader = dialPort(t, c.port, "reader")
	reader.send(fmt.Sprintf(`{"type":"join_room","room":"room","recover":{"epoch":%q,"offset":%d}}`, joined.Epoch, at))
	back := reader.await("joined")
	if !back.Recovered {
		t.Fatalf("the reader is not given what it missed: %+v", back)
	}
	for _, m := range back.Messages {
		hear(m)
	}
	for heard < last {
		hear(reader.await("chat"))
	}
	if err := <-said; err != nil {
		t.Fatal(err)
	}

	until(t, "the node that was restarted is ready", func() bool { return strings.Contains(c.line("node "+own), "runs again") })
	// It is one of the two again.
	both := map[string]int{"a": c.port + 1, "b": c.port + 2}
	again := dialPort(t, both[own], "again")
	again.enter("room")
	writer.send(`{"type":"room_message","room":"room","content":"both"}`)
	for _, one := range []*client{reader, again} {
		one.hears(`"both"`)
	}

	var started []int
	for _, name := range []string{"node a", "node b", "redis"} {
		started = append(started, c.process(name))
	}
	logs := strings.TrimSpace(strings.TrimPrefix(c.line("logs"), "logs"))
	c.stop()
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the script ends with %d", code)
	}
	for _, pid := range started {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d has outlived the script", pid)
		}
	}
	for _, offset := range []int{0, 1, 2, 9, 11, 12} {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.port+offset)); err != nil {
			t.Errorf("port %d is still taken: %v", c.port+offset, err)
		} else {
			l.Close()
		}
	}
	if _, err := os.Stat(logs); err == nil || logs == "" {
		t.Errorf("the folder %q is still there", logs)
	}
}

func TestTheScriptNamesAPortThatIsInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if port > 65500 {
		t.Skip("a port that the script does not take")
	}
	out, err := exec.Command("../../scripts/cluster", strconv.Itoa(port)).CombinedOutput()
	if err == nil || !strings.Contains(string(out), fmt.Sprintf("port %d is in use", port)) {
		t.Errorf("%v: %s", err, out)
	}
	out, err = exec.Command("../../scripts/cluster", "nonsense").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nonsense is not a port; usage: scripts/cluster [PORT]") {
		t.Errorf("%v: %s", err, out)
	}
}
