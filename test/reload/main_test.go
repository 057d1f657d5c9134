// Package reload_test replaces the filters of a running node under load, and
// shows that no message is lost, duplicated, reordered, or judged by a mixture of
// two generations.
//
// Each generation has three filters that stamp messages with its number
// (testdata/stamp.wat). crowd_test.go sends, checker_test.go judges what arrives,
// node_test.go runs the real program, of test/program. Goroutines: a crowd starts one that sends
// and one that receives for each connection; crowd.leave ends them.
package reload_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/test/program"
)

// patience is how long a test waits for what must come.
const patience = program.Patience

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(scratch())
	program.Remove()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// scratch is a folder that all tests share, of compiled filters.
var scratch = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "reload")
	if err != nil {
		panic(err)
	}
	return dir
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
