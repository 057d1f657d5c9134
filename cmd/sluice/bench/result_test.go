package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func someResult(p99 float64, lost int64) *Result {
	return &Result{
		Kind: "run", Repeat: 1, Scenario: "fanout", URL: "ws://127.0.0.1:8080/ws", Connections: 1000, Rooms: 1, Rate: 100, Size: 128,
		Seconds: 10, Published: 1200, PublishesPerSecond: 100, Expected: 1200000, Delivered: 1200000 - lost, DeliveriesPerSecond: 100000, Lost: lost,
		Refused: map[string]int64{}, Closed: map[string]int64{"4100": lost}, SlowClosed: map[string]int64{}, Gaps: map[string]int64{}, Reasons: map[string]string{},
		Latency: LatencyResult{P50: 5500, P99: p99}, Connect: ConnectResult{Joined: 1000, Seconds: 0.2, PerSecond: 5000},
		Processes: map[string]ProcessResult{"srv": {PID: 7, CPUSeconds: 9, CPUPercent: 90, PerDelivery: 9, PerPublish: 9000, RSS: 40 << 20}},
		Client:    ClientResult{CPUSeconds: 5, CPUPercent: 50}, order: []string{"srv"}, cores: 2,
	}
}

func TestTheMedianOfEachFigureIsTakenAndFaultsAreSummed(t *testing.T) {
	runs := []*Result{someResult(30_000, 0), someResult(10_000, 3), someResult(20_000, 1)}
	for i, r := range runs {
		r.Repeat = i + 1
	}
	runs[1].Closed["eof"] = 1
	m, err := Median(runs)
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != "median" || m.Repeat != 3 || m.Latency.P99 != 20_000 || m.Latency.P50 != 5500 || m.Processes["srv"].PerDelivery != 9 || m.Connections != 1000 {
		t.Errorf("got %+v", m)
	}
	if m.Lost != 4 || !maps.Equal(m.Closed, map[string]int64{"4100": 4, "eof": 1}) || !m.Failed() {
		t.Errorf("of lost 0, 3 and 1 it makes %d, of closed %v", m.Lost, m.Closed)
	}
	two, err := Median(runs[:2])
	if err != nil || two.Latency.P99 != 20_000 || two.Delivered != 1199999 && two.Delivered != 1199998 {
		t.Errorf("of two: %v, %+v", err, two)
	}
	var text bytes.Buffer
	if err := WriteText(&text, runs, m); err != nil || !strings.Contains(text.String(), "p99 20 ms (10 ms..30 ms)") || !strings.Contains(text.String(), "median of 3 runs") {
		t.Errorf("%v\n%s", err, &text)
	}
}

func TestRunsThatWereNotMeasuredToTheirEndAreNotInTheMedian(t *testing.T) {
	interrupted, refused := someResult(0, 2), someResult(0, 0)
	interrupted.Interrupted, interrupted.Seconds, interrupted.Latency = true, 0.5, LatencyResult{P99: 100}
	refused.Seconds, refused.Latency, refused.Refused = 0, LatencyResult{}, map[string]int64{"rate_limited": 10}
	runs := []*Result{someResult(30_000, 1), refused, someResult(20_000, 0), interrupted}
	m, err := Median(runs)
	if err != nil || m.Latency.P99 != 25_000 || m.Repeat != 2 {
		t.Errorf("of 30,000 and 20,000 µs the median is %v, of %d runs, %v", m.Latency.P99, m.Repeat, err)
	}
	if m.Lost != 3 || m.Refused["rate_limited"] != 10 || !m.Interrupted {
		t.Errorf("what went wrong in the others is not told: %+v", m)
	}
	var text bytes.Buffer
	if err := WriteText(&text, runs, m); err != nil || !strings.Contains(text.String(), "p99 25 ms (20 ms..30 ms)") || !strings.Contains(text.String(), "median of 2 runs") {
		t.Errorf("%v\n%s", err, &text)
	}
	alone, err := Median(runs[3:])
	if err != nil || alone.Latency.P99 != 100 {
		t.Errorf("one that was interrupted is all there is, and has %v µs, %v", alone.Latency.P99, err)
	}
}

// The names are read by programs, and do not change.
func TestTheNamesOfTheJSONStay(t *testing.T) {
	result := someResult(1, 0)
	clear(result.Closed) // its names are no fields
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	// What test/performance, which cannot import this package, reads in its own tests.
	recorded, err := os.ReadFile("../../../test/performance/testdata/report.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.SplitAfterN(recorded, []byte("\n"), 2)[0]
	if want, got := names(t, first), strings.ReplaceAll(names(t, text), "processes.srv", "processes.server"); got != want {
		t.Errorf("the names are\n%s, and those of the recorded report\n%s: record it anew", got, want)
	}
	for path, want := range map[string]string{
		"": "client closed compressed connect connections delivered deliveries_per_second disordered duplicated expected gaps interrupted kind label late_us " +
			"latency_us lost misdelivered other_cpu_percent pings_per_second processes published publishes_per_second rate reasons refused repeat rooms scenario seconds " +
			"size slow slow_closed url version window",
		"latency_us": "max mean p50 p90 p99 p999", "late_us": "p99", "connect": "joined p50_us p99_us per_second seconds", "client": "cpu_percent cpu_seconds",
		"processes.srv": "cpu_percent cpu_seconds cpu_us_per_connection cpu_us_per_delivery cpu_us_per_publish idle_cpu_us_per_connection_second pid rss_bytes rss_bytes_per_connection",
	} {
		at := tree
		for _, name := range strings.Split(path, ".") {
			if name != "" {
				at = at[name].(map[string]any)
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(at)), " "); got != want {
			t.Errorf("%q has\n%s, not\n%s", path, got, want)
		}
	}
}

// names are the paths of all values of a JSON object.
func names(t *testing.T, text []byte) string {
	t.Helper()
	var all []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		all = append(all, path)
		if tree, ok := v.(map[string]any); ok {
			for name, v := range tree {
				walk(path+"."+name, v)
			}
		}
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	walk("", tree)
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func TestTheTextSaysWhatLimitedTheRun(t *testing.T) {
	for want, change := range map[string]func(*Result){
		"the rate asked for, which was kept": func(*Result) {},
		"the rate asked for was not kept":    func(r *Result) { r.PublishesPerSecond = 70 },
		"this client":                        func(r *Result) { r.PublishesPerSecond, r.Client.CPUPercent = 70, 97 },
		"the machine":                        func(r *Result) { r.PublishesPerSecond, r.Other = 70, 50 },
		"--window, or the server":            func(r *Result) { r.Rate, r.Window = 0, 8 },
		"the server can do more":             func(r *Result) { r.Rate, r.Window, r.Client.CPUPercent = 0, 64, 99 },
	} {
		r := someResult(1000, 0)
		change(r)
		var text bytes.Buffer
		if err := WriteText(&text, []*Result{r}, r); err != nil || !strings.Contains(text.String(), "limited by  ") || !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{grouped(1234567), "1,234,567"}, {grouped(-1234), "-1,234"}, {grouped(999), "999"}, {grouped(-999), "-999"},
		{number(1234.6), "1,235"}, {number(12.34), "12.3"}, {number(1.2345), "1.23"}, {number(0), "0"},
		{inTime(12.3), "12.3 µs"}, {inTime(1234), "1.23 ms"}, {inTime(2.5e6), "2.5 s"},
		{inBytes(512), "512 B"}, {inBytes(12 << 10), "12 KiB"}, {inBytes(-3 << 20), "-3 MiB"}, {inBytes(2 << 30), "2 GiB"},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}

func TestForeignTextStaysOnALine(t *testing.T) {
	if got := clip("a\nb\x1b[31m\xff" + strings.Repeat("é", 300)); strings.ContainsAny(got, "\n\x1b") || len(got) > 210 || !strings.HasPrefix(got, "a b [31m?é") {
		t.Errorf("got %q", got)
	}
	var c causes
	for i := range 200 {
		c.add(strings.Repeat("x", i), "why")
	}
	if len(c.counts) > maxCauses+1 || c.total() != 200 {
		t.Errorf("%d causes of %d", len(c.counts), c.total())
	}
}

func TestThisProcessCanBeMeasuredAndFound(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are measured on Linux only")
	}
	m := newMeter([]Process{{"own", os.Getpid()}})
	a := m.sample()
	for ownCPU()-a.own < 0.1 { // seconds
		_ = strings.Repeat("x", 1<<16)
	}
	b := m.sample()
	if used := b.cpu[0] - a.cpu[0]; used < 0.05 || b.rss[0] < 1<<20 || b.machine-a.machine < 0.05 {
		t.Errorf("%v s of CPU, %d bytes, the machine %v s", used, b.rss[0], b.machine-a.machine)
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue // no IPv6
		}
		addr := netip.MustParseAddrPort(l.Addr().String())
		if pids := listeners(addr); !slices.Equal(pids, []int{os.Getpid()}) {
			t.Errorf("%s is listened on by %d, not %d", addr, pids, os.Getpid())
		}
		l.Close()
		if pids := listeners(addr); len(pids) > 0 {
			t.Errorf("%s is listened on by %d after all", addr, pids)
		}
	}
	if err := CheckProcesses([]Process{{"a", 1 << 30}}); err == nil || !strings.Contains(err.Error(), "cannot be measured") {
		t.Errorf("a process that is not there: %v", err)
	}
	if err := CheckProcesses([]Process{{"a", os.Getpid()}, {"a", os.Getpid()}}); err == nil {
		t.Error("a name may be used twice")
	}
}

func TestWhatAProcessThatHasEndedUsedIsNotCountedAgainstIt(t *testing.T) {
	m := newMeter([]Process{{"srv", 1 << 30}}) // it is not there
	before := sample{at: time.Now().Add(-time.Second), cpu: []float64{5}, rss: []int64{10 << 20}, own: 1, machine: 100}
	after := m.sample()
	after.own, after.machine = 1.25, 100.5
	r := &run{o: &Options{}, members: 2, ctx: t.Context()}
	res := r.newResult()
	res.connected(r, time.Second, m, before, before)
	res.loaded(10, 20, m, before, after)
	res.finish(r, m, before)
	if p := res.Processes["srv"]; p != (ProcessResult{PID: 1 << 30}) || res.Other < 20 || res.Other > 30 {
		t.Errorf("the process has %+v, everything else %v %%", p, res.Other)
	}
	if other := m.others(sample{cpu: []float64{0}}, sample{cpu: []float64{0}, own: 3}); other != 0 {
		t.Errorf("where the machine is not measured, everything else used %v %%", other)
	}
}

// As nginx's workers do, of which the first may do nothing.
func TestOfProcessesThatShareAPortNoneIsTakenForTheServer(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are found on Linux only")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for range 2 {
		worker := exec.Command("sleep", "600")
		worker.ExtraFiles = []*os.File{socket}
		if err := worker.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = worker.Process.Kill(); _ = worker.Wait() }()
		pids = append(pids, worker.Process.Pid)
	}
	o := &Options{URL: "ws://" + l.Addr().String() + "/"}
	l.Close()
	socket.Close()
	slices.Sort(pids)
	found, note := FindProcesses(t.Context(), o)
	if len(found) != 0 || !strings.Contains(note, fmt.Sprintf("--pid srv=%d", pids[0])) {
		t.Errorf("%d are listening, found are %v: %s", pids, found, note)
	}
}
