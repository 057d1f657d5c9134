// Package tutorial_test runs the clients of the FastAPI and Redis tutorial
// (clients.mjs, a Node.js script) against the real server.
package tutorial_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Bounds for what takes a second or two on an idle machine.
const (
	startTime = time.Minute
	runTime   = 2 * time.Minute
	stopTime  = time.Minute
)

func TestTheTutorialsClientsRunUnchanged(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node.js 20 or newer is needed; install it, then run: make setup")
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, node, "--input-type=module", "--eval", `import "ws"`).CombinedOutput(); err != nil {
		t.Fatalf("the npm package ws of test/package-lock.json is not installed; run: make setup\n%s", out)
	}
	base := serve(t)

	out, err := exec.CommandContext(ctx, node, "clients.mjs", base).CombinedOutput()
	if err != nil {
		t.Errorf("clients.mjs: %v", err)
	}
	// A script that ended early has not shown anything.
	if !strings.HasSuffix(string(out), "all promises kept\n") {
		t.Error("clients.mjs did not come to its end")
	}
	t.Logf("%s", out)
}

// serve builds the server and runs it with a small configuration until the test
// ends. It returns the URL that clients use.
func serve(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary, config := filepath.Join(dir, "sluice"), filepath.Join(dir, "config.yaml")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	listen, admin := freeAddress(t), freeAddress(t)
	yaml := fmt.Sprintf("listen: %q\nadmin: { listen: %q }\n", listen, admin)
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer // read once the process has ended
	server := exec.Command(binary, "serve", "--config", config)
	server.Dir, server.Stdout, server.Stderr = dir, &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		stop(t, server.Process, ended)
		if t.Failed() {
			t.Logf("the server's log:\n%s", &log)
		}
	})
	awaitReady(t, "http://"+listen+"/readyz", ended)
	return "http://" + listen
}

// freeAddress is a loopback address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// awaitReady returns when url answers 200.
func awaitReady(t *testing.T, url string, ended chan error) {
	t.Helper()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(startTime)
	for {
		response, err := client.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("status %s", response.Status)
		}
		select {
		case exit := <-ended:
			ended <- exit
			t.Fatalf("the server ended before it was ready: %v", exit)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server was not ready within %s: %v", startTime, err)
		}
	}
}

// stop ends the server as an operator does, and checks that it went well.
func stop(t *testing.T, server *os.Process, ended chan error) {
	t.Helper()
	if err := server.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(stopTime):
		t.Errorf("the server did not end within %s after SIGTERM", stopTime)
		server.Kill()
		<-ended
	}
}
