package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// noPoll leaves finding changes to the watch alone.
const noPoll = "reload: {poll: 0s}\n"

// watched is a node in a folder of its own, which a test changes.
type watched struct {
	*reloadable
	dir string
	c   *client
}

// startWatched starts a node whose configuration is at the path below dir, which
// prepare may have made a link.
func startWatched(t *testing.T, path, config string, prepare func(dir string)) *watched {
	t.Helper()
	w := &watched{dir: t.TempDir(), reloadable: &reloadable{}}
	w.file = filepath.Join(w.dir, path)
	if prepare != nil {
		prepare(w.dir)
	} else {
		put(t, w.file, whole(config))
	}
	w.running = run(t, nil, io.Discard, "--config", w.file)
	w.c = w.dial("/ws?client_id=ann").join("a")
	return w
}

func whole(config string) string {
	return "listen: 127.0.0.1:0\nadmin: {listen: \"127.0.0.1:0\"}\nlog: {format: json, level: debug}\ncache: " + compiled() + "\n" + config
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// renamed puts a file into place as most programs do.
func renamed(t *testing.T, path, text string) {
	t.Helper()
	put(t, path+".tmp", text)
	done(t, os.Rename(path+".tmp", path))
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// swapLink puts a link into place as Kubernetes does with ..data.
func swapLink(t *testing.T, target, link string) {
	t.Helper()
	done(t, os.Symlink(target, link+"_tmp"))
	done(t, os.Rename(link+"_tmp", link))
}

// guest is a module of this package's testdata, or of plugins/testdata.
func guest(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"testdata/guests", "../../plugins/testdata"} {
		if wasm, err := os.ReadFile(filepath.Join(dir, name+".wasm")); err == nil {
			return string(wasm)
		}
	}
	t.Fatalf("there is no guest %s", name)
	return ""
}

// reloads waits until so many reloads have been made and refused.
func (n *running) reloads(t *testing.T, made, refused int) {
	t.Helper()
	var got []int
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = n.counters(`sluice_reloads_total{result="done"}`, `sluice_reloads_total{result="refused"}`)
		if got[0] == made && got[1] == refused {
			return
		}
	}
	t.Fatalf("%d reloads were made and %d refused, want %d and %d", got[0], got[1], made, refused)
}

func TestAChangedConfigurationIsPutIntoForceHoweverItIsWritten(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, w *watched, text string){
		"by renaming": func(t *testing.T, w *watched, text string) { renamed(t, w.file, text) },
		"in place":    func(t *testing.T, w *watched, text string) { put(t, w.file, text) },
		"in place, piece by piece": func(t *testing.T, w *watched, text string) {
			f, err := os.OpenFile(w.file, os.O_WRONLY|os.O_TRUNC, 0)
			done(t, err)
			for _, piece := range strings.SplitAfter(text, "\n") {
				_, err := f.WriteString(piece)
				done(t, err)
			}
			done(t, f.Close())
		},
		"by an editor that keeps a backup": func(t *testing.T, w *watched, text string) {
			put(t, filepath.Join(w.dir, "4913"), "")
			done(t, os.Remove(filepath.Join(w.dir, "4913")))
			put(t, filepath.Join(w.dir, ".config.yaml.swp"), text)
			done(t, os.Rename(w.file, w.file+"~"))
			put(t, w.file, text)
			done(t, os.Chmod(w.file, 0o640))
			done(t, os.Remove(w.file+"~"))
			done(t, os.Remove(filepath.Join(w.dir, ".config.yaml.swp")))
		},
		"by removing it first": func(t *testing.T, w *watched, text string) {
			done(t, os.Remove(w.file))
			put(t, w.file, text)
		},
		"by a hard link": func(t *testing.T, w *watched, text string) {
			put(t, filepath.Join(w.dir, "other"), text)
			done(t, os.Remove(w.file))
			done(t, os.Link(filepath.Join(w.dir, "other"), w.file))
		},
		"by a link to another folder": func(t *testing.T, w *watched, text string) {
			put(t, filepath.Join(w.dir, "elsewhere", "c.yaml"), text)
			swapLink(t, "elsewhere/c.yaml", w.file)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := startWatched(t, "config.yaml", noPoll+sizeLimit(10), nil)
			change(t, w, whole(noPoll+sizeLimit(100)))
			w.awaitLog(t, `"msg":"reloaded","trigger":"watch"`)
			if !w.c.accepted() {
				t.Error("the new limit is not in force")
			}
			// What is watched has followed: the next change is seen as well.
			renamed(t, w.file, whole(noPoll+sizeLimit(10)))
			for w.c.accepted() {
				if w.counter("sluice_generation") > 3 {
					t.Fatal("the second change is not in force")
				}
			}
		})
	}
}

func TestLinksOnTheWayToTheConfigurationAreFollowed(t *testing.T) {
	for name, row := range map[string]struct{ path, link string }{
		"as Kubernetes mounts ConfigMaps": {"mount/config.yaml", "mount/..data"},
		"of a release":                    {"current/config.yaml", "current"},
		"of a release, further up":        {"current/etc/node/config.yaml", "current"},
	} {
		t.Run(name, func(t *testing.T) {
			version := func(dir, name string) string {
				return filepath.Join(dir, strings.Replace(row.path, filepath.Base(row.link), "..."+name, 1))
			}
			w := startWatched(t, row.path, "", func(dir string) {
				if strings.HasPrefix(row.path, "mount") {
					put(t, filepath.Join(dir, "mount/..1/config.yaml"), whole(noPoll+sizeLimit(10)))
					done(t, os.Symlink("..1", filepath.Join(dir, row.link)))
					done(t, os.Symlink("..data/config.yaml", filepath.Join(dir, row.path)))
					return
				}
				put(t, version(dir, "1"), whole(noPoll+sizeLimit(10)))
				done(t, os.Symlink("...1", filepath.Join(dir, row.link)))
			})
			for i := range 3 { // each from where the one before has led
				target := fmt.Sprint("...", i+2)
				if strings.HasPrefix(row.path, "mount") {
					put(t, filepath.Join(w.dir, "mount", target, "config.yaml"), whole(noPoll+sizeLimit(100+i)))
				} else {
					put(t, version(w.dir, fmt.Sprint(i+2)), whole(noPoll+sizeLimit(100+i)))
				}
				swapLink(t, target, filepath.Join(w.dir, row.link))
				w.reloads(t, i+1, 0)
			}
			if !w.c.accepted() {
				t.Error("the new limit is not in force")
			}
		})
	}
}

func TestChangesOfFiltersSecretsAndKeysReload(t *testing.T) {
	key := func() string {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		done(t, err)
		der, err := x509.MarshalPKIXPublicKey(public)
		done(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	w := startWatched(t, "config.yaml", "", func(dir string) {
		put(t, filepath.Join(dir, "filters/policy.wasm"), guest(t, "noop"))
		put(t, filepath.Join(dir, "secrets/frame"), "32KiB\n")
		put(t, filepath.Join(dir, "keys/public.pem"), key())
		put(t, filepath.Join(dir, "config.yaml"), whole(noPoll+"limits: {frame: \"file:secrets/frame\"}\nfilters:\n  - {name: policy, plugin: filters/policy.wasm}\n"+
			"  - {name: v, plugin: \"builtin:validate\", config: {schema: {}}, keys: [{alg: EdDSA, pem: keys/public.pem}]}\n"))
	})
	if !w.c.accepted() {
		t.Fatal("the first filter refuses")
	}
	renamed(t, filepath.Join(w.dir, "filters/policy.wasm"), guest(t, "deny"))
	w.reloads(t, 1, 0)
	if w.c.accepted() {
		t.Error("the new filter is not in force")
	}
	put(t, filepath.Join(w.dir, "secrets/frame"), "48KiB\n")
	w.reloads(t, 2, 0)
	put(t, filepath.Join(w.dir, "keys/public.pem"), key())
	w.reloads(t, 3, 0)
}

func TestFilesThatAreMissingAreWatchedForTheirArrival(t *testing.T) {
	w := startWatched(t, "config.yaml", noPoll+sizeLimit(10), nil)
	put(t, w.file, whole(noPoll+"limits: {frame: \"file:later/frame\"}\n"+sizeLimit(100)))
	w.reloads(t, 0, 1)
	done(t, os.Mkdir(filepath.Join(w.dir, "later"), 0o700))
	put(t, filepath.Join(w.dir, "later", "frame"), "32KiB")
	w.reloads(t, 1, 1)
	put(t, w.file, whole(noPoll+sizeLimit(100)+"  - {name: new, plugin: new.wasm}\n"))
	w.reloads(t, 1, 2)
	put(t, filepath.Join(w.dir, "new.wasm"), guest(t, "noop"))
	w.reloads(t, 2, 2)
}

func TestAFileThatSaysTheSameAsBeforeIsNoChange(t *testing.T) {
	w := startWatched(t, "config.yaml", noPoll+sizeLimit(10), nil)
	text := whole(noPoll + sizeLimit(10))
	w.awaitLog(t, sameText) // the look at the start
	for _, touch := range []func(){
		func() { renamed(t, w.file, text) },
		func() { put(t, w.file, text) },
		func() { done(t, os.Chtimes(w.file, time.Now(), time.Now())) },
	} {
		before := strings.Count(w.logText(), sameText)
		touch()
		for end := time.Now().Add(patience); strings.Count(w.logText(), sameText) == before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("nobody has looked at the file")
			}
		}
	}
	if g := w.counter("sluice_generation"); g != 1 {
		t.Errorf("generation %d is in force", g)
	}
}

func TestABurstOfChangesEndsWithTheLastOne(t *testing.T) {
	const changes = 100
	w := startWatched(t, "config.yaml", noPoll+sizeLimit(10), nil)
	for i := range changes {
		put(t, filepath.Join(w.dir, fmt.Sprint("temporary", i)), "x")
		renamed(t, w.file, whole(noPoll+sizeLimit(i%5)))
	}
	renamed(t, w.file, whole(noPoll+sizeLimit(100)))
	for !w.c.accepted() {
		if w.counter("sluice_generation") > changes {
			t.Fatal("the last change is not in force")
		}
	}
	if g := w.counter("sluice_generation"); g > changes/2 {
		t.Errorf("%d changes made %d generations", changes, g)
	}
}

func TestThePollFindsWhatTheWatchMisses(t *testing.T) {
	const poll = "reload: {poll: 100ms}\n"
	t.Run("a change under another name of the file, in a folder that is not watched", func(t *testing.T) {
		w := startWatched(t, "etc/config.yaml", poll+sizeLimit(10), nil)
		other := filepath.Join(w.dir, "other.yaml")
		done(t, os.Link(w.file, other))
		put(t, other, whole(poll+sizeLimit(100)))
		w.reloads(t, 1, 0)
		if !w.c.accepted() {
			t.Error("the new limit is not in force")
		}
		// Of the same length, and as old as before.
		info, err := os.Stat(other)
		done(t, err)
		put(t, other, whole(poll+sizeLimit(101)))
		done(t, os.Chtimes(other, info.ModTime(), info.ModTime()))
		w.reloads(t, 2, 0)
	})
	t.Run("everything, on a system that has no watches left", func(t *testing.T) {
		newNotifier = func() (*fsnotify.Watcher, error) { return nil, errors.New("too many open files") }
		defer func() { newNotifier = fsnotify.NewWatcher }()
		w := startWatched(t, "config.yaml", poll+sizeLimit(10), nil)
		w.awaitLog(t, "the system does not tell of changes to files")
		renamed(t, w.file, whole(poll+sizeLimit(100)))
		w.reloads(t, 1, 0)
	})
}

func TestAFolderThatIsReplacedIsWatchedAgain(t *testing.T) {
	const poll = "reload: {poll: 100ms}\n"
	w := startWatched(t, "etc/config.yaml", poll+sizeLimit(10), nil)
	for i := range 2 {
		done(t, os.Rename(filepath.Dir(w.file), filepath.Join(w.dir, fmt.Sprint("old", i))))
		put(t, w.file, whole(poll+sizeLimit(100+i)))
		w.reloads2(t, i+1)
	}
}

// reloads2 waits until so many reloads have been made, however many were refused.
func (n *running) reloads2(t *testing.T, made int) {
	t.Helper()
	for end := time.Now().Add(patience); n.counter(`sluice_reloads_total{result="done"}`) != made; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d reloads have not been made", made)
		}
	}
}

func TestWithoutTheWatchNothingReloadsByItself(t *testing.T) {
	l := mustLoad(t, "reload: {watch: false, poll: 1s}\n")
	if l.Reload.Watch {
		t.Error("it is watched")
	}
	n := startReloadable(t, sizeLimit(10)) // with SLUICE_RELOAD_WATCH=false
	n.write(t, sizeLimit(100))
	if status, body := n.post(t); status != 200 || body != "{\"generation\":2}\n" {
		t.Errorf("%d %s", status, body)
	}
	if _, err := loadText(t, "reload: {poll: 10ms}\n"); err == nil || !strings.Contains(err.Error(), "reload.poll: 10ms is less than 100ms") {
		t.Errorf("a poll every 10ms: %v", err)
	}
}

func TestThePointsOfAPathAreItsLinksAndItsFileOrWhatIsMissing(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	done(t, err)
	put(t, filepath.Join(dir, "a/b/file"), "")
	done(t, os.Symlink("a/b", filepath.Join(dir, "rel")))
	done(t, os.Symlink(filepath.Join(dir, "rel"), filepath.Join(dir, "abs")))
	done(t, os.Symlink("../../rel/../b/file", filepath.Join(dir, "a/b/up")))
	done(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	for path, want := range map[string]string{
		"a/b/file":      "a/b/file",
		"rel/file":      "rel a/b/file",
		"abs/file":      "abs rel a/b/file",
		"a/b/up":        "a/b/up rel a/b/file",
		"gone/deeper/x": "gone",
		"a/b/file/x":    "a/b/file",
		"loop":          "loop",
		"rel":           "rel a/b",
	} {
		p := newPoints(looks{filepath.Join(dir, path): new(look)})
		names := strings.Fields(want)
		for _, name := range names {
			if !p.names[filepath.Join(dir, name)] || !p.concerns(filepath.Join(dir, name)) || !p.folders[filepath.Dir(filepath.Join(dir, name))] {
				t.Errorf("%s: %s is not a point of %v", path, name, p)
			}
		}
		if len(p.names) != len(names) || p.concerns(filepath.Join(dir, "unrelated")) {
			t.Errorf("%s: got %v, want %s", path, p.names, want)
		}
	}
}
