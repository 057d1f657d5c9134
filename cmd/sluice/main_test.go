package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	redis.SetLogger(noRedisLog{}) // of the tests' own clients
	testscript.Main(leakChecked{m}, map[string]func(){"sluice": main})
}

// leakChecked fails the package if goroutines remain.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	os.RemoveAll(compiled())
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// The scripts run the command as a process of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			folder, err := filepath.Abs("../../plugins/testdata")
			e.Setenv("FILTERS", folder)
			return err
		},
		Condition: func(name string) (bool, error) {
			if name == "unprivileged" {
				return os.Getuid() > 0, nil
			}
			return false, fmt.Errorf("no condition %s", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"occupy": occupy,
		},
	})
}

// occupy opens a listener until the script ends, and puts its address into a
// variable.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

func TestTheFileAtTheRootLoadsWithItsFilters(t *testing.T) {
	var out, errOut bytes.Buffer
	args := []string{"check", "--config", "../../config.yaml", "--cache", "off"}
	if code := Main(context.Background(), args, nil, nil, &out, &errOut); code != 0 {
		t.Errorf("exit %d, %s", code, &errOut)
	}
}

func TestTheHelpNamesEveryFlagAndNoSecret(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := Main(context.Background(), []string{"serve", "--help"}, nil, nil, &out, &errOut); code != 0 || errOut.Len() > 0 {
		t.Fatalf("exit %d, %s", code, &errOut)
	}
	for _, k := range leaves() {
		shown := bytes.Contains(out.Bytes(), []byte("--"+k.flagName()+" "))
		if k.Kind == kindBool {
			shown = bytes.Contains(out.Bytes(), []byte("--"+k.flagName()))
		}
		if want := k.Unit != "secret"; shown != want {
			t.Errorf("--%s shown: %v", k.flagName(), shown)
		}
	}
}
