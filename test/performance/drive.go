package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// load is what `sluice bench` is asked to do.
type load struct {
	Scenario    string // fanout, rooms, idle or connect
	Connections int
	Rooms       int     // 0: the scenario's default
	Rate        float64 // publishes a second; 0: Window
	Window      int
	Size        int // bytes of content; 0: the default
	Duration    time.Duration
	Warmup      time.Duration
}

// args are the command's arguments.
func (l *load) args() []string {
	a := []string{l.Scenario, "--connections", strconv.Itoa(l.Connections)}
	if l.Rooms > 0 {
		a = append(a, "--rooms", strconv.Itoa(l.Rooms))
	}
	if l.Duration > 0 {
		a = append(a, "--duration", l.Duration.String())
	}
	if l.Scenario != "fanout" && l.Scenario != "rooms" {
		return a
	}
	if l.Window > 0 {
		a = append(a, "--window", strconv.Itoa(l.Window))
	} else {
		a = append(a, "--rate", strconv.FormatFloat(l.Rate, 'f', -1, 64))
	}
	if l.Size > 0 {
		a = append(a, "--size", strconv.Itoa(l.Size)+"B")
	}
	return append(a, "--warmup", l.Warmup.String())
}

// exitFaulty is the command's exit code for a run whose report names faults.
const exitFaulty = 3

// runPatience is how long a run may take beyond its warm-up and duration.
const runPatience = 2 * time.Minute

// drive starts a subject, loads it, and ends it. What cannot be relied on is an
// error.
func (s *site) drive(ctx context.Context, sub *subject, l *load) (*Report, json.RawMessage, error) {
	r, err := s.start(ctx, sub)
	if err != nil {
		return nil, nil, err
	}
	defer r.stop()
	if sub.Rooms > 0 {
		h, err := holdRooms(ctx, r.url, sub.Rooms)
		if err != nil {
			return nil, nil, fmt.Errorf("holding %d rooms: %w", sub.Rooms, err)
		}
		defer h.release()
	}
	file := filepath.Join(s.dir, "report.json")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	args := append([]string{"bench"}, l.args()...)
	args = append(args, "--url", r.url, "--label", sub.String(), "--json", file)
	if r.publishURL != "" {
		args = append(args, "--publish-url", r.publishURL)
	}
	if r.keyConfig != "" {
		args = append(args, "--key-config", r.keyConfig)
	}
	for _, p := range r.watched {
		args = append(args, "--pid", p)
	}
	if sub.Slow > 0 {
		args = append(args, "--slow", strconv.Itoa(sub.Slow))
	}
	ctx, cancel := context.WithTimeout(ctx, l.Warmup+l.Duration+runPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.sluice, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = endWithParent()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = stopPatience
	failed := cmd.Run()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	report, raw, err := readReport(file)
	if err != nil { // it did not get as far as a report
		return nil, nil, fmt.Errorf("sluice bench: %w: %s", errors.Join(failed, err), bytes.TrimSpace(said.Bytes()))
	}
	if err := report.check(); err != nil {
		return report, raw, err
	}
	// What makes it a faulty run for the command, and is none here, are gaps of
	// members that never read.
	if failed != nil && cmd.ProcessState.ExitCode() != exitFaulty {
		return report, raw, fmt.Errorf("sluice bench: %w: %s", failed, bytes.TrimSpace(said.Bytes()))
	}
	return report, raw, nil
}
