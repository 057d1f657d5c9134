package plugins

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"sluice/router"
)

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	for _, row := range []struct {
		change func(*Spec)
		want   string
	}{
		{func(s *Spec) { s.Name = "" }, "name"},
		{func(s *Spec) { s.Name = "a\nb" }, "name"},
		{func(s *Spec) { s.Plugin = "" }, "plugin"},
		{func(s *Spec) { s.Memory = 65535 }, "limits.memory: 65535 bytes is not between 64 KiB and 1 GiB"},
		{func(s *Spec) { s.Memory = 2 << 30 }, "limits.memory"},
		{func(s *Spec) { s.Time = time.Microsecond }, "limits.time"},
		{func(s *Spec) { s.Time = -1 }, "limits.time"},
		{func(s *Spec) { s.Time = 2 * time.Second }, "limits.time: 2s"},
		{func(s *Spec) { s.StateBytes = 5000 }, "limits.state"},
		{func(s *Spec) { s.StateBytes = -1 }, "limits.state"},
		{func(s *Spec) { s.OnFailure = "allow" }, `"allow" is neither deny nor continue`},
		{func(s *Spec) { s.Config = []byte(`{"a":`) }, "config"},
		{func(s *Spec) { s.Config = bytes.Repeat([]byte(" "), MaxConfig+1) }, "more than 1 MiB"},
		{func(s *Spec) { s.Rooms = []string{""} }, "rooms"},
		{func(s *Spec) { s.May.Reroute = []string{"a", "***"} }, "may.reroute"},
		{func(s *Spec) { s.Capabilities = []string{"log", "file"} }, `"file" does not exist; there are log, now, random, verify, metric_add, counter_add, bucket_take, kv_get and kv_set`},
		{func(s *Spec) { s.Quota.Counters = -1 }, "limits.counters: -1 is not between 1 and 10000000"},
		{func(s *Spec) { s.Quota.Counters = MaxCounters + 1 }, "limits.counters"},
		{func(s *Spec) { s.Quota.Values = -1 }, "limits.values: -1 bytes"},
		{func(s *Spec) { s.Quota.Values = MaxValues + 1 }, "limits.values"},
		{func(s *Spec) { s.Quota.Series = -1 }, "limits.series: -1 is not between 1 and 1000"},
		{func(s *Spec) { s.Quota.Series = MaxSeries + 1 }, "limits.series"},
		{func(s *Spec) { s.Headers = []string{""} }, "headers"},
		{func(s *Spec) { s.Cookies = []string{"\xff"} }, "cookies"},
	} {
		spec := guest("noop")
		row.change(&spec)
		_, err := h.Build(context.Background(), []Spec{spec}, nil)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("Build = %v, want %q", err, row.want)
		}
	}
	if _, err := h.Build(context.Background(), []Spec{guest("noop"), guest("noop")}, nil); err == nil || !strings.Contains(err.Error(), "same name") {
		t.Errorf("two filters of one name: %v", err)
	}
	connect := guest("outputs")
	connect.OnFailure = FailContinue
	if _, err := h.Build(context.Background(), []Spec{connect}, nil); err == nil || !strings.Contains(err.Error(), "on_failure: deny") {
		t.Errorf("on_failure: continue with on_connect: %v", err)
	}
}

func TestACapabilityThatAReloadTakesAwayIsMissed(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := guest("capable")
	spec.Capabilities = []string{"log", "now", "random"}
	c := h.chain(nil, spec)
	spec.Capabilities = []string{"log"}
	_, err := h.Build(context.Background(), []Spec{spec}, c)
	if err == nil || !strings.Contains(err.Error(), "sluice.now, sluice.random, which is not granted") || !strings.Contains(err.Error(), "capabilities: [log, now, random]") {
		t.Errorf("Build = %v", err)
	}
	if v := say(t, c, `1`); v.Failure != "" {
		t.Errorf("the chain in use: %+v", *v)
	}
}

func TestGrantedCapabilitiesWork(t *testing.T) {
	clock := time.Unix(1_800_000_000, 42)
	h := newTestHost(t, HostOptions{Now: func() time.Time { return clock }})
	spec := guest("capable")
	spec.Capabilities = []string{"log", "now", "random"}
	c := h.chain(nil, spec)
	var seen [][]byte
	for range 2 {
		e := message(`1`)
		if v := judge(t, c, e); v.Failure != "" {
			t.Fatalf("%+v", *v)
		}
		data := (*e.States)[0].Data
		if got := int64(binary.LittleEndian.Uint64(data)); got != clock.UnixNano() {
			t.Errorf("now is %d, want the host's clock", got)
		}
		seen = append(seen, bytes.Clone(data[8:]))
	}
	if bytes.Equal(seen[0], seen[1]) || bytes.Equal(seen[0], make([]byte, 16)) {
		t.Errorf("random bytes %x and %x", seen[0], seen[1])
	}
	h.Close(context.Background())
	if log := h.log.String(); !strings.Contains(log, "level=WARN msg=hello filter=capable") {
		t.Errorf("the log lacks the filter's line:\n%s", log)
	}
}

func TestAFilterThatLogsTooMuchIsCutShort(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := guest("capable")
	spec.Capabilities = []string{"log", "now", "random"}
	c := h.chain(nil, spec)
	for range 2000 {
		say(t, c, `1`)
	}
	h.Close(context.Background())
	if n := strings.Count(h.log.String(), "msg=hello"); n < linesPerSecond || n > 1000 {
		t.Errorf("%d of 2000 lines were logged", n)
	}
}

func TestAFilterForALaterHostRunsAndIsWarnedOf(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("later"))
	if v := say(t, c, `1`); v.Failure != "" {
		t.Errorf("%+v", *v)
	}
	for _, name := range []string{"sluice.kv_list", "sluice.bucket_peek", "wasi_snapshot_preview1.path_open"} {
		if !strings.Contains(h.log.String(), "import="+name) {
			t.Errorf("no warning of %s:\n%s", name, h.log.String())
		}
	}
}

func TestAFilterGetsItsConfigurationOrAnEmptyObject(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	if got := configOf(t, h.chain(nil, guest("configured"))); got != "{}" {
		t.Errorf("without a configuration it got %q", got)
	}
	if got := configOf(t, h.chain(nil, configured(`{"max": [1, 2]}`))); got != `{"max": [1, 2]}` {
		t.Errorf("it got %q", got)
	}
}

func TestBuiltinFiltersAreFoundByName(t *testing.T) {
	wasm, err := os.ReadFile("testdata/noop.wasm")
	if err != nil {
		t.Fatal(err)
	}
	h := newTestHost(t, HostOptions{Builtins: fstest.MapFS{"noop/noop.wasm": {Data: wasm}, "README.md": {}}})
	c := h.chain(nil, Spec{Name: "quiet", Plugin: "builtin:noop"})
	info := c.Info()[0]
	if info.File != "builtin:noop" || len(info.Version) != 12 || strings.Join(info.Hooks, " ") != "message" {
		t.Errorf("info %+v", info)
	}
	for _, name := range []string{"nope", "../noop", "", "noop/noop"} {
		_, err := h.Build(context.Background(), []Spec{{Name: "x", Plugin: "builtin:" + name}}, nil)
		if err == nil || !strings.Contains(err.Error(), "there are: noop") {
			t.Errorf("builtin:%s: %v", name, err)
		}
	}
	if _, err := newTestHost(t, HostOptions{}).Build(context.Background(), []Spec{{Name: "x", Plugin: "builtin:noop"}}, nil); err == nil {
		t.Error("a host without built-in filters found one")
	}
}

func TestCompiledFiltersAreKeptOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	count := func() (n int) {
		_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				n++
			}
			return nil
		})
		return n
	}
	h := newTestHost(t, HostOptions{CacheDir: dir})
	h.chain(nil, guest("noop"))
	if count() != 1 {
		t.Errorf("%d entries", count())
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v: it must be the owner's alone", info.Mode(), err)
	}
	again := newTestHost(t, HostOptions{CacheDir: dir})
	if v := say(t, again.chain(nil, guest("noop")), `1`); v.Failure != "" || count() != 1 {
		t.Errorf("from the folder: %+v, %d entries", *v, count())
	}
}

func TestAnUnusableCacheFolderIsDoneWithout(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir()
	newTestHost(t, HostOptions{CacheDir: damaged}).chain(nil, guest("noop"))
	_ = filepath.WalkDir(damaged, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			return os.WriteFile(path, []byte("damaged"), 0o600)
		}
		return nil
	})
	gone := filepath.Join(t.TempDir(), "gone")
	folders := map[string]string{"a file": file, "others may write": open, "a damaged entry": damaged, "it vanishes": gone}
	if os.Geteuid() == 0 { // only root can give a folder away
		folders["another user's"] = t.TempDir()
		if err := os.Chown(folders["another user's"], 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for what, dir := range folders {
		h := newTestHost(t, HostOptions{CacheDir: dir})
		if what == "it vanishes" {
			if err := os.RemoveAll(gone); err != nil {
				t.Fatal(err)
			}
		}
		if v := say(t, h.chain(nil, guest("noop")), `1`); v.Failure != "" {
			t.Errorf("%s: %+v", what, *v)
		}
		if !strings.Contains(h.log.String(), "level=WARN") {
			t.Errorf("%s: no warning:\n%s", what, h.log.String())
		}
	}
}

func TestADamagedCompiledFilterIsReplaced(t *testing.T) {
	dir := t.TempDir()
	newTestHost(t, HostOptions{CacheDir: dir}).chain(nil, guest("noop"))
	newTestHost(t, HostOptions{CacheDir: dir}).chain(nil, guest("moody"))
	entries, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(entries) != 2 {
		t.Fatalf("entries %v, %v", entries, err)
	}
	whole := make(map[string][]byte)
	for i, path := range entries {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole[path] = bytes.Clone(b)
		if i == 0 {
			b[len(b)/2] ^= 1 // in the code, which has a checksum
		} else {
			b = b[:len(b)-40]
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damaged := newTestHost(t, HostOptions{CacheDir: dir})
	c := damaged.chain(nil, guest("noop"), guest("moody"))
	if v := say(t, c, `1`); v.Failure != "" {
		t.Errorf("verdict %+v", *v)
	}
	if n := strings.Count(damaged.log.String(), "is damaged"); n != 2 {
		t.Errorf("%d warnings, want one for each entry:\n%s", n, damaged.log.String())
	}
	after, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	if !slices.Equal(after, entries) {
		t.Errorf("entries %v, before %v", after, entries)
	}
	for path, want := range whole {
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not as it was: %v", path, err)
		}
	}
	again := newTestHost(t, HostOptions{CacheDir: dir})
	again.chain(nil, guest("noop"), guest("moody"))
	if log := again.log.String(); strings.Contains(log, "level=WARN") {
		t.Errorf("the next start warns:\n%s", log)
	}
}

func TestTwoHostsMayCompileTheSameFilterAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		h := newTestHost(t, HostOptions{CacheDir: dir})
		wg.Go(func() {
			if _, err := h.Build(context.Background(), []Spec{guest("noop"), guest("moody")}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestAChainHandlesTheHooksOfItsFilters(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, configured(`1`))
	empty := h.chain(nil)
	for hook := router.Hook(0); hook < 9; hook++ {
		if c.Handles(hook) != (hook == router.HookMessage) || empty.Handles(hook) {
			t.Errorf("hook %d", hook)
		}
		e := message(`1`)
		e.Hook = hook
		e.Verdict.Failure = "of the last event"
		if v := judge(t, empty, e); !equalVerdicts(v, &router.Verdict{}) {
			t.Errorf("hook %d: %+v", hook, *v)
		}
		judge(t, c, e)
	}
}
