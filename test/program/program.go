// Package program runs the real program in processes of their own, for tests that need
// whole nodes.
//
// Goroutines: each process has one that reads its log and awaits its end; it has ended when
// the test has.
package program

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

// Patience is how long a process is waited for.
const Patience = time.Minute

const (
	// Settings are those of every configuration: Start could not tell the address else, and
	// nobody waits for an end.
	Settings = "listen: 127.0.0.1:0\nannounce_connections: off\nlog: {format: json}\nshutdown: {drain: 0s}\n"
	// Admin are those of a node that is looked into.
	Admin = "admin: {listen: \"127.0.0.1:0\"}\n"
)

const (
	keptLog  = 4 << 20 // bytes of a log
	shownLog = 6000    // bytes of its end
)

// folder is where the program is; "": nobody has needed it.
var folder string

// built is the path of the program, with the race detector if the tests have it.
var built = sync.OnceValues(func() (string, error) {
	var err error
	if folder, err = os.MkdirTemp("", "sluice-program"); err != nil {
		return "", err
	}
	path := filepath.Join(folder, "sluice")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "sluice/cmd/sluice")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// Remove removes the program. TestMain calls it after the tests.
func Remove() {
	if folder != "" {
		os.RemoveAll(folder)
	}
}

// Process is a node.
type Process struct {
	// Static after Start.
	Clients string // host:port
	Admin   string // http://host:port, if it is on
	PID     int
	HTTP    *http.Client // for its admin listener

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended

	mu     sync.Mutex
	log    bytes.Buffer // guarded by mu, as what follows
	killed bool
}

// Start runs the program on config.yaml in a folder, and returns when it listens. With the
// test it ends as an operator would end it, which has to succeed.
func Start(t testing.TB, dir string) *Process {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, ended: make(chan struct{}), cmd: exec.Command(path, "--config", filepath.Join(dir, "config.yaml")),
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Patience}}
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.PID = p.cmd.Process.Pid
	listening := make(chan struct{})
	go func() {
		defer close(p.ended)
		p.follow(stderr, listening)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(p.stop)
	select {
	case <-listening:
	case <-p.ended:
		t.Fatalf("the node ends:\n%s", p.tail())
	case <-time.After(Patience):
		t.Fatalf("the node does not listen:\n%s", p.tail())
	}
	return p
}

// follow keeps what the process logs, until it ends. A line may have any length: one that
// was not read would stop the process when the pipe is full.
func (p *Process) follow(stderr io.Reader, listening chan<- struct{}) {
	in := bufio.NewReaderSize(stderr, 64<<10)
	begins := true // a line
	for {
		text, err := in.ReadSlice('\n') // or a part of a line
		p.mu.Lock()
		if p.log.Len() < keptLog {
			p.log.Write(text)
		}
		p.mu.Unlock()
		var line struct{ Msg, Clients, Admin string }
		if begins && listening != nil && json.Unmarshal(text, &line) == nil && line.Msg == "listening" {
			p.Clients = strings.TrimSuffix(strings.TrimPrefix(line.Clients, "ws://"), "/ws")
			p.Admin = line.Admin
			close(listening)
			listening = nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
		begins = err == nil
	}
}

// stop ends the process as an operator would.
func (p *Process) stop() {
	if !p.isKilled() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
			if code := p.cmd.ProcessState.ExitCode(); code != 0 {
				p.t.Errorf("the node ends with code %d", code)
			}
		case <-time.After(Patience):
			p.t.Error("the node does not end")
			p.Kill()
		}
	}
	if p.t.Failed() {
		p.t.Logf("the node's log ends in\n%s", p.tail())
	}
}

// Kill ends the process with SIGKILL.
func (p *Process) Kill() {
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *Process) isKilled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killed
}

func (p *Process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	log := p.log.String()
	return log[max(0, len(log)-shownLog):]
}

// Get is the answer of the admin listener; code 0: none came, and body says why.
func (p *Process) Get(path string) (code int, body string) {
	response, err := p.HTTP.Get(p.Admin + path)
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

var sample = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{[^}]*\})? ([0-9.e+-]+)$`)

// Metrics are the sums of all series by name.
func (p *Process) Metrics() map[string]float64 {
	p.t.Helper()
	code, text := p.Get("/metrics")
	if code != http.StatusOK {
		p.t.Fatalf("the node's metrics: %d %s", code, text)
	}
	sums := make(map[string]float64)
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			p.t.Fatal(err)
		}
		sums[m[1]] += v
	}
	return sums
}
