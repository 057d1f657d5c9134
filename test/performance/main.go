package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// command is the flags.
type command struct {
	Quick    bool
	Growth   bool
	GC       bool
	Only     string
	Rounds   int
	Raw      string
	From     string
	Chart    string
	MaxOther float64
	Retries  int
	List     bool
}

func (c *command) register(flags *flag.FlagSet) {
	flags.BoolVar(&c.Quick, "quick", false, "short runs, one of each: to see that it works, not to rely on")
	flags.BoolVar(&c.Growth, "growth", false, "instead of the comparison: how costs grow with connections, rooms, members, payload and filters")
	flags.BoolVar(&c.GC, "gc", false, "instead of the comparison: what GOGC and GOMEMLIMIT do")
	flags.StringVar(&c.Only, "only", "", "scenarios to run, separated by commas; -list names them (all)")
	flags.IntVar(&c.Rounds, "rounds", 0, "runs of each subject (3, with -quick 1)")
	flags.StringVar(&c.Raw, "raw", "", "a file to write the report of every run to, as JSON lines")
	flags.StringVar(&c.From, "from", "", "print what such a file says instead of running anything")
	flags.StringVar(&c.Chart, "chart", "", "a file to draw the ratios to the floor in, as SVG")
	flags.Float64Var(&c.MaxOther, "max-other", 25, "percent of a processor that other processes may use in a run, before it is repeated")
	flags.IntVar(&c.Retries, "retries", 6, "runs that may be repeated, all scenarios together")
	flags.BoolVar(&c.List, "list", false, "name the scenarios")
}

func (c *command) plan() plan {
	p := standardPlan
	if c.Quick {
		p = quickPlan
	}
	if c.Rounds > 0 {
		p.Rounds = c.Rounds
	}
	return p
}

// known are the scenarios that the flags choose from.
func (c *command) known() []scenario {
	p := c.plan()
	switch {
	case c.Growth && c.GC:
		return append(growth(p), collectors(p))
	case c.Growth:
		return growth(p)
	case c.GC:
		return []scenario{collectors(p)}
	}
	return scenarios(p)
}

func all(p plan) []scenario {
	return slices.Concat(scenarios(p), growth(p), []scenario{collectors(p)})
}

func (c *command) chosen() ([]scenario, error) {
	known := c.known()
	if c.Only == "" {
		return known, nil
	}
	var list []scenario
	for key := range strings.SplitSeq(c.Only, ",") {
		i := slices.IndexFunc(known, func(s scenario) bool { return s.Key == strings.TrimSpace(key) })
		if i < 0 {
			return nil, fmt.Errorf("-only: there is no scenario %q here; -list names them", key)
		}
		list = append(list, known[i])
	}
	return list, nil
}

func main() {
	var c command
	c.register(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "performance: %q is not understood; -help names the flags\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := c.run(ctx, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

func (c *command) run(ctx context.Context, stdout, stderr io.Writer) error {
	chosen, err := c.chosen()
	if err != nil {
		return err
	}
	var outcomes []*outcome
	var failed error
	switch {
	case c.List:
		for _, s := range chosen {
			fmt.Fprintf(stdout, "%-20s %s\n", s.Key, s.Title)
		}
		return nil
	case c.From != "":
		if outcomes, err = c.replay(stdout); err != nil {
			return err
		}
	default:
		outcomes, failed = c.measure(ctx, chosen, stdout, stderr)
		if outcomes == nil {
			return failed
		}
	}
	for _, o := range outcomes {
		o.write(stdout)
	}
	summary(stdout, outcomes)
	// Of a run that was interrupted it would lack some of the scenarios, and take the
	// place of one that has them.
	if c.Chart != "" && ctx.Err() == nil {
		failed = errors.Join(failed, writeChart(c.Chart, outcomes))
	}
	return failed
}

// head is the first of the raw results.
type head struct {
	Machine machine `json:"machine"`
	Quick   bool    `json:"quick"`
}

// replay reads raw results, and says where they are from.
func (c *command) replay(stdout io.Writer) ([]*outcome, error) {
	f, err := os.Open(c.From)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var head head
	if err := json.NewDecoder(f).Decode(&head); err == nil && head.Machine.Go != "" {
		fmt.Fprintf(stdout, "%s, %s\n", head.Machine, head.Machine.Time)
	}
	c.Quick = head.Quick
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return replay(f, all(c.plan()), c.MaxOther)
}

// measure runs the scenarios. What was measured before an interruption is
// returned with its error.
func (c *command) measure(ctx context.Context, chosen []scenario, stdout, stderr io.Writer) ([]*outcome, error) {
	s, err := newSite(ctx, os.Getenv("FLOOR"))
	if err != nil {
		return nil, err
	}
	defer s.close()
	where := thisMachine(os.Getenv("FLOOR"))
	fmt.Fprintln(stdout, where)
	b := &runner{drive: s.drive, maxOther: c.MaxOther, retries: c.Retries, progress: stderr}
	if c.Raw != "" {
		f, err := os.Create(c.Raw)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b.raw = json.NewEncoder(f)
		if err := b.raw.Encode(head{where, c.Quick}); err != nil {
			return nil, err
		}
	}
	outcomes := []*outcome{}
	for _, sc := range chosen {
		if sc.Redis && s.redis == "" {
			fmt.Fprintf(stdout, "\nNot run: %s: %v\n", sc.Title, errNoRedis)
			continue
		}
		o, err := b.compare(ctx, sc, c.plan().Rounds)
		if err != nil {
			return outcomes, errors.Join(append(b.failures, err)...)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, errors.Join(b.failures...)
}
