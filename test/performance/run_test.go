package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const patience = time.Minute

// runsChild has the test's own program start a process and wait, as a stand-in
// for this command, so that it can be killed.
const runsChild = "PERFORMANCE_TEST_RUNS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(runsChild) != "" {
		p, err := startProcess("child", os.DevNull, nil, "sleep", "600")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.pid())
		<-p.done
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built != nil {
			built.close()
		}
		os.Exit(code)
	}))
}

func alive(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAProcessEndsWithTheCommandEvenIfThatIsKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children with their parent")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), runsChild+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, notNumber := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || notNumber != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if !alive(pid) {
		t.Fatal("the child does not run")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	waitUntil(t, "the child ends", func() bool { return !alive(pid) })
}

func TestAProcessThatDoesNotGetReadyIsQuoted(t *testing.T) {
	addr, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess("thing", filepath.Join(t.TempDir(), "log"), []string{"WHY=no luck"}, "sh", "-c", `echo "$WHY today" >&2; exit 3`)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if err := p.ready(t.Context(), addr); err == nil || !strings.Contains(err.Error(), "thing has ended: no luck today") {
		t.Errorf("%v", err)
	}
}

func TestAProcessThatIgnoresTheSignalIsKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	p, err := startProcess("deaf", file, nil, "sh", "-c", `trap "" TERM; echo ready; while :; do sleep 1; done`)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it ignores signals", func() bool { text, _ := os.ReadFile(file); return len(text) > 0 })
	p.stop()
	if alive(p.pid()) {
		t.Error("it is still there")
	}
}

// built is a site for all tests.
var built *site

// here is a site with everything built, once. Its tests do not run in parallel.
func here(t *testing.T) *site {
	t.Helper()
	if built == nil {
		s, err := newSite(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		built = s
	}
	return built
}

func TestTheRunnerMeasuresSluiceAndEveryFloorAndEndsThem(t *testing.T) {
	s := here(t)
	subjects := append(floors("plain", "prepared", "inline", "shard"),
		subject{Name: withPolicy, Settings: settings{Filters: fullPolicy()}},
		subject{Name: "rooms held", Rooms: 1500, Settings: settings{Limits: object{"rooms_per_connection": roomsEach}}},
	)
	if s.redis != "" {
		subjects = append(subjects, subject{Name: "Redis", Settings: settings{Filters: fullPolicy()}, Redis: true})
	}
	l := &load{Scenario: "rooms", Connections: 20, Rooms: 5, Rate: 200, Duration: 300 * time.Millisecond, Warmup: 50 * time.Millisecond}
	for i := range subjects {
		sub := &subjects[i]
		t.Run(sub.Name, func(t *testing.T) {
			r, _, err := s.drive(t.Context(), sub, l)
			if err != nil {
				t.Fatal(err)
			}
			if r.Delivered == 0 || r.Delivered != 4*r.Published || r.Label != sub.String() {
				t.Errorf("%q: %d published, %d delivered", r.Label, r.Published, r.Delivered)
			}
			want := 1
			if sub.Redis {
				want = 3
			}
			if len(r.Processes) != want || !(rss.Of(r) > 1) {
				t.Errorf("measured %+v, want %d processes", r.Processes, want)
			}
		})
	}
	waitUntil(t, "all servers end", func() bool { return len(startedFrom(t, s.dir)) == 0 })
}

// startedFrom are the processes that have a folder in their command line.
func startedFrom(t *testing.T, dir string) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), dir) {
			pids = append(pids, file)
		}
	}
	return pids
}

func TestAnInterruptedRunEndsItsProcesses(t *testing.T) {
	s := here(t)
	ctx, cancel := context.WithCancel(t.Context())
	sub := &subject{Name: withPolicy, Settings: settings{Filters: fullPolicy()}}
	done := make(chan error, 1)
	go func() {
		_, _, err := s.drive(ctx, sub, &load{Scenario: "fanout", Connections: 5, Rate: 10, Duration: time.Hour})
		done <- err
	}()
	waitUntil(t, "node and load run", func() bool { return len(startedFrom(t, s.dir)) == 2 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left := startedFrom(t, s.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAnotherFloorIsUsedIfItIsAProgram(t *testing.T) {
	if _, err := newSite(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "is no program") {
		t.Errorf("%v", err)
	}
}

func TestEveryConfigurationIsAcceptedBySluice(t *testing.T) {
	s := here(t)
	seen := map[string]bool{}
	for _, sc := range append(all(standardPlan), scenarios(quickPlan)...) {
		for _, sub := range sc.Subjects {
			if sub.Floor != "" {
				continue
			}
			file := filepath.Join(s.dir, "check.yaml")
			if err := writeConfig(file, sub.Settings.document("127.0.0.1:0", s.cache, nil)); err != nil {
				t.Fatal(err)
			}
			text, _ := os.ReadFile(file)
			if seen[string(text)] {
				continue
			}
			seen[string(text)] = true
			if out, err := exec.Command(s.sluice, "check", "--config", file).CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v: %s", sc.Key, sub.Name, err, out)
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("only %d configurations were checked", len(seen))
	}
}

func TestScenariosAreConsistent(t *testing.T) {
	keys := map[string]bool{}
	for _, s := range all(standardPlan) {
		if keys[s.Key] {
			t.Errorf("%s stands twice", s.Key)
		}
		keys[s.Key] = true
		for _, name := range s.Against {
			if s.index(name) < 1 {
				t.Errorf("%s is held against %q, which does not run", s.Key, name)
			}
		}
		for _, a := range s.Aims {
			found := false
			for _, m := range s.Metrics {
				found = found || m.Name == a.Metric.Name
			}
			if !found || a.Kind != asValue && a.Kind != s.Kind {
				t.Errorf("%s: the aim for %s is never looked at", s.Key, a.Metric.Name)
			}
		}
		if s.Sweep != nil && len(s.Sweep.Units) > 0 && len(s.Sweep.Amounts) != len(s.Subjects) {
			t.Errorf("%s: %d amounts of %d rows", s.Key, len(s.Sweep.Amounts), len(s.Subjects))
		}
		for i := range s.Subjects {
			if l := s.load(i); l.Scenario == "" || l.Connections == 0 {
				t.Errorf("%s: %s has no load", s.Key, s.Subjects[i].Name)
			}
		}
	}
}

func TestNoMoreConnectionsThanDescriptorsAllow(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Skip(err)
	}
	if n := mostConnections(20000); n > 20000 || n > 1000 && uint64(n)+ownDescriptors > uint64(limit.Max) {
		t.Errorf("%d connections of %d descriptors", n, limit.Max)
	}
}

func TestAFreeAddressCanBeListenedOn(t *testing.T) {
	addr, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}
