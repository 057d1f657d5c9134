package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/plugins"
)

// status is the answer of GET /api/filters.
func (n *running) status(t *testing.T) (s nodeStatus) {
	t.Helper()
	code, body := n.get(n.admin + "/api/filters")
	if err := json.Unmarshal([]byte(body), &s); code != http.StatusOK || err != nil {
		t.Fatal(code, err, body)
	}
	return s
}

// policed is a watched node with one filter from a file.
func policed(t *testing.T, wasm string) (w *watched, file string) {
	t.Helper()
	w = startWatched(t, "config.yaml", "", func(dir string) {
		put(t, filepath.Join(dir, "policy.wasm"), wasm)
		put(t, filepath.Join(dir, "config.yaml"), whole(noPoll+"filters:\n  - {name: policy, plugin: policy.wasm}\n"))
	})
	return w, filepath.Join(w.dir, "policy.wasm")
}

func TestWhateverIsDroppedOverARunningFilterTheOldOneServesUntilTheNextGoodFile(t *testing.T) {
	w, file := policed(t, guest(t, "deny"))
	text := func(wasm string) func() {
		return func() { renamed(t, file, wasm) }
	}
	refused := 0
	for _, row := range []struct {
		name string
		drop func()
		want string
	}{
		{"nothing in it", text(""), "wasm"},
		{"text", text("<html>"), "wasm"},
		{"half of a module", text(guest(t, "noop")[:100]), ""},
		{"too large", func() { done(t, os.Truncate(file, plugins.MaxModule+1)) }, "16"},
		{"a module of another ABI", text(guest(t, "abi2")), "version 2 of the plugin ABI"},
		{"on_configure never returns", text(guest(t, "loop_configure")), "it did not get ready within 1s"},
		{"the start function never returns", text(guest(t, "loop_start")), "it did not get ready within 1s"},
		{"on_configure traps", text(guest(t, "trap_configure")), "on_configure"},
		{"a memory of 4 GiB", text(guest(t, "absurd_memory")), "memory"},
		{"a table without end", text(guest(t, "absurd_table")), "table"},
		{"imports that nobody grants", text(guest(t, "ungranted")), "capabilities"},
		{"nothing", func() { done(t, os.Remove(file)) }, "the file does not exist"},
		{"a pipe", func() { done(t, syscall.Mkfifo(file, 0o600)) }, "not a regular file"},
		{"a folder", func() { done(t, os.Remove(file)); done(t, os.Mkdir(file, 0o700)) }, "not a regular file"},
		{"a link to itself", func() { done(t, os.Remove(file)); done(t, os.Symlink("policy.wasm", file)) }, "cannot be read"},
	} {
		row.drop()
		refused++
		w.reloads(t, 0, refused)
		s := w.status(t)
		if s.Generation != 1 || s.Failure == nil || s.Failure.Trigger != "watch" || !strings.Contains(s.Failure.Error, `filter "policy"`) || !strings.Contains(s.Failure.Error, row.want) {
			t.Errorf("%s: the status is %+v, the failure %+v, want %q", row.name, s, s.Failure, row.want)
		}
		if w.c.accepted() {
			t.Fatalf("%s: the old filter does not judge", row.name)
		}
	}
	if lines := strings.Count(w.logText(), "a reload was refused; what was in force stays so"); lines != refused {
		t.Errorf("%d refused reloads were logged, want %d", lines, refused)
	}
	renamed(t, file, guest(t, "noop"))
	w.reloads(t, 1, refused)
	if !w.c.accepted() {
		t.Error("the next good file is not in force")
	}
}

func TestAConfigurationThatIsGoneOrEmptyDoesNotTakeTheFiltersAway(t *testing.T) {
	w := startWatched(t, "config.yaml", noPoll+sizeLimit(10), nil)
	for i, change := range []func(){
		func() { put(t, w.file, "") },
		func() { put(t, w.file, "# nothing\n") },
		func() { done(t, os.Remove(w.file)) },
		func() { put(t, w.file, whole(noPoll + sizeLimit(100))[:60]) },
		func() { put(t, w.file, strings.Repeat("#", maxConfigFile+1)) },
	} {
		change()
		w.reloads(t, 0, i+1)
		if w.c.accepted() {
			t.Fatalf("change %d: the filter is gone", i)
		}
	}
	t.Chdir(t.TempDir())
	put(t, "config.yaml", sizeFilter)
	with, err := load(sources{})
	done(t, err)
	done(t, os.Remove("config.yaml"))
	without, err := load(sources{})
	done(t, err)
	if err := with.lost(without); err == nil || !strings.Contains(err.Error(), "config.yaml: it is gone; put it back") {
		t.Errorf("a config.yaml that nobody named: %v", err)
	}
	if err := without.lost(with); err != nil {
		t.Error(err)
	}
}

// withFixtures is a module that carries the text as fixtures.
func withFixtures(t *testing.T, wasm, fixtures string) string {
	t.Helper()
	out, err := plugins.ReplaceSections([]byte(wasm), plugins.CustomSection{Name: plugins.SectionFixtures, Content: []byte(fixtures)})
	done(t, err)
	return string(out)
}

const (
	agrees = "tests:\n  - {name: agrees, events: [{message: x, expect: {verdict: continue}}]}\n"
	denies = "tests:\n  - {name: agrees, events: [{message: x}]}\n  - {name: denies, events: [{message: x, expect: {verdict: deny}}]}\n"
)

func TestAModuleWhoseOwnFixturesFailIsRefused(t *testing.T) {
	w, file := policed(t, guest(t, "deny"))
	renamed(t, file, withFixtures(t, guest(t, "noop"), denies))
	w.reloads(t, 0, 1)
	want := `its own fixtures: 1 of 2 tests fail: "denies" (line 3): `
	if s := w.status(t); !strings.Contains(s.Failure.Error, want) || !strings.Contains(s.Failure.Error, "config.yaml:7") {
		t.Errorf("the failure is %s, want %s", s.Failure.Error, want)
	}
	if w.c.accepted() {
		t.Error("the module is in force")
	}
	for _, command := range []string{"check", "serve"} {
		var errs bytes.Buffer
		if code := Main(context.Background(), []string{command, "--config", w.file}, nil, nil, io.Discard, &errs); code != 1 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: exit %d: %s", command, code, &errs)
		}
	}
	renamed(t, file, withFixtures(t, guest(t, "noop"), "tests: [{name: nothing"))
	w.reloads(t, 0, 2)
	renamed(t, file, withFixtures(t, guest(t, "noop"), agrees))
	w.reloads(t, 1, 2)
	if !w.c.accepted() {
		t.Error("the module whose fixtures pass is not in force")
	}
}

func TestFixturesInAModuleAreBoundedAndReachNothing(t *testing.T) {
	var asked atomic.Int32
	keys := serveLocally(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); fmt.Fprint(w, `{"keys":[]}`) }))
	secret := filepath.Join(t.TempDir(), "public.pem")
	put(t, secret, "x")
	for name, row := range map[string]struct{ wasm, want string }{
		"keys from the network": {withFixtures(t, guest(t, "noop"), "filter: {keys: [{alg: RS256, jwks: "+keys+"}]}\n"+agrees), "may not name files and URLs"},
		"keys from a file":      {withFixtures(t, guest(t, "noop"), "filter: {keys: [{alg: RS256, pem: "+secret+"}]}\n"+agrees), "may not name files and URLs"},
		"another module":        {withFixtures(t, guest(t, "deny"), "plugin: "+secret+"\n"+agrees), `"agrees" (line 3)`},
		"events without end":    {withFixtures(t, guest(t, "loop_message"), "tests:\n  - {name: loops, events: ["+strings.Repeat("{message: x, expect: {verdict: failure}},", 1000)+"]}\n"), "did not end within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func(d time.Duration) { fixturesTime = d }(fixturesTime)
			fixturesTime = 300 * time.Millisecond
			dir := t.TempDir()
			put(t, filepath.Join(dir, "policy.wasm"), row.wasm)
			put(t, filepath.Join(dir, "config.yaml"), whole("filters: [{name: policy, plugin: policy.wasm}]\n"))
			var errs bytes.Buffer
			if code := Main(context.Background(), []string{"check", "--config", filepath.Join(dir, "config.yaml")}, nil, nil, io.Discard, &errs); code != 1 || !strings.Contains(errs.String(), row.want) {
				t.Errorf("exit %d: %s", code, &errs)
			}
		})
	}
	if asked.Load() > 0 {
		t.Error("fixtures have reached the network")
	}
}

func TestAFullDiskDoesNotKeepFiltersFromBeingReplaced(t *testing.T) {
	full := func(t *testing.T) (cache string, fill func()) { // as root, a file system of its own
		cache = t.TempDir()
		if err := syscall.Mount("tmpfs", cache, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
			t.Skip("a file system cannot be mounted here: ", err)
		}
		t.Cleanup(func() { done(t, syscall.Unmount(cache, syscall.MNT_DETACH)) })
		return cache, func() {
			f, err := os.Create(filepath.Join(cache, "filler"))
			done(t, err)
			defer f.Close()
			for err == nil {
				_, err = f.Write(make([]byte, 512))
			}
		}
	}
	gone := func(t *testing.T) (cache string, fill func()) { // whoever it is that runs the test
		cache = filepath.Join(t.TempDir(), "cache")
		return cache, func() {
			done(t, os.RemoveAll(cache))
			put(t, cache, "")
		}
	}
	for name, disk := range map[string]func(*testing.T) (string, func()){"full": full, "gone": gone} {
		t.Run(name, func(t *testing.T) {
			cache, fill := disk(t)
			config := strings.Replace(whole(noPoll+"filters:\n  - {name: policy, plugin: policy.wasm}\n"), compiled(), cache, 1)
			w := startWatched(t, "config.yaml", "", func(dir string) {
				put(t, filepath.Join(dir, "policy.wasm"), guest(t, "noop"))
				put(t, filepath.Join(dir, "config.yaml"), config)
			})
			fill()
			renamed(t, filepath.Join(w.dir, "policy.wasm"), withFixtures(t, guest(t, "deny"), denies[:7]+denies[strings.Index(denies, "  - {name: denies"):]))
			w.reloads(t, 1, 0)
			if w.c.accepted() {
				t.Error("the new filter is not in force")
			}
			w.awaitLog(t, "a compiled filter could not be kept on disk")
		})
	}
}

func TestAReloadUnderWayEndsWithTheNode(t *testing.T) {
	n := startReloadable(t, sizeLimit(10))
	var many strings.Builder // a second each
	for i := range 30 {
		fmt.Fprintf(&many, "  - {name: f%d, plugin: %s}\n", i, absolute(t, "../../plugins/testdata/loop_configure.wasm"))
	}
	n.write(t, sizeLimit(100)+many.String())
	answered := make(chan int)
	go func() {
		status, _ := n.post(t)
		answered <- status
	}()
	n.awaitLog(t, `"msg":"reloading"`)
	begin := time.Now()
	n.stop()
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("the reload is answered by %d", status)
	}
	if code := n.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
	t.Logf("the node ended after %s", time.Since(begin))
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	done(t, err)
	return path
}
