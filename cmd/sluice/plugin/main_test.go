package plugin

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"sluice/plugins/filters"
	"sluice/sdk"
)

func TestMain(m *testing.M) {
	// What scripts/setup installs into the repository.
	root, err := filepath.Abs("../../..")
	if err != nil {
		panic(err)
	}
	os.Setenv("PATH", filepath.Join(root, "test", "node_modules", ".bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	if zig, _ := filepath.Glob(filepath.Join(root, ".tools/zig/lib/python3*/site-packages/ziglang/zig")); len(zig) > 0 && os.Getenv("ZIG") == "" {
		os.Setenv("ZIG", zig[0])
	}
	// Compilers keep their caches in the user's: here in a folder that goes. Go's
	// stays where it is, as it does for the tests themselves.
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		panic(err)
	}
	caches, err := os.MkdirTemp("", "sluice-caches")
	if err != nil {
		panic(err)
	}
	os.Setenv("GOCACHE", strings.TrimSpace(string(gocache)))
	os.Setenv("XDG_CACHE_HOME", caches)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(caches)
		os.Exit(code)
	}))
}

// output is what a command prints, for a test to wait for.
type output struct {
	mu   sync.Mutex
	cond *sync.Cond
	text bytes.Buffer
}

func newOutput() *output {
	o := &output{}
	o.cond = sync.NewCond(&o.mu)
	return o
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cond.Broadcast()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait waits until the text has been printed so often, or ctx ends.
func (o *output) wait(ctx context.Context, text string, times int) error {
	stop := context.AfterFunc(ctx, o.cond.Broadcast)
	defer stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for strings.Count(o.text.String(), text) < times {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o.cond.Wait()
	}
	return nil
}

// command runs `sluice plugin`, and returns its exit code.
func command(ctx context.Context, o *output, env []string, args ...string) (code int) {
	cmd := Command(Options{Stdout: o, Stderr: o, Env: env, Builtins: filters.FS, SDK: sdk.FS})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(o)
	cmd.SetErr(o)
	err := cmd.ExecuteContext(ctx)
	var exit *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		code = exit.Code
		err = exit.Err
	default:
		code = 1
	}
	if err != nil {
		_, _ = o.Write([]byte(err.Error() + "\n"))
	}
	return code
}

// must runs a command that has to succeed, and returns what it printed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	o := newOutput()
	if code := command(t.Context(), o, nil, args...); code != 0 {
		t.Fatalf("%v: exit %d\n%s", args, code, o)
	}
	return o.String()
}

// fails runs a command that has to fail with the code.
func fails(t *testing.T, code int, args ...string) string {
	t.Helper()
	o := newOutput()
	if got := command(t.Context(), o, nil, args...); got != code {
		t.Fatalf("%v: exit %d, want %d\n%s", args, got, code, o)
	}
	return o.String()
}

// newProject makes a project, and skips the test where its toolchain is not
// installed and scripts/setup could not install it.
func newProject(t *testing.T, language, name string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), name)
	must(t, "new", "--lang", language, "--dir", dir, name)
	p, err := openProject(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, clean, err := (&tool{}).plan(p, filepath.Join(dir, "unused.wasm"))
	if missing := (*missingTool)(nil); errors.As(err, &missing) {
		t.Skipf("not built: a filter in %s: %v", language, missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	clean()
	return dir
}

// native runs a program in a folder.
func native(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
}
