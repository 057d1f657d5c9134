package reload_test

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
	t       *testing.T
	dir     string
	fixed   string // settings that no reload changes
	clients string // host:port
	admin   string
	http    *http.Client

	mu  sync.Mutex
	log bytes.Buffer
}

// startNode runs a node with settings that stay, and with others.
func startNode(t *testing.T, fixed, text string) *node {
	t.Helper()
	path, err := program()
	done(t, err)
	n := &node{t: t, dir: t.TempDir(), fixed: fixed, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}}
	n.put("stamp.wasm", guest(t, "testdata/stamp.wasm"))
	n.configure(text)
	cmd := exec.Command(path, "--config", filepath.Join(n.dir, "config.yaml"))
	cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	stderr, err := cmd.StderrPipe()
	done(t, err)
	done(t, cmd.Start())
	listening, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			n.mu.Lock()
			if n.log.Len() < 1<<20 {
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
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("the node ends with %v", err)
		}
		if t.Failed() {
			log := n.logText()
			t.Logf("the node's log ends in\n%s", log[max(0, len(log)-4000):])
		}
	})
	select {
	case <-listening:
	case <-read:
		t.Fatalf("the node ends:\n%s", n.logText())
	case <-time.After(patience):
		t.Fatalf("the node does not listen:\n%s", n.logText())
	}
	return n
}

func (n *node) logText() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// put renames a file into place.
func (n *node) put(name string, content []byte) {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	done(n.t, os.WriteFile(path+".new", content, 0o600))
	done(n.t, os.Rename(path+".new", path))
}

func (n *node) configure(text string) {
	n.t.Helper()
	n.put("config.yaml", []byte("listen: 127.0.0.1:0\nadmin: {listen: \"127.0.0.1:0\"}\nannounce_connections: off\nlog: {format: json}\nshutdown: {drain: 0s}\ncache: "+scratch()+"/cache\n"+n.fixed+text))
}

// stamping is a configuration of three filters that stamp the number.
func stamping(number int) string {
	text := "rooms: [{match: \"**\", announce: off}]\nfilters:\n"
	for i := range 3 {
		text += fmt.Sprintf("  - {name: stamp%d, plugin: stamp.wasm, rooms: [\"good:*\"], config: {n: %d}, limits: {time: 1s}}\n", i, number)
	}
	return text
}

// reload asks for a reload, and returns the status of the answer and the answer.
func (n *node) reload() (status int, body string) {
	n.t.Helper()
	response, err := n.http.Post(n.admin+"/api/reload", "application/json", strings.NewReader("{}"))
	done(n.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	done(n.t, err)
	return response.StatusCode, string(text)
}

var sample = regexp.MustCompile(`(?m)^([a-z_]+)(\{[^}]*\})? ([0-9.e+-]+)$`)

// metrics are the sums of all series by name.
func (n *node) metrics() map[string]float64 {
	n.t.Helper()
	response, err := n.http.Get(n.admin + "/metrics")
	done(n.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	done(n.t, err)
	sums := make(map[string]float64)
	for _, m := range sample.FindAllStringSubmatch(string(text), -1) {
		v, err := strconv.ParseFloat(m[3], 64)
		done(n.t, err)
		sums[m[1]] += v
	}
	return sums
}

// holding is what a node holds on to.
type holding struct {
	rss, virtual              float64 // bytes; a filter's instance reserves 32 MiB of addresses
	instances, goroutines, fd int
}

func (n *node) holds() holding {
	m := n.metrics()
	return holding{m["process_resident_memory_bytes"], m["process_virtual_memory_bytes"],
		int(m["sluice_filter_instances"]), int(m["go_goroutines"]), int(m["process_open_fds"])}
}

func (h holding) String() string {
	return fmt.Sprintf("%.0f MiB resident, %.0f MiB of addresses, %d instances, %d goroutines, %d files",
		h.rss/(1<<20), h.virtual/(1<<20), h.instances, h.goroutines, h.fd)
}

// backTo waits until the node holds no more than it did: as many instances,
// goroutines and files, give or take those of a scrape, and the addresses of less than
// eight instances more.
func (n *node) backTo(was holding) {
	n.t.Helper()
	var is holding
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		is = n.holds()
		if is.instances == was.instances && is.goroutines <= was.goroutines+3 && is.fd <= was.fd+2 && is.virtual < was.virtual+256<<20 && is.rss < 1.5*was.rss+32<<20 {
			n.t.Logf("at the start: %s; at the end: %s", was, is)
			return
		}
	}
	n.t.Errorf("the node does not give back what it took: at the start it held %s, and at the end %s", was, is)
}
