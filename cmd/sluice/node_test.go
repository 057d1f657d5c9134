package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// running is a node that a test started with the real Main.
type running struct {
	t       *testing.T
	clients string // host:port
	admin   string
	stop    context.CancelFunc // as SIGTERM
	exit    <-chan int

	mu  sync.Mutex
	log bytes.Buffer
}

// compiled is a folder that the nodes of all tests share, so that each filter is
// compiled once. TestMain removes it.
var compiled = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "compiled")
	if err != nil {
		panic(err)
	}
	return dir
})

// start runs a node with the configuration, whose listeners take free ports,
// and waits until it listens.
func start(t *testing.T, config string, env ...string) *running {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "listen: 127.0.0.1:0\nlog: {format: json, level: debug}\ncache: " + compiled() + "\n" + config
	if !strings.Contains(config, "admin:") {
		text += "\nadmin: {listen: \"127.0.0.1:0\"}\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, env, io.Discard, "--config", path)
}

// run starts a node with the arguments, which have it log JSON, and waits until
// it listens.
func run(t *testing.T, env []string, stdout io.Writer, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	exit := make(chan int, 1)
	logs, stderr := io.Pipe()
	n := &running{t: t, stop: stop, exit: exit}
	go func() {
		exit <- Main(ctx, args, env, nil, stdout, stderr)
		close(exit)
		stderr.Close()
	}()
	listening := make(chan logLine, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		n.readLog(logs, listening)
	}()
	t.Cleanup(func() {
		stop()
		for range exit { // until it is closed
		}
		<-read
		if t.Failed() {
			t.Logf("the node's log:\n%s", n.logText())
		}
	})
	select {
	case line, ok := <-listening:
		if !ok {
			t.Fatalf("the node did not start:\n%s", n.logText())
		}
		n.clients = strings.TrimSuffix(strings.TrimPrefix(line.Clients, "ws://"), "/ws")
		n.admin = strings.TrimPrefix(line.Admin, "http://")
	case <-time.After(patience):
		t.Fatalf("the node does not listen:\n%s", n.logText())
	}
	return n
}

type logLine struct{ Msg, Clients, Admin string }

// readLog keeps the log, and passes on the line that says where the node listens.
func (n *running) readLog(r io.Reader, listening chan<- logLine) {
	defer close(listening)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		n.mu.Lock()
		fmt.Fprintf(&n.log, "%s\n", lines.Bytes())
		n.mu.Unlock()
		var line logLine
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			listening <- line
		}
	}
}

func (n *running) logText() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// wait returns the exit code once the node has ended.
func (n *running) wait() int {
	n.t.Helper()
	select {
	case code := <-n.exit:
		return code
	case <-time.After(patience):
		n.t.Fatal("the node does not end")
		return -1
	}
}

// get requests a page and returns its status and body.
func (n *running) get(url string, header ...string) (int, string) {
	n.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+url, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// client is a WebSocket client.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func (n *running) dial(path string) *client {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+n.clients+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	c := &client{n.t, conn}
	n.t.Cleanup(func() { conn.CloseNow() })
	c.await("welcome")
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

type event struct {
	Event, From, Room, Code, Reason, Filter string
	UserID                                  string `json:"user_id"`
	ID, Content                             json.RawMessage
	Total                                   int
	Direct, Recovered                       bool
	Epoch                                   string
	Offset                                  uint64
	Messages                                []event // of joined, what was missed
}

// await reads until an event of that name comes.
func (c *client) await(name string) event {
	c.t.Helper()
	for {
		e, err := c.read()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", name, err)
		}
		if e.Event == name {
			return e
		}
	}
}

// readError reads one event, and fails the test if what ends the connection is
// not a close frame.
func (c *client) readError() error {
	c.t.Helper()
	_, err := c.read()
	if err != nil && websocket.CloseStatus(err) < 0 {
		c.t.Fatal(err)
	}
	return err
}

func (c *client) read() (event, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		return event{}, err
	}
	var e event
	return e, json.Unmarshal(data, &e)
}

// lockedBuffer can be read while a node writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
