// Command baseline runs a chosen set of the tree's Go benchmarks and holds them against
// those stored in baseline.txt. scripts/bench-check calls it.
//
// Machines differ, and one machine differs from itself minutes later, so no time is
// compared as it is. The benchmarks run in rounds. Each round begins with a calibration
// (calibrate_test.go): a loop that only computes, and a message there and back over
// loopback. A benchmark's time is divided by the calibration of its kind in its own round,
// and multiplied by that of the stored baseline: what is printed is about what this tree
// would take on the baseline's machine, in its units. Allocations need no such thing.
//
//	scripts/bench-check            8 rounds, about two minutes
//	scripts/bench-check --short    6 short rounds, under a minute
//	scripts/bench-check --update   store what was measured as the new baseline
//	scripts/bench-check --strict   exit with 1 if a call allocates more often than before
//
// It informs. It fails only if it cannot run, or, with --strict, on allocations, which noise
// does not add to: the least of all rounds counts.
//
// The flow: the test binaries of all packages are built (run.go), the rounds run, their
// lines are scaled (scale.go), benchstat compares the times and report.go the allocations.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

// benchstat is the tool that compares, at the version that the baseline is read with.
const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

// options are the flags.
type options struct {
	short, update, strict bool

	file string // of the baseline
}

func main() {
	o := options{file: filepath.Join("test", "baseline", "baseline.txt")}
	flag.BoolVar(&o.short, "short", false, "fewer and shorter rounds")
	flag.BoolVar(&o.update, "update", false, "store what was measured as the new baseline")
	flag.BoolVar(&o.strict, "strict", false, "exit with 1 if a call allocates more often than in the baseline")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := check(ctx, o, &prefixed{w: os.Stdout})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-check:", err)
		os.Exit(1)
	}
}

var errMoreAllocations = errors.New("there are more allocations than in the baseline")

// check measures, and compares or stores.
func check(ctx context.Context, o options, out io.Writer) error {
	if o.short && o.update {
		return errors.New("a baseline is not taken from short rounds; leave out --short")
	}
	var was results
	if !o.update {
		text, err := os.ReadFile(o.file)
		if err != nil {
			return fmt.Errorf("%w; make a baseline with scripts/bench-check --update", err)
		}
		if was, err = parse(text); err != nil {
			return fmt.Errorf("%s: %w", o.file, err)
		}
	}
	rounds, each := 8, "200ms"
	if o.short {
		rounds, each = 6, "20ms"
	}
	measured, err := measure(ctx, chosen, rounds, each, out)
	if err != nil {
		return err
	}
	if o.update {
		scaled, err := scale(measured, medians(measured))
		if err != nil {
			return err
		}
		return os.WriteFile(o.file, scaled.format(), 0o644)
	}
	now, err := scale(measured, medians(was))
	if err != nil {
		return err
	}
	return report(ctx, o, was, now, out)
}

// prefixed marks each line, so that in a longer log none is taken for somebody else's.
type prefixed struct {
	w    io.Writer
	line bytes.Buffer // that has not ended
}

func (p *prefixed) Write(b []byte) (int, error) {
	for _, c := range b {
		p.line.WriteByte(c)
		if c != '\n' {
			continue
		}
		if _, err := fmt.Fprintf(p.w, "bench | %s", p.line.Bytes()); err != nil {
			return 0, err
		}
		p.line.Reset()
	}
	return len(b), nil
}
