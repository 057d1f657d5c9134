package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// bytesNoise is by how much B/op may differ without being told: buffers that grow now and
// then are spread over more or fewer calls.
const bytesNoise = 16

// report prints how now differs from was.
func report(ctx context.Context, o options, was, now results, out io.Writer) error {
	if err := compareTimes(ctx, was, now, out); err != nil {
		return err
	}
	before, here := medians(was), medians(now)
	fmt.Fprintf(out, "\nThis machine, against the baseline's: %.2f times the time to compute, %.2f times that of a message over loopback. The times above are those of the baseline's machine.\n",
		here[byCPU]/before[byCPU], here[bySyscalls]/before[bySyscalls])
	more := compareAllocations(was, now, out)
	if more && o.strict {
		return errMoreAllocations
	}
	return nil
}

// compareTimes has benchstat print its table of times and ratios.
func compareTimes(ctx context.Context, was, now results, out io.Writer) error {
	dir, err := os.MkdirTemp("", "baseline")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, r := range map[string]results{"baseline": was, "now": now} {
		if err := os.WriteFile(filepath.Join(dir, name), r.format(), 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "go", "run", benchstat, "-filter", ".unit:(ns/op OR geomean-ratio)",
		"baseline="+filepath.Join(dir, "baseline"), "now="+filepath.Join(dir, "now"))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("benchstat: %w", err)
	}
	return nil
}

// compareAllocations prints the benchmarks whose allocations differ, and those that only
// one side has. more says that some allocate more often than before.
func compareAllocations(was, now results, out io.Writer) (more bool) {
	same := 0
	for _, name := range names(was, now) {
		a, b := was.values(name, "allocs/op"), now.values(name, "allocs/op")
		if len(a) == 0 || len(b) == 0 {
			if !was.have(name) || !now.have(name) {
				fmt.Fprintf(out, "%s: only in %s\n", name, map[bool]string{true: "this tree", false: "the baseline"}[!was.have(name)])
			}
			continue
		}
		calls, callsNow := slices.Min(a), slices.Min(b)
		size, sizeNow := slices.Min(was.values(name, "B/op")), slices.Min(now.values(name, "B/op"))
		if calls == callsNow && math.Abs(size-sizeNow) <= max(bytesNoise, size/50) {
			same++
			continue
		}
		more = more || callsNow > calls
		fmt.Fprintf(out, "%s: %g allocations and %g bytes a call, %g and %g in the baseline\n", name, callsNow, sizeNow, calls, size)
	}
	fmt.Fprintf(out, "%d benchmarks allocate as in the baseline.\n", same)
	return more
}

func (all results) have(name string) bool {
	return slices.ContainsFunc(all, func(r result) bool { return r.name == name })
}

// names are all names but those of calibrations, each once, in order.
func names(all ...results) (out []string) {
	for _, rs := range all {
		for i := range rs {
			if n := rs[i].name; n != byCPU && n != bySyscalls && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}
