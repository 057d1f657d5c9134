package plugin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// admin is a node's admin listener, as far as dev uses it.
type admin struct {
	*httptest.Server

	mu     sync.Mutex
	status int // guarded by mu, as the others
	body   string
	seen   []string // method, path, content type, authorization, body
}

func newAdmin(t *testing.T) *admin {
	a := &admin{status: http.StatusOK, body: `{"generation":2}`}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.seen = append(a.seen, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), string(text)}, " "))
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *admin) answer(status int, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status, a.body = status, body
}

func (a *admin) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.seen...)
}

// developing runs dev until the test ends.
func developing(t *testing.T, env []string, args ...string) *output {
	t.Helper()
	o := newOutput()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() { done <- command(ctx, o, env, append([]string{"dev"}, args...)...) }()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("interrupted, it exits with %d:\n%s", code, o)
		}
	})
	return o
}

// says waits for a line, and for dev to watch again.
func says(t *testing.T, o *output, text string, rounds int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if o.wait(ctx, "watching", rounds) != nil || !strings.Contains(o.String(), text) {
		t.Fatalf("in round %d it does not say %q:\n%s", rounds, text, o)
	}
}

// change edits a file of the project.
func change(t *testing.T, path, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s has no %q", path, old)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(replacement), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDevBuildsTestsAndReloadsWheneverASourceChanges(t *testing.T) {
	dir := newProject(t, "c", "watched")
	source, fixtures := filepath.Join(dir, "watched.c"), filepath.Join(dir, "tests", "watched.yaml")
	a := newAdmin(t)
	o := developing(t, []string{"SLUICE_ADMIN_TOKEN=sesame"}, "--admin", a.URL, dir)

	says(t, o, "the node runs it: generation 2", 1)
	if got := a.requests(); len(got) != 1 || got[0] != "POST /api/reload application/json Bearer sesame {}" {
		t.Errorf("it asked %q", got)
	}

	change(t, source, "that word is not welcome here", "not that word")
	says(t, o, "not that word", 2) // in the failure of a test
	if got := a.requests(); len(got) != 1 {
		t.Errorf("a filter that fails its tests was loaded: %q", got)
	}

	change(t, source, "not that word", "that word is not welcome here")
	says(t, o, "ok ", 3)
	change(t, source, "SLUICE_ON_MESSAGE(e) {", "SLUICE_ON_MESSAGE(e) { mistake")
	says(t, o, "mistake", 4)
	change(t, source, "{ mistake", "{")
	says(t, o, "", 5)

	a.answer(http.StatusUnprocessableEntity, `{"code":"invalid","reason":"config.yaml:3: filters[0]: it does not load"}`)
	change(t, fixtures, "tests:", "# a comment\ntests:")
	says(t, o, "the node did not reload (HTTP 422): config.yaml:3: filters[0]: it does not load", 6)
	a.answer(http.StatusUnauthorized, `{"code":"unauthorized","reason":"no"}`)
	change(t, fixtures, "# a comment", "# another")
	says(t, o, "the node refuses the admin token", 7)
	if n := strings.Count(o.String(), "generation 2"); n != 3 {
		t.Errorf("the node was loaded %d times:\n%s", n, o)
	}
}

func TestDevSeesFilesInFoldersThatAreMadeWhileItRuns(t *testing.T) {
	dir := newProject(t, "wat", "watched")
	o := developing(t, nil, dir)
	says(t, o, "done in", 1)
	folder := filepath.Join(dir, "more")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	says(t, o, "done in", 2)
	if err := os.WriteFile(filepath.Join(folder, "notes.txt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	says(t, o, "done in", 3)
}

func TestDevWatchesSourcesAndNothingThatBuildsAndNodesWrite(t *testing.T) {
	for name, want := range map[string]bool{
		"main.go": false, "plugin.yaml": false, "notes.txt": false, "logs.rs": false,
		"hello.wasm": true, ".hello.c.swp": true, "hello.c~": true, "node.log": true, "build": true, "node_modules": true, "target": true,
	} {
		if unwatched(name) != want {
			t.Errorf("%s: unwatched is %t", name, !want)
		}
	}
}

func TestDevSaysWhenTheNodeIsAway(t *testing.T) {
	dir := newProject(t, "wat", "alone")
	server := httptest.NewServer(http.NotFoundHandler())
	gone := server.URL
	server.Close()
	o := developing(t, nil, "--admin", gone, dir)
	says(t, o, "the node was not reached", 1)
}

func TestDevRefusesWhatItCannotWatch(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"dev", t.TempDir()}, "plugin.yaml does not exist"},
		{[]string{"dev", "--admin", "127.0.0.1:8081", writeManifest(t, "name: x\nlanguage: c\n")}, "is no address of a node, as http://127.0.0.1:8081"},
		{[]string{"dev", "a", "b"}, "at most 1 arg"},
	} {
		if out := fails(t, 1, c.args...); !strings.Contains(out, c.want) {
			t.Errorf("%v: it says %q", c.args, out)
		}
	}
}

// writeManifest writes a plugin.yaml.
func writeManifest(t *testing.T, manifest string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, manifestName), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
