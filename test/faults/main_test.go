package faults

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"sluice/test/program"
)

// patience is how long a test waits for what must come.
const patience = program.Patience

// full says that the tests run in the size that the figures are of, which takes
// about an hour; otherwise they are short.
var full = os.Getenv("FAULTS") == "full"

func TestMain(m *testing.M) {
	redis.SetLogger(noLog{})
	code := m.Run()
	program.Remove()
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
