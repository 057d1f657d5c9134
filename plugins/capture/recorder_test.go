package capture

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// noop is a chain of one filter that does nothing.
func noop(n *node) *plugins.Chain {
	return n.chain(plugins.Spec{Name: "noop", Plugin: testdata + "noop.wasm"})
}

// noise does not compress.
func noise(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return `"` + string(b) + `"`
}

func await(t testing.TB, c *Capture) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(time.Minute):
		t.Fatal("the capture does not end")
	}
}

func TestACaptureTellsOfTheEventAndOfEachFilter(t *testing.T) {
	o := options(t)
	o.Node = "1.2.3"
	c := start(t, o)
	n := newNode(t, c, plugins.HostOptions{})
	chain := n.chain(
		plugins.Spec{Name: "hello", Plugin: hello, Capabilities: []string{"log"}, Config: []byte(`{"word":"spam"}`)},
		plugins.Spec{Name: "noop", Plugin: testdata + "noop.wasm"},
		plugins.Spec{Name: "elsewhere", Plugin: testdata + "trap.wasm", Rooms: []string{"other"}},
	)
	judge(t, chain, message(`{"text":"<b> & more"}`))
	judge(t, chain, message(`"spam"`))
	judge(t, chain, &router.Event{Hook: router.HookLeave, Room: "chat:lobby", States: new([]router.State)}) // nobody is asked
	chain.Retire()
	c.Close()
	all, r := events(t, o.File)
	if r.Header.Version != Version || r.Header.Node != "1.2.3" || r.End == nil || r.End.Why != EndStopped || r.End.Events != 2 || r.Cut {
		t.Errorf("%+v %+v", r.Header, r.End)
	}
	if len(all) != 2 {
		t.Fatalf("%d events", len(all))
	}
	e := all[0]
	if string(e.Payload) != `{"text":"<b> & more"}` || e.Conn != 7 || e.Room != "chat:lobby" || e.User != "ada" || e.Remote != "192.0.2.7" || e.Time != when || e.Hook != "message" {
		t.Errorf("%+v", *e)
	}
	first, second := &e.Asked[0], &e.Asked[1]
	if first.Payload != nil || string(first.Answer.Payload) != `{"n":1,"content":{"text":"<b> & more"}}` || string(first.Answer.State) != "\x01\x00\x00\x00" || first.Nanos <= 0 {
		t.Errorf("%+v", *first)
	}
	if string(second.Payload) != string(first.Answer.Payload) || second.Answer.Payload != nil {
		t.Errorf("the second filter sees %+v", *second)
	}
	if s := r.Source(first.Filter); s.Name != "hello" || string(s.Config) != `{"word":"spam"}` || len(s.SHA256) != 64 {
		t.Errorf("%+v", *s)
	}
	e = all[1]
	if len(e.Asked) != 1 || e.Verdict != (Verdict{Action: "deny", Code: 422, Filter: "hello", Reason: "that word is not welcome here"}) {
		t.Errorf("%+v", *e)
	}
	info, err := os.Stat(o.File)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestACaptureEndsAtItsSizeAndIsNeverLonger(t *testing.T) {
	o := options(t)
	o.MaxSize = 200 << 10
	log := &safeBuffer{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	c := start(t, o)
	chain := noop(newNode(t, c, plugins.HostOptions{}))
	for ended := false; !ended; {
		judge(t, chain, message(noise(1+rand.IntN(60_000))))
		select {
		case <-c.Done():
			ended = true
		default:
		}
	}
	chain.Retire()
	info, err := os.Stat(o.File)
	if err != nil {
		t.Fatal(err)
	}
	all, r := events(t, o.File)
	if info.Size() > o.MaxSize || info.Size() < o.MaxSize/2 || r.End == nil || r.End.Why != EndSize || len(all) == 0 || r.Cut {
		t.Errorf("%d bytes, %d events, end %+v", info.Size(), len(all), r.End)
	}
	if got := strings.Count(log.String(), "a capture has ended"); got != 1 || c.Stats().Ended != EndSize {
		t.Errorf("%d lines:\n%s", got, log.String())
	}
	if c.Wants(message(`1`)) {
		t.Error("a capture that has ended wants more")
	}
}

func TestACaptureEndsAtItsTime(t *testing.T) {
	o := options(t)
	o.For = 20 * time.Millisecond
	c := start(t, o)
	await(t, c)
	if _, r := events(t, o.File); r.End == nil || r.End.Why != EndTime {
		t.Errorf("%+v", r.End)
	}
}

// full lets a capture run into the end of its disk.
func full(t *testing.T, c *Capture, log *safeBuffer) {
	t.Helper()
	chain := noop(newNode(t, c, plugins.HostOptions{}))
	for ended := false; !ended; {
		if v := judge(t, chain, message(noise(30_000))); v.Action != router.Continue || v.Failure != "" {
			t.Fatalf("%+v", *v)
		}
		select {
		case <-c.Done():
			ended = true
		case <-time.After(time.Microsecond):
		}
	}
	for range 100 {
		judge(t, chain, message(`"the node goes on"`))
	}
	chain.Retire()
	c.Close()
	if got := strings.Count(log.String(), "a capture has ended"); got != 1 || !strings.Contains(log.String(), "no space left on device") || c.Stats().Ended != EndError {
		t.Errorf("%d lines:\n%s", got, log.String())
	}
}

func TestAFullDiskEndsTheCaptureAndHarmsNothing(t *testing.T) {
	o := options(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system cannot be made here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	log := &safeBuffer{}
	o.File, o.Log = filepath.Join(dir, "node.capture"), slog.New(slog.NewTextHandler(log, nil))
	c := start(t, o)
	full(t, c, log)
	all, r := events(t, o.File)
	if len(all) == 0 || !r.Cut {
		t.Errorf("%d events, cut: %v", len(all), r.Cut)
	}
	report := replayed(t, o.File, ReplayOptions{Old: testdata + "noop.wasm", New: testdata + "noop.wasm"})
	if report.Questions != len(all) || report.Differ != 0 || !report.Cut {
		t.Errorf("%+v", *report)
	}
}

func TestADeviceThatTakesNothingEndsTheCaptureAndHarmsNothing(t *testing.T) {
	o := options(t)
	log := &safeBuffer{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	c, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	c.file.f.Close()
	if c.file.f, err = os.OpenFile("/dev/full", os.O_WRONLY, 0); err != nil {
		go c.run()
		c.Close()
		t.Skip(err)
	}
	go c.run()
	full(t, c, log)
}

func TestACaptureThatHasEndedEarlyKeepsNothingInItsQueue(t *testing.T) {
	c, err := prepare(options(t))
	if err != nil {
		t.Fatal(err)
	}
	c.file.max = 0 // the first event does not fit any more
	for range 100 {
		r := &plugins.Record{Bytes: 1000, Asked: []plugins.Asked{{By: &plugins.Source{Filter: "f"}}}}
		r.Event.Hook = router.HookMessage
		c.Judged(r)
	}
	go c.run()
	<-c.Done()
	if len(c.queue) != 0 || c.queued.Load() != 0 || c.Stats().Ended != EndSize {
		t.Errorf("%d events of %d bytes are kept; it ended by %s", len(c.queue), c.queued.Load(), c.Stats().Ended)
	}
}

func TestTheQueueIsBoundedAndWhatItDropsIsCounted(t *testing.T) {
	o := options(t)
	c, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	record := func(bytes int) *plugins.Record {
		r := &plugins.Record{Bytes: bytes, Asked: []plugins.Asked{{By: &plugins.Source{Filter: "f"}}}}
		r.Event.Hook = router.HookMessage
		return r
	}
	c.Judged(record(maxQueueBytes - 10*maxQueue)) // nobody takes anything out
	for range maxQueue + 10 {
		c.Judged(record(10))
	}
	for range 5 {
		c.Judged(record(maxQueueBytes))
	}
	if s := c.Stats(); s.Overflowed != 16 || s.Recorded != 0 {
		t.Errorf("%+v", s)
	}
	go c.run()
	c.Close()
	all, r := events(t, o.File)
	if len(all) != maxQueue || r.End.Dropped != 16 || all[0].Dropped != 16 || all[1].Dropped != 0 {
		t.Errorf("%d events, end %+v, first %d", len(all), r.End, all[0].Dropped)
	}
	if c.queued.Load() != 0 {
		t.Errorf("%d bytes are still counted as queued", c.queued.Load())
	}
}

func TestASampleTakesWholeConnections(t *testing.T) {
	o := options(t)
	o.Sample = 0.2
	c := start(t, o)
	taken := 0
	for conn := range uint64(10_000) {
		e := &router.Event{Conn: conn + 1, Seq: 1}
		first := c.Wants(e)
		for e.Seq = 2; e.Seq < 5; e.Seq++ {
			if c.Wants(e) != first {
				t.Fatalf("connection %d is taken in part", conn)
			}
		}
		if first {
			taken++
		}
	}
	if taken < 1800 || taken > 2200 {
		t.Errorf("%d of 10000 connections", taken)
	}
}

func TestEventsOfManyGoroutinesAreRecordedWhileTheCaptureEnds(t *testing.T) {
	o := options(t)
	c := start(t, o)
	chain := noop(newNode(t, c, plugins.HostOptions{}))
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			e := message(fmt.Sprint(i))
			e.Conn, e.States = uint64(i+1), new([]router.State)
			for e.Seq = 1; e.Seq <= 500; e.Seq++ {
				if i == 0 && e.Seq == 250 {
					go c.Close()
				}
				if err := chain.Judge(e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	c.Close()
	chain.Retire()
	all, _ := events(t, o.File)
	last := make(map[uint64]uint64)
	for _, e := range all {
		if e.Dropped == 0 && e.Seq <= last[e.Conn] {
			t.Errorf("event %d of connection %d comes after %d", e.Seq, e.Conn, last[e.Conn])
		}
		last[e.Conn] = e.Seq
		if string(e.Payload) != fmt.Sprint(e.Conn-1) {
			t.Errorf("connection %d said %s", e.Conn, e.Payload)
		}
	}
	if s := c.Stats(); uint64(len(all)) != s.Recorded {
		t.Errorf("%d events, %+v", len(all), s)
	}
}

func TestTheCaptureBeforeIsKeptOnce(t *testing.T) {
	o := options(t)
	for _, text := range []string{`"first"`, `"second"`, `"third"`} {
		start(t, o).Close() // of a node that did not serve
		c := start(t, o)
		chain := noop(newNode(t, c, plugins.HostOptions{}))
		judge(t, chain, message(text))
		chain.Retire()
		c.Close()
	}
	for path, want := range map[string]string{o.File: `"third"`, o.File + ".1": `"second"`} {
		if all, _ := events(t, path); len(all) != 1 || string(all[0].Payload) != want {
			t.Errorf("%s: %+v", path, all)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(o.File)); len(entries) != 2 {
		t.Errorf("%v", entries)
	}
}

func TestACaptureThatCannotBeWrittenDoesNotBegin(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"the folder of": func(o *Options) { o.File = filepath.Join(filepath.Dir(o.File), "absent", "x") },
		"is not a file": func(o *Options) { o.File = filepath.Dir(o.File) },
		"is no capture": func(o *Options) {
			if err := os.WriteFile(o.File, []byte("filters: []\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"is below 65536":               func(o *Options) { o.MaxSize = 1 },
		"is none":                      func(o *Options) { o.For = 0 },
		"is not above 0":               func(o *Options) { o.Sample = 0 },
		"redact[1]: \"/a~2\" is not a": func(o *Options) { o.Redact = []string{"email", "/a~2"} },
	} {
		o := options(t)
		change(&o)
		if c, err := Start(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
			if err == nil {
				c.Close()
			}
		}
	}
}

const childFile = "SLUICE_TEST_CAPTURE"

// recordForEver is a process that is killed while it records.
func recordForEver(path string) {
	c, err := Start(Options{File: path, For: time.Hour, MaxSize: 1 << 30, Sample: 1, Log: quiet()})
	if err != nil {
		panic(err)
	}
	h, err := plugins.NewHost(plugins.HostOptions{Recorder: c, Log: quiet()})
	if err != nil {
		panic(err)
	}
	chain, err := h.Build(context.Background(), []plugins.Spec{{Name: "noop", Plugin: testdata + "noop.wasm"}}, nil)
	if err != nil {
		panic(err)
	}
	e := message(`"again"`)
	e.States = new([]router.State)
	for e.Seq = 1; ; e.Seq++ {
		if err := chain.Judge(e); err != nil {
			panic(err)
		}
		if e.Seq == 500 {
			for c.Stats().Recorded < 500 {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(2 * flushEvery)
			fmt.Println("ready")
		}
		if e.Seq > 500 {
			time.Sleep(time.Millisecond) // slowly: what is not flushed by time is not yet at all
		}
	}
}

func TestAKilledNodeLeavesWhatCanBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.capture")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	// The child says so once what it has recorded has been flushed twice.
	lines := bufio.NewScanner(out)
	ready := lines.Scan()
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := child.Wait(); !ready || err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child: ready %v, %v", ready, err)
	}
	all, r := events(t, path)
	if len(all) < 500 || !r.Cut || r.End != nil {
		t.Fatalf("%d events, cut: %v, end %+v", len(all), r.Cut, r.End)
	}
	for i, e := range all {
		if e.Seq != uint64(i+1) && e.Dropped == 0 {
			t.Fatalf("event %d has the number %d", i, e.Seq)
		}
	}
	report := replayed(t, path, ReplayOptions{Old: testdata + "noop.wasm", New: testdata + "noop.wasm"})
	if report.Questions != len(all) || report.Reproduced != len(all) || !report.Cut {
		t.Errorf("%+v", *report)
	}
}
