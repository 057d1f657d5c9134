package redistest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long the functions of this package wait for a server to do
// what it was told, before they fail the test.
const Patience = time.Minute

// program is the path of redis-server.
func program(t testing.TB) string {
	t.Helper()
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run scripts/setup (or apt-get install redis-server), or name one by REDIS_SERVER: %v", name, err)
	}
	return path
}

// process is one run of a server.
type process struct {
	pid   int
	ended chan struct{} // closed when the process has ended and its output is complete

	mu     sync.Mutex
	output bytes.Buffer // guarded by mu
}

// launch starts the program. The process dies with this one, however this one
// ends.
func launch(path string, args ...string) (*process, error) {
	p := &process{ended: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = dieWithParent()
	started := make(chan error)
	go func() {
		// The kernel ends the process with the thread that started it, so that
		// thread must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			defer close(p.ended)
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return p, nil
}

// Write keeps the beginning of what the process prints, up to a megabyte.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.output.Len() < 1<<20 {
		p.output.Write(text)
	}
	return len(text), nil
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process with SIGKILL, a stopped one too, and waits for it.
func (p *process) kill() {
	if p.alive() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	<-p.ended
}

func (p *process) signal(s syscall.Signal) error {
	if !p.alive() {
		return fmt.Errorf("process %d has ended", p.pid)
	}
	return syscall.Kill(p.pid, s)
}
