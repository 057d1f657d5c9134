package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/cmd/sluice/bench"
	"sluice/cmd/sluice/plugin"
)

// exitFaulty is the exit code of a run in which something was lost, repeated,
// out of order, refused or closed.
const exitFaulty = 3

// benchCommand is what the scenarios' commands share.
type benchCommand struct {
	bench.Options
	env            []string
	stdout, stderr io.Writer

	size                      Size
	payloadFile               string
	token, tokenFile          string
	keyConfig, filter, grants string
	pids                      []string
	jsonFile                  string
	repeat                    int
}

func newBenchCommand(env []string, stdout, stderr io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench SCENARIO",
		Short: "Load a server, and measure latency, loss and what it costs",
		Long: "Loads any server that speaks Sluice's protocol, and tells how long messages took, whether any was\n" +
			"lost, repeated or reordered, and what the server's processes spent, if they are on this machine.\n" +
			"Exits with 3 if anything was lost, repeated, reordered, refused or closed, and with 1 if nothing\n" +
			"could be measured. Only this machine is a target, unless --remote is given.",
		Example: "  sluice bench fanout                              # a node on 127.0.0.1:8080\n" +
			"  sluice bench rooms --window 512 --repeat 3\n" +
			"  sluice bench idle --connections 10000 --key-config config.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			near := nearest(args[0], []string{"fanout", "rooms", "idle", "connect"})
			if near != "" {
				near = "; did you mean " + near + "?"
			}
			return fmt.Errorf("there is no scenario %q%s The scenarios are fanout, rooms, idle and connect", args[0], near)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, s := range []struct {
		scenario bench.Scenario
		short    string
		rate     float64
	}{
		{bench.Fanout, "One publishes to a room that all are in", 100},
		{bench.Rooms, "Many rooms of a few members, who publish in turn", 2000},
		{bench.Idle, "Connections that say nothing: memory, and CPU for heartbeats", 0},
		{bench.Connect, "Handshakes and joins, as fast as they go", 0},
	} {
		b := &benchCommand{env: env, stdout: stdout, stderr: stderr}
		b.Scenario = s.scenario
		sub := &cobra.Command{
			Use: string(s.scenario), Short: s.short, Args: noArguments,
			RunE: func(cmd *cobra.Command, _ []string) error { return b.run(cmd) },
		}
		sub.Flags().SortFlags = false
		b.targetFlags(sub.Flags())
		if s.rate > 0 {
			b.loadFlags(sub.Flags(), s.rate)
		} else if s.scenario == bench.Idle {
			sub.Flags().Var(timeFlag(&b.Duration, 26*time.Second), "duration", "time that is measured; a heartbeat comes every 25s by default")
		}
		b.userFlags(sub.Flags())
		b.reportFlags(sub.Flags())
		cmd.AddCommand(sub)
	}
	return cmd
}

func (b *benchCommand) run(cmd *cobra.Command) error {
	if err := b.read(cmd); err != nil {
		return err
	}
	runs, err := b.runs(cmd.Context())
	if err != nil {
		return err
	}
	median, err := bench.Median(runs)
	if err != nil {
		return err
	}
	if err := b.report(runs, median); err != nil {
		return err
	}
	if median.Failed() {
		return &plugin.ExitError{Code: exitFaulty}
	}
	return nil
}

// runs repeats the run, until it is interrupted.
func (b *benchCommand) runs(ctx context.Context) (runs []*bench.Result, err error) {
	say := func(line string) { fmt.Fprintln(b.stderr, line) }
	for i := range b.repeat {
		if b.repeat > 1 {
			say(fmt.Sprintf("run %d of %d", i+1, b.repeat))
		}
		r, err := bench.Run(ctx, &b.Options, say)
		switch {
		case err != nil && ctx.Err() == nil:
			return nil, err
		case err != nil && len(runs) == 0:
			return nil, errors.New("interrupted before anything was measured")
		case err != nil:
			return runs, nil
		}
		r.Repeat = i + 1
		if runs = append(runs, r); r.Interrupted {
			break
		}
	}
	return runs, nil
}

func (b *benchCommand) report(runs []*bench.Result, median *bench.Result) error {
	if b.jsonFile != "-" {
		if err := bench.WriteText(b.stdout, runs, median); err != nil {
			return err
		}
	}
	var lines strings.Builder
	for _, r := range append(runs[:len(runs):len(runs)], median) {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	if b.jsonFile == "-" {
		_, err := io.WriteString(b.stdout, lines.String())
		return err
	}
	return b.appendJSON(lines.String())
}

// appendJSON appends to the file of --json, if one is named.
func (b *benchCommand) appendJSON(lines string) error {
	if b.jsonFile == "" || b.jsonFile == "-" {
		return nil
	}
	f, err := os.OpenFile(b.jsonFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	_, err = f.WriteString(lines)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	return nil
}
