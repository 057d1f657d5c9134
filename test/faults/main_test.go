package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// full says that the tests run in the size that the figures are of, which takes
// about an hour; otherwise they are short.
var full = os.Getenv("FAULTS") == "full"

func TestMain(m *testing.M) {
	redis.SetLogger(noLog{})
	code := m.Run()
	os.RemoveAll(scratch())
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// noLog is in place of the log of the tests' own clients, which the faults make
// complain.
type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// scratch is a folder that all tests share.
var scratch = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "faults")
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

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for something to be so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
