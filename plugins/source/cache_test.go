package source

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// served is a server with a module, and a reader that has kept it.
func served(t *testing.T, trust *Trust, signature []byte) (*server, *bench, Request) {
	s := newServer(t)
	s.set("/filter.wasm", first)
	if signature != nil {
		s.set("/filter.wasm.sig", signature)
	}
	b := newBench(t)
	q := Request{Reference: s.URL + "/filter.wasm", Trust: trust}
	b.reads(t, q, first, Fetched)
	s.fails(http.NotFound)
	return s, b, q
}

func TestTheLastGoodModuleOutlivesTheReader(t *testing.T) {
	_, b, q := served(t, nil, nil)
	again := newBench(t, func(o *Options) { o.Dir = b.dir })
	again.reads(t, q, first, FromLastGood)
	info, err := os.Stat(b.dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v", info.Mode(), err)
	}
}

func TestOnlyWhatWasKeptIsTheLastGood(t *testing.T) {
	s, b, q := served(t, nil, nil)
	s.fails(nil)
	s.set("/filter.wasm", second)
	if m, err := b.Read(t.Context(), q); err != nil || !bytes.Equal(m.Wasm, second) {
		t.Fatalf("%v, %v", m, err) // and it did not prove itself
	}
	s.fails(http.NotFound)
	b.reads(t, q, first, FromLastGood)
}

func TestWhatIsOnDiskIsHeldAgainstTheKeysAgain(t *testing.T) {
	key := newKey(t)
	_, b, q := served(t, requiring(key), sign(t, key, first, nil))
	if m := b.reads(t, q, first, FromLastGood); m.SignedBy != key.Public().ID() {
		t.Errorf("signed by %q", m.SignedBy)
	}
	q.Trust = requiring(newKey(t))
	b.refuses(t, q, notFound)
	if !strings.Contains(b.log.String(), "not to be used either") {
		t.Errorf("why the last good one is not used is not logged:\n%s", b.log)
	}
	q.Trust, q.SHA256 = nil, digestOf(second)
	b.refuses(t, q, notFound)
}

func TestDamageOnDiskIsNoticedAndRepaired(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"a bit":     func(path string) error { return os.WriteFile(path, append([]byte{1}, first[1:]...), 0o600) },
		"truncated": func(path string) error { return os.Truncate(path, 3) },
		"gone":      os.Remove,
		"a folder": func(path string) error {
			_ = os.Remove(path)
			return os.Mkdir(path, 0o700)
		},
	} {
		for _, suffix := range []string{moduleSuffix, recordSuffix} {
			s, b, q := served(t, nil, nil)
			files, _ := filepath.Glob(filepath.Join(b.dir, "*"+suffix))
			if len(files) != 1 {
				t.Fatalf("%d files", len(files))
			}
			if err := damage(files[0]); err != nil {
				t.Fatal(err)
			}
			b.refuses(t, q, notFound)
			s.fails(nil)
			if name == "a folder" {
				_ = os.Remove(files[0]) // nothing puts a file in its place
			}
			b.reads(t, q, first, Fetched)
			s.fails(http.NotFound)
			b.reads(t, q, first, FromLastGood)
		}
	}
}

func TestAFolderThatCannotBeUsedIsDoneWithoutAndSaid(t *testing.T) {
	s := newServer(t)
	s.set("/filter.wasm", first)
	q := Request{Reference: s.URL + "/filter.wasm"}
	base := t.TempDir()
	write(t, filepath.Join(base, "file"), nil)
	open := filepath.Join(base, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(base, "file"), filepath.Join(base, "file", "below"), open} {
		b := newBench(t, func(o *Options) { o.Dir = dir })
		b.reads(t, q, first, Fetched)
		b.reads(t, q, first, Fetched)
		if text := b.log.String(); !strings.Contains(text, "not kept on disk") || b.Stats().Failures[notKept] != 1 {
			t.Errorf("%s: not said, or not counted:\n%s", dir, text)
		}
	}
}

func TestAFolderOfAnotherUserIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, -1); err != nil {
		t.Skip("only root can give a folder away: ", err)
	}
	if _, err := openCache(dir); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("got %v", err)
	}
}

func TestAFullDiskIsDoneWithoutAndSaid(t *testing.T) {
	// A limit on the size of files stands for the full disk: writing fails halfway.
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Skip(err)
	}
	large := bytes.Repeat([]byte("a module "), 100<<10)
	s := newServer(t)
	s.set("/filter.wasm", first)
	q := Request{Reference: s.URL + "/filter.wasm"}
	b := newBench(t)
	b.reads(t, q, first, Fetched)
	s.set("/filter.wasm", large)

	limit := before
	limit.Cur = 64 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Skip(err)
	}
	b.reads(t, q, large, Fetched)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}

	if text := b.log.String(); !strings.Contains(text, "could not be kept on disk") || b.Stats().Failures[notKept] != 1 {
		t.Errorf("not said, or not counted:\n%s", text)
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, temporaryPrefix+"*")); len(left) > 0 {
		t.Errorf("half a file is left: %v", left)
	}
	b.reads(t, q, large, Fetched) // there is room again
	s.fails(http.NotFound)
	b.reads(t, q, large, FromLastGood)
}

func TestTheFolderStaysWithinItsBounds(t *testing.T) {
	c, err := openCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(c.dir, "notes.wasm")
	write(t, foreign, nil)
	stale := filepath.Join(c.dir, temporaryPrefix+"1")
	write(t, stale, nil)
	old := time.Now().Add(-2 * staleTime)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	for i := range maxKeptFiles + 10 {
		name := filepath.Join(c.dir, digestOf(fmt.Append(nil, i))+moduleSuffix)
		write(t, name, nil)
		used := time.Now().Add(time.Duration(i-2*maxKeptFiles) * time.Second)
		if err := os.Chtimes(name, used, used); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.keep("a", first, nil); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil || len(entries) > maxKeptFiles+2 {
		t.Errorf("%d files, %v", len(entries), err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error("a file that is not the cache's was removed")
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("a temporary file was left")
	}
	if _, err := os.Stat(filepath.Join(c.dir, digestOf(fmt.Append(nil, 0))+moduleSuffix)); err == nil {
		t.Error("what was used least recently is still there")
	}
	if _, _, ok := c.module([32]byte(mustDigest(t, first))); !ok {
		t.Error("what was just kept is not there")
	}
}

func mustDigest(t *testing.T, wasm []byte) []byte {
	t.Helper()
	d, err := ParseDigest(digestOf(wasm))
	if err != nil {
		t.Fatal(err)
	}
	return d[:]
}

func TestReadersThatShareAFolderDoNotGetInEachOthersWay(t *testing.T) {
	s := newServer(t)
	dir := filepath.Join(t.TempDir(), "kept")
	modules := [][]byte{first, second}
	var wg sync.WaitGroup
	s.set("/0.wasm", first)
	s.set("/1.wasm", second)
	var b *bench
	for i := range 8 {
		if i%2 == 0 { // two goroutines share a reader
			b = newBench(t, func(o *Options) { o.Dir = dir })
		}
		b := b
		wg.Go(func() {
			for j := range 20 {
				path := fmt.Sprintf("/%d.wasm", (i+j)%2)
				m, err := b.Read(t.Context(), Request{Reference: s.URL + path})
				if err != nil || !bytes.Equal(m.Wasm, modules[(i+j)%2]) {
					t.Errorf("%s: %v", path, err)
					return
				}
				b.Keep(m)
			}
		})
	}
	wg.Wait()
	s.fails(http.NotFound)
	b = newBench(t, func(o *Options) { o.Dir = dir })
	for i, m := range modules {
		b.reads(t, Request{Reference: fmt.Sprintf("%s/%d.wasm", s.URL, i)}, m, FromLastGood)
	}
}
