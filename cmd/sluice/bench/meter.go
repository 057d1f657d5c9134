package bench

import (
	"context"
	"fmt"
	"os"
	"time"
)

// meter measures processes, this one, and the machine.
type meter struct{ processes []Process }

func newMeter(processes []Process) *meter { return &meter{processes: processes} }

// sample is what has been used until now.
type sample struct {
	at      time.Time
	cpu     []float64 // seconds of each process
	rss     []int64   // bytes of each
	own     float64
	machine float64
}

func (m *meter) sample() sample {
	s := sample{at: time.Now(), own: ownCPU()}
	for _, p := range m.processes {
		cpu, _ := processCPU(p.PID) // 0 of one that has ended
		s.cpu, s.rss = append(s.cpu, cpu), append(s.rss, processRSS(p.PID))
	}
	s.machine, _ = machineCPU()
	return s
}

// used is what a process used since the sample a, in seconds. It is 0 of one that
// has ended meanwhile, which the run shows in other ways.
func (s sample) used(a sample, process int) float64 { return max(s.cpu[process]-a.cpu[process], 0) }

// others is what everything else on the machine used between two samples, in
// percent of a processor; 0 where that is not known.
func (m *meter) others(a, b sample) float64 {
	if b.machine == 0 {
		return 0
	}
	t := b.machine - a.machine - (b.own - a.own)
	for i, p := range m.processes {
		if p.PID != os.Getpid() {
			t -= b.used(a, i)
		}
	}
	return percent(t, a, b)
}

func percent(seconds float64, a, b sample) float64 {
	return round(seconds/max(b.at.Sub(a.at).Seconds(), 1e-9)*100, 1)
}

// CheckProcesses says which of the processes cannot be measured.
func CheckProcesses(processes []Process) error {
	names := make(map[string]bool)
	for _, p := range processes {
		if names[p.Name] {
			return fmt.Errorf("--pid: %s is named twice", p.Name)
		}
		names[p.Name] = true
		if _, err := processCPU(p.PID); err != nil {
			return fmt.Errorf("--pid %s=%d cannot be measured: %w", p.Name, p.PID, err)
		}
	}
	return nil
}

// FindProcesses finds the processes that listen at the URLs, if they are on
// this machine and this user may look: srv, and srv2 if another one publishes. Of
// several that share a port, as nginx's workers do, none is the one that serves:
// note says so.
func FindProcesses(ctx context.Context, o *Options) (found []Process, note string) {
	for _, u := range []string{o.URL, o.PublishURL} {
		t, err := resolveTarget(ctx, "url", u, true)
		if u == "" || err != nil || !t.addr.Addr().IsLoopback() {
			continue
		}
		pids := listeners(t.addr)
		switch {
		case len(pids) == 0 || pids[0] == os.Getpid():
		case len(pids) > 1:
			note = fmt.Sprintf("several processes listen at %s, and none is measured: name some with --pid, as in --pid srv=%d", u, pids[0])
		case len(found) == 0:
			found = append(found, Process{"srv", pids[0]})
		case found[0].PID != pids[0]:
			found = append(found, Process{"srv2", pids[0]})
		}
	}
	return found, note
}
