package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// measure runs the suites in rounds, each after a calibration.
func measure(ctx context.Context, suites []suite, rounds int, each string, out io.Writer) (results, error) {
	dir, err := os.MkdirTemp("", "baseline")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	built := make(map[string]string) // by package
	for _, s := range append([]suite{calibration}, suites...) {
		if built[s.pkg] != "" {
			continue
		}
		binary := filepath.Join(dir, strings.ReplaceAll(s.pkg, "/", "_")+".test")
		if text, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./"+s.pkg).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the benchmarks of %s: %w\n%s", s.pkg, err, text)
		}
		built[s.pkg] = binary
	}
	var all results
	for round := range rounds {
		fmt.Fprintf(out, "round %d of %d\n", round+1, rounds)
		for _, s := range append([]suite{calibration}, suites...) {
			got, err := runSuite(ctx, s, built[s.pkg], each)
			if err != nil {
				return nil, err
			}
			for i := range got {
				got[i].round = round
			}
			all = append(all, got...)
		}
	}
	return all, nil
}

// runSuite runs a suite once, in its package's folder, as go test does.
func runSuite(ctx context.Context, s suite, binary, each string) (results, error) {
	if s.ratios {
		each = "1x"
	}
	// The number of threads is part of a benchmark's name; the same everywhere.
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", s.bench, "-test.skip", "//parallel|///parallel", "-test.benchtime", each, "-test.benchmem", "-test.cpu", "2")
	cmd.Dir = filepath.FromSlash(s.pkg)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the benchmarks of %s: %w\n%s%s", s.pkg, err, text, &errs)
	}
	got, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("the benchmarks of %s: %w", s.pkg, err)
	}
	if len(got) == 0 {
		return nil, fmt.Errorf("%s has no benchmark %s", s.pkg, s.bench)
	}
	for i := range got {
		got[i].suite = s
		if s.title != "" {
			got[i].name = s.title + "/" + got[i].name
		}
		got[i].keep(s)
	}
	return got, nil
}
