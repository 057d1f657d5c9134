// Package reload_test replaces the filters of a running node under load, and
// shows that no message is lost, duplicated, reordered, or judged by a mixture of
// two generations.
//
// Each generation has three filters that stamp messages with its number
// (testdata/stamp.wat). crowd_test.go sends, checker_test.go judges what arrives,
// node_test.go runs the real program. Goroutines: a crowd starts one that sends
// and one that receives for each connection; crowd.leave ends them.
package reload_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(scratch())
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// scratch is a folder that all tests share: the program, and compiled filters.
var scratch = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "reload")
	if err != nil {
		panic(err)
	}
	return dir
})

// program is the real one, with the race detector if the tests have it.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch(), "sluice")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "sluice/cmd/sluice")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// until waits for something to be so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func guest(t *testing.T, path string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(path)
	done(t, err)
	return wasm
}
