package brokers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const patience = time.Minute

// built is the folder of the program; "": it was not needed.
var built string

// program is the real program, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-brokers")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "sluice")
	out, err := exec.Command("go", "build", "-o", path, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// node is the real program in a process of its own.
type node struct {
	pid     int
	clients string // host:port
}

func startNode(t testing.TB, config string) *node {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "listen: 127.0.0.1:0\nadmin: {listen: \"off\"}\nannounce_connections: off\nlog: {format: json}\nshutdown: {drain: 0s}\n" + config
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config", file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &node{pid: cmd.Process.Pid}
	var log strings.Builder
	in := bufio.NewReader(stderr)
	for n.clients == "" {
		line, err := in.ReadString('\n')
		log.WriteString(line)
		if err != nil {
			t.Fatalf("the node ends: %s", log.String())
		}
		var l struct{ Msg, Clients string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "listening" {
			n.clients = strings.TrimSuffix(strings.TrimPrefix(l.Clients, "ws://"), "/ws")
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, in)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		_ = cmd.Wait()
	})
	return n
}

// cpu is the processor time that a process has taken (proc(5), stat, utime and
// stime; the kernel's tick is 10 ms).
func cpu(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skipf("processor time is read from /proc, which this system does not have: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// redisCPU is the processor time that Redis has taken.
func redisCPU(t testing.TB, client *redis.Client) time.Duration {
	t.Helper()
	text, err := client.Info(t.Context(), "cpu").Result()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return time.Duration(sum * float64(time.Second))
}
