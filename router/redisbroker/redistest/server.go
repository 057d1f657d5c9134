package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Server is a redis-server process. Its methods fail the test that started it
// if the server does not do what it is told. They are not safe for concurrent
// use, but for Addr, Client and Log.
type Server struct {
	// Static after construction.
	Addr string // host:port
	Dir  string // with its data and configuration

	t    testing.TB
	path string   // of the program
	args []string // as given by the user
	kind kind
	bus  int // the port that a Cluster's nodes talk on

	mu   sync.Mutex
	proc *process // guarded by mu
}

// kind is what a server is in its group.
type kind uint8

const (
	alone kind = iota
	sentinel
	clusterNode
)

// Start runs a server on a free port of 127.0.0.1, which keeps nothing on disk,
// and waits until it answers. args are further options, as "--appendonly", "yes",
// "--appendfsync", "always" for one that loses nothing when it is killed.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, alone, "", args...)
}

// start runs a server; config is the content of its configuration file, if it
// needs one.
func start(t testing.TB, k kind, config string, args ...string) *Server {
	t.Helper()
	path := program(t)
	for range 20 {
		port := freePort(t)
		s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Dir: t.TempDir(), t: t, path: path, args: args, kind: k}
		if k == clusterNode {
			s.bus = freePort(t)
		}
		if config != "" {
			if err := os.WriteFile(filepath.Join(s.Dir, configFile), []byte(config), 0o600); err != nil {
				t.Fatalf("redistest: %v", err)
			}
		}
		err := s.run()
		if errors.Is(err, errPortTaken) {
			continue
		}
		if err != nil {
			t.Fatalf("redistest: %v", err)
		}
		t.Cleanup(s.close)
		return s
	}
	t.Fatal("redistest: other processes took 20 ports one after the other")
	return nil
}

// configFile is what a sentinel reads, and writes what it learns to.
const configFile = "server.conf"

var errPortTaken = errors.New("the port is taken")

// run starts the process and waits until it answers.
func (s *Server) run() error {
	p, err := launch(s.path, s.arguments()...)
	if err != nil {
		return err
	}
	client := s.newClient()
	defer client.Close()
	for end := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		if !p.alive() {
			if log := p.log(); strings.Contains(log, "Address already in use") || strings.Contains(log, "Failed listening on port") {
				return errPortTaken
			}
			return fmt.Errorf("the server ended at once:\n%s", p.log())
		}
		// Whoever answers must be this process, not another one that took the port.
		info, err := client.InfoMap(context.Background(), "server").Result()
		if err == nil && info["Server"]["process_id"] == strconv.Itoa(p.pid) || err != nil && redisAnswered(err) && !strings.HasPrefix(err.Error(), "LOADING") {
			s.mu.Lock()
			s.proc = p
			s.mu.Unlock()
			return nil
		}
		if time.Now().After(end) {
			p.kill()
			return fmt.Errorf("the server does not answer: %v\n%s", err, p.log())
		}
	}
}

// redisAnswered reports that an error was an answer, as NOAUTH is.
func redisAnswered(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

func (s *Server) arguments() []string {
	_, port, _ := net.SplitHostPort(s.Addr)
	if s.kind == sentinel {
		return append([]string{filepath.Join(s.Dir, configFile), "--sentinel", "--port", port, "--bind", "127.0.0.1", "--dir", s.Dir}, s.args...)
	}
	args := []string{"--port", port, "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--appendonly", "no",
		"--daemonize", "no", "--protected-mode", "no", "--enable-debug-command", "local",
		"--repl-diskless-sync-delay", "0"} // a master would wait five seconds for more replicas
	if s.kind == clusterNode {
		// Two seconds: long enough that a busy machine does not look like a dead node.
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(s.bus), "--cluster-node-timeout", "2000")
	}
	return append(args, s.args...)
}

func (s *Server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

func (s *Server) close() {
	s.process().kill()
	if s.t.Failed() {
		log := s.Log()
		s.t.Logf("the log of %s ends in\n%s", s.Addr, log[max(0, len(log)-2000):])
	}
}

// Client is a client of this server, closed at the end of the test. It tries
// each command once.
func (s *Server) Client(t testing.TB) *redis.Client {
	c := s.newClient()
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *Server) newClient() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.Addr, MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true, PoolSize: 4,
		DialTimeout: Patience / 4, ReadTimeout: Patience / 4, WriteTimeout: Patience / 4, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// Kill ends the process with SIGKILL, and returns when it has ended.
func (s *Server) Kill() { s.process().kill() }

// Restart kills the server if it lives, and runs it again on the same port with
// what it has on disk, which is something only if args of Start said so.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	for end := time.Now().Add(Patience); ; time.Sleep(20 * time.Millisecond) {
		err := s.run()
		if err == nil {
			return
		}
		if !errors.Is(err, errPortTaken) || time.Now().After(end) {
			s.t.Fatalf("redistest: restarting %s: %v", s.Addr, err)
		}
	}
}

// RestartEmpty kills the server if it lives, removes its data, and runs it again
// on the same port.
func (s *Server) RestartEmpty() {
	s.t.Helper()
	s.Kill()
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".conf") {
			continue // who it is in its group
		}
		if err := os.RemoveAll(filepath.Join(s.Dir, e.Name())); err != nil {
			s.t.Fatalf("redistest: %v", err)
		}
	}
	s.Restart()
}

// Stop halts the process (SIGSTOP): its connections stay, and nothing is
// answered until Continue.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Continue ends a Stop (SIGCONT).
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.process().signal(sig); err != nil {
		s.t.Fatalf("redistest: %s: %v", s.Addr, err)
	}
}

// Info is a field of INFO, as "master_replid" or "connected_clients"; "" if
// there is none.
func (s *Server) Info(field string) string {
	s.t.Helper()
	c := s.newClient()
	defer c.Close()
	text, err := c.Info(context.Background(), "everything").Result()
	if err != nil {
		s.t.Fatalf("redistest: INFO of %s: %v", s.Addr, err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value
		}
	}
	return ""
}

// Log is what the present process has printed.
func (s *Server) Log() string { return s.process().log() }

// do runs a command, and fails the test if it fails.
func (s *Server) do(args ...any) any {
	s.t.Helper()
	value, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("redistest: %v at %s: %v", args, s.Addr, err)
	}
	return value
}

func (s *Server) try(args ...any) (any, error) {
	c := s.newClient()
	defer c.Close()
	return c.Do(context.Background(), args...).Result()
}

// await waits until something is so.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("redistest: waited in vain: %s", what)
		}
	}
}
