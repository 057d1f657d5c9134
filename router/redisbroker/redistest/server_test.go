package redistest_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router/redisbroker/redistest"
)

func TestAServerRestartsWithItsDataOrEmpty(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	c := s.Client(t)
	done(t, c.Set(t.Context(), "k", "v", 0).Err())
	before := s.Info("run_id")
	s.Kill()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("a killed server answers")
	}
	s.Restart()
	if v, err := c.Get(t.Context(), "k").Result(); err != nil || v != "v" {
		t.Errorf("after a restart with its data: %q, %v", v, err)
	}
	if s.Info("run_id") == before {
		t.Error("the server was not restarted")
	}
	s.RestartEmpty()
	if err := c.Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("after a restart without its data: %v", err)
	}
}

func TestAStoppedServerAnswersOnceItGoesOn(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := s.Client(t)
	done(t, c.Ping(t.Context()).Err())
	s.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx).Err(); err == nil {
		t.Error("a stopped server answers")
	}
	answer := make(chan error, 1)
	go func() { answer <- c.Ping(context.Background()).Err() }()
	s.Continue()
	done(t, <-answer)
}

func TestAServerThatIsStoppedEndsWithTheTest(t *testing.T) {
	var pid int
	t.Run("a test", func(t *testing.T) {
		s := redistest.Start(t)
		pid, _ = strconv.Atoi(s.Info("process_id"))
		s.Stop()
	})
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process %d is still there: %v", pid, err)
	}
}

// TestHelperThatIsKilled is no test of its own: run by TestAKilledTestLeavesNoServer,
// it runs a server, says its process, and waits to be killed.
func TestHelperThatIsKilled(t *testing.T) {
	if os.Getenv("REDISTEST_HELPER") == "" {
		return
	}
	s := redistest.Start(t)
	os.Stdout.WriteString("\nserver " + s.Info("process_id") + "\n")
	select {}
}

func TestAKilledTestLeavesNoServer(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperThatIsKilled$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), "REDISTEST_HELPER=1")
	out, err := cmd.StdoutPipe()
	done(t, err)
	done(t, cmd.Start())
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "server "); ok {
			pid, err = strconv.Atoi(text)
			done(t, err)
		}
	}
	done(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if pid == 0 {
		t.Fatal("the helper did not start a server")
	}
	until(t, "the server ends with its test", func() bool {
		// A process that nobody awaits any more stays as a zombie until init has seen it.
		state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || err == nil && strings.Contains(string(state), ") Z ")
	})
}

func TestServersInParallelHaveTheirOwnPorts(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 5 {
		s := redistest.Start(t)
		if seen[s.Addr] {
			t.Errorf("two servers at %s", s.Addr)
		}
		seen[s.Addr] = true
		_, port, err := net.SplitHostPort(s.Addr)
		done(t, err)
		if got := s.Info("tcp_port"); got != port {
			t.Errorf("the server at %s listens at port %s", s.Addr, got)
		}
	}
}

func TestAPasswordDoesNotKeepAServerFromStarting(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--requirepass", "secret")
	if err := s.Client(t).Ping(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
}
