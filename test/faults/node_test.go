package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// node is the real program in a process of its own.
type node struct {
	// Static after construction.
	t       *testing.T
	dir     string
	clients string // host:port
	admin   string // http://host:port
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	http    *http.Client

	mu     sync.Mutex
	log    bytes.Buffer // guarded by mu, as what follows
	killed bool
}

// startNode runs a node with further settings, the section redis among them, and
// with rooms named kept:* that have history and others that have none.
func startNode(t *testing.T, name, settings string) *node {
	t.Helper()
	path, err := program()
	done(t, err)
	n := &node{t: t, dir: t.TempDir(), ended: make(chan struct{}),
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience / 4}}
	done(t, os.WriteFile(filepath.Join(n.dir, "config.yaml"), fmt.Appendf(nil, `
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
node_id: %s
announce_connections: off
log: {format: json}
shutdown: {drain: 0s}
rooms:
  - {match: "kept:*", announce: off, history: {size: 2000, ttl: 30m}}
  - {match: "**", announce: off}
%s
`, name, settings), 0o600))
	n.cmd = exec.Command(path, "--config", filepath.Join(n.dir, "config.yaml"))
	n.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	stderr, err := n.cmd.StderrPipe()
	done(t, err)
	done(t, n.cmd.Start())
	listening := make(chan struct{})
	go n.follow(stderr, listening)
	t.Cleanup(n.stop)
	select {
	case <-listening:
	case <-n.ended:
		t.Fatalf("the node ends:\n%s", n.logText())
	case <-time.After(patience):
		t.Fatalf("the node does not listen:\n%s", n.logText())
	}
	return n
}

// follow keeps what the process logs, and awaits its end.
func (n *node) follow(stderr io.Reader, listening chan<- struct{}) {
	defer close(n.ended)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		n.mu.Lock()
		if n.log.Len() < 4<<20 {
			n.log.Write(append(lines.Bytes(), '\n'))
		}
		n.mu.Unlock()
		var line struct{ Msg, Clients, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			n.clients = strings.TrimSuffix(strings.TrimPrefix(line.Clients, "ws://"), "/ws")
			n.admin = line.Admin
			close(listening)
		}
	}
	_, _ = io.Copy(io.Discard, stderr)
	_ = n.cmd.Wait()
}

// stop ends the process as an operator would.
func (n *node) stop() {
	n.mu.Lock()
	killed := n.killed
	n.mu.Unlock()
	if !killed {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-n.ended:
		case <-time.After(patience):
			n.t.Errorf("the node does not end:\n%s", n.tail())
			n.kill()
		}
		if code := n.cmd.ProcessState.ExitCode(); !n.isKilled() && code != 0 {
			n.t.Errorf("the node ends with code %d", code)
		}
	}
	if n.t.Failed() {
		n.t.Logf("the node's log ends in\n%s", n.tail())
	}
}

func (n *node) isKilled() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.killed
}

// kill ends the process with SIGKILL.
func (n *node) kill() {
	n.mu.Lock()
	n.killed = true
	n.mu.Unlock()
	_ = n.cmd.Process.Kill()
	<-n.ended
}

func (n *node) logText() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

func (n *node) tail() string {
	log := n.logText()
	return log[max(0, len(log)-6000):]
}

// ready is the answer of /readyz; code 0: none came.
func (n *node) ready() (code int, body string) {
	return n.get("/readyz")
}

func (n *node) get(path string) (code int, body string) {
	response, err := n.http.Get(n.admin + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

var sample = regexp.MustCompile(`(?m)^([a-z_]+)(\{[^}]*\})? ([0-9.e+-]+)$`)

// metrics are the values of all series, by name and labels, and their sums by
// name alone.
func (n *node) metrics() map[string]float64 {
	_, text := n.get("/metrics")
	values := make(map[string]float64)
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			continue
		}
		values[m[1]] += v
		if m[2] != "" {
			values[m[1]+m[2]] = v
		}
	}
	return values
}

// peak is the most memory that the process has had, in bytes; 0: not known here.
func (n *node) peak() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	kib := 0
	_, _ = fmt.Sscan(string(rest), &kib)
	return kib << 10
}
