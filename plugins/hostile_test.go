package plugins

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

// hang is a generous bound for what must end by itself.
const hang = 10 * time.Second

func within(t testing.TB, what string, f func()) time.Duration {
	t.Helper()
	begin := time.Now()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
		return time.Since(begin)
	case <-time.After(hang):
		t.Fatalf("%s has not ended after %s", what, hang)
		return 0
	}
}

// hostile are guests that misbehave on a message, and the failure it is.
var hostile = []struct{ file, cause string }{
	{"loop_message", "timeout"},
	{"fill", "timeout"},
	{"recurse", "stack"},
	{"recurse_mutual", "stack"},
	{"allocate", "timeout"},
	{"trap", "trap"},
	{"trap_memory", "trap"},
	{"exit", "exit"},
	{"abort", "exit"},
	{"flood", "timeout"},
	{"complain", "trap"},
	{"wild_host_call", "trap"},
}

func hostileSpec(file string) Spec {
	s := guest(file)
	if file == "wild_host_call" {
		s.Capabilities = []string{"random"}
	}
	return s
}

func TestAHostileFilterIsStoppedAndItsEventDenied(t *testing.T) {
	for _, row := range hostile {
		t.Run(row.file, func(t *testing.T) {
			h := newTestHost(t, HostOptions{})
			c := h.chain(nil, hostileSpec(row.file), guest("noop"))
			before := stats(c).Created
			for range 2 { // the second time by a fresh instance
				within(t, row.file, func() {
					v := say(t, c, `"hello"`)
					if v.Action != router.Deny || v.Code != 503 || v.Failure != row.cause || v.Filter != row.file {
						t.Errorf("verdict %+v, want a denial by %s with 503 for %q", *v, row.file, row.cause)
					}
				})
			}
			s := c.Stats()
			if s[0].Failures[row.cause] != 2 {
				t.Errorf("failures %v, want 2 of %q", s[0].Failures, row.cause)
			}
			if s[0].Created != before+1 {
				t.Errorf("%d instances were made, want one to replace the first that failed", s[0].Created-before)
			}
			if s[1].Calls != 0 {
				t.Error("the next filter was asked about a denied event")
			}
		})
	}
}

func TestAHostileFilterThatMayFailIsPassedBy(t *testing.T) {
	for _, row := range hostile {
		t.Run(row.file, func(t *testing.T) {
			h := newTestHost(t, HostOptions{})
			spec := hostileSpec(row.file)
			spec.OnFailure = FailContinue
			c := h.chain(nil, spec, guest("count"))
			e := message(`"hello"`)
			within(t, row.file, func() {
				if v := judge(t, c, e); v.Action != router.Continue || v.Failure != "" || v.Payload != nil {
					t.Errorf("verdict %+v, want continue", *v)
				}
			})
			s := c.Stats()
			if s[0].Failures[row.cause] != 1 || s[1].Verdicts["continue"] != 1 {
				t.Errorf("failures %v, verdicts of the next filter %v", s[0].Failures, s[1].Verdicts)
			}
		})
	}
}

func TestAFailedInstanceIsReplacedByAFreshOne(t *testing.T) {
	for content, cause := range map[string]string{"t": "trap", "l": "timeout", "r": "stack", "g": "timeout", "p": "bad_pointer"} {
		t.Run(cause+"/"+content, func(t *testing.T) {
			h := newTestHost(t, HostOptions{})
			c := h.chain(nil, guest("moody"))
			agreed(t, c)
			if n := agreed(t, c); n != 2 {
				t.Fatalf("the instance agreed %d times, want 2", n)
			}
			if v := say(t, c, content); v.Failure != cause {
				t.Fatalf("verdict %+v, want the failure %q", *v, cause)
			}
			if n := agreed(t, c); n != 1 {
				t.Errorf("after its failure the instance had agreed %d times, want 1: a fresh one", n)
			}
		})
	}
}

func TestAllocationStopsAtTheFiltersOwnLimit(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := guest("grow")
	spec.Memory = 4 * pageSize
	c := h.chain(nil, spec)
	for _, row := range []struct {
		content string
		pages   byte
	}{{"1", 3}, {"9", 3}, {"1", 4}} {
		e := message(row.content)
		judge(t, c, e)
		if got := (*e.States)[0].Data[0]; got != row.pages {
			t.Fatalf("after growing by %s pages the guest has %d, want %d", row.content, got, row.pages)
		}
	}
}

func TestAnInstanceThatCameCloseToItsMemoryLimitIsReplaced(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := guest("grow")
	spec.Memory = 8 * pageSize
	c := h.chain(nil, spec)
	say(t, c, "3")
	if got := stats(c).Created; got != 1 {
		t.Fatalf("%d instances, want 1: 5 pages of 8 are not close", got)
	}
	say(t, c, "2")
	say(t, c, "0")
	if s := stats(c); s.Created != 2 || s.Memory != 2*pageSize {
		t.Errorf("created %d with %d bytes, want a second one of 2 pages", s.Created, s.Memory)
	}
	// A filter that needs this much is not replaced all the time.
	say(t, c, "5")
	say(t, c, "0")
	if got := stats(c).Created; got != 2 {
		t.Errorf("created %d, want no third one within a minute", got)
	}
}

func TestAnInstanceThatFailsForWantOfMemoryIsReplaced(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := guest("leak")
	spec.Memory = 64 * pageSize
	c := h.chain(nil, spec)
	slot := &c.filters[0].pool.slots[0]
	for failures := 0; failures < 3; {
		v := say(t, c, `1`)
		if v.Failure == "" {
			continue
		}
		if v.Failure != "guest_error" {
			t.Fatalf("verdict %+v", *v)
		}
		failures++
		within(t, "the next success", func() {
			for say(t, c, `1`).Failure != "" {
				time.Sleep(time.Millisecond) // the wait between two replacements
			}
		})
	}
	if slot.renewals < 2*backoffMin {
		t.Errorf("the wait between replacements is %s: it does not grow", slot.renewals)
	}
	slot.renewAt = nanotime() + int64(time.Hour)
	for say(t, c, `1`).Failure == "" {
	}
	if slot.in == nil || say(t, c, `1`).Failure != "guest_error" {
		t.Error("it was replaced again before the wait was over")
	}
}

func TestAnInstanceThatFailsWithMemoryToSpareIsKept(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := guest("leak")
	spec.Memory = MaxMemory
	c := h.chain(nil, spec)
	say(t, c, `1`)
	f := &c.filters[0]
	s := &f.pool.slots[0]
	q := question{event: message(`1`)}
	f.failed(s, s.in, &q, &failure{cause: CauseGuest})
	if s.in == nil {
		t.Error("it was discarded")
	}
}

func TestASleepReturnsAtOnce(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("sleep"))
	within(t, "three sleeps of an hour", func() {
		if v := say(t, c, "3"); v.Action != router.Continue || v.Failure != "" {
			t.Errorf("verdict %+v, want continue", *v)
		}
	})
	within(t, "four billion sleeps", func() {
		if v := say(t, c, "0"); v.Failure != "timeout" {
			t.Errorf("verdict %+v, want a time-out", *v)
		}
	})
}

func TestTheEndOfAGuestsOutputIsLoggedWithItsFailure(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("complain"), guest("flood"))
	say(t, c, `1`)
	h.Close(context.Background())
	for _, want := range []string{"a filter failed", "filter=complain", "cause=trap", "hook=on_message", `output="out of luck"`} {
		if log := h.log.String(); !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestAFloodOfOutputIsKeptToItsEnd(t *testing.T) {
	var tl tail
	for i := range 10_000 {
		tl.write([]byte(strings.Repeat(string(rune('a'+i%26)), 1+i%3000)))
	}
	tl.write([]byte("the end"))
	got := tl.take()
	if len(got) != tailSize || !strings.HasSuffix(got, "the end") {
		t.Errorf("kept %d bytes ending in %q", len(got), got[max(0, len(got)-10):])
	}
	if tl.take() != "" {
		t.Error("it was not forgotten")
	}
}

// A guest that loops must not keep the collector, and with it every goroutine,
// waiting for longer than a slice of fuel takes.
func TestALoopingGuestStallsNeitherOthersNorTheCollector(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	spec := guest("loop_message")
	spec.Time = MaxTime
	c := h.chain(nil, spec)
	judged := make(chan struct{})
	go func() {
		defer close(judged)
		say(t, c, `1`)
	}()
	var ticks, collections atomic.Int64
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
				collections.Add(1)
			}
		}
	}()
	for done := false; !done; {
		select {
		case <-judged:
			done = true
		default:
			ticks.Add(1)
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	<-stopped
	// In a second there is time for about a thousand ticks and some hundreds of
	// collections; a guest that cannot be interrupted lets none of them happen.
	if ticks.Load() < 20 || collections.Load() < 5 {
		t.Errorf("while a guest looped for a second, another goroutine ran %d times and %d collections ended", ticks.Load(), collections.Load())
	}
}

func TestAFilterThatCannotBeUsedIsRefusedWithCauseAndRemedy(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"text.wasm": "not wasm at all", "empty.wasm": "", "component.wasm": "\x00asm\x0d\x00\x01\x00", "huge.wasm": strings.Repeat("\x00", MaxModule+1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		file          string
		cause, remedy string // parts of them
	}{
		{"missing", "does not exist", "check the path"},
		{dir, "not a regular file", "name a .wasm file"},
		{filepath.Join(dir, "text.wasm"), "not a wasm module", "wat2wasm"},
		{filepath.Join(dir, "empty.wasm"), "not a wasm module", ""},
		{filepath.Join(dir, "component.wasm"), "component", "module"},
		{filepath.Join(dir, "huge.wasm"), "16777217 bytes", "strip"},
		{"unmarked", "does not export sluice_abi_v1", "sluice_abi_v1: () -> ()"},
		{"abi2", "version 2 of the plugin ABI", "version 1"},
		{"wrong_signature", "on_message has the signature (i32, i32) -> i64", "must be (i32) -> i32"},
		{"wrong_import", "sluice.log with the signature (i32) -> i32", "must be (i32, i32, i32) -> ()"},
		{"start_only", "_start", "-buildmode=c-shared"},
		{"ungranted", "sluice.random, which is not granted", "capabilities: [random]"},
		{"unknown_module", "redis.get", "sluice and wasi_snapshot_preview1"},
		{"unknown_env", "env.strlen", "link the library"},
		{"import_memory", "memory", ""},
		{"mistyped", "exports on_mesage", "did you mean on_message?"},
		{"camel", "exports onMessage", "did you mean on_message?"},
		{"hook_global", "on_message is not a function", "as a function"},
		{"no_hook", "no hook", "at least one of on_connect"},
		{"no_memory", "no memory", ""},
		{"no_buffer", "does not export sluice_buffer", "sluice_buffer: (i32) -> i32"},
		{"buffer_zero", "no room", "sluice_buffer"},
		{"buffer_misaligned", "not a multiple of 8", "8-aligned"},
		{"buffer_outside", "outside the memory", "inside the memory"},
		{"buffer_negative", "outside the memory", "inside the memory"},
		{"absurd_memory", "65536 pages", "lower"},
		{"absurd_table", "4294967295", "fewer"},
		{"refused", "refuses its configuration: max_bytes must be positive", "config"},
		{"trap_configure", "trap in on_configure: unreachable", ""},
		{"loop_start", "did not get ready within 1s", "start function"},
		{"loop_initialize", "did not get ready within 1s", "_initialize"},
		{"loop_configure", "did not get ready within 1s", "on_configure"},
	} {
		t.Run(filepath.Base(row.file), func(t *testing.T) {
			h := newTestHost(t, HostOptions{})
			spec := guest(row.file)
			if filepath.IsAbs(row.file) {
				spec.Plugin = row.file
			}
			spec.Name = "policy"
			var err error
			within(t, "loading "+row.file, func() {
				_, err = h.Build(context.Background(), []Spec{guest("noop"), spec}, nil)
			})
			var load *LoadError
			if !errors.As(err, &load) {
				t.Fatalf("Build = %v, want a LoadError", err)
			}
			if load.Filter != "policy" || load.File != spec.file() || load.Cause == "" {
				t.Errorf("error %#v does not name filter, file and cause", load)
			}
			if !strings.Contains(load.Cause, row.cause) || !strings.Contains(load.Remedy, row.remedy) {
				t.Errorf("cause %q, remedy %q; want %q, %q", load.Cause, load.Remedy, row.cause, row.remedy)
			}
			if s := h.Stats(); s.Filters != 0 || s.Modules != 0 {
				t.Errorf("a refused chain left %d filters and %d modules behind", s.Filters, s.Modules)
			}
			t.Log(err)
		})
	}
}
