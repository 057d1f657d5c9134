package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// nodeStatus is what `sluice status` reads of GET /api/filters.
type nodeStatus struct {
	Generation uint64    `json:"generation"`
	Loaded     time.Time `json:"loaded"`
	Previous   *uint64   `json:"previous"`
	Trial      time.Time `json:"trial_until"`
	Reloads    uint64    `json:"reloads"`
	Refused    uint64    `json:"reloads_refused"`
	Failure    *struct {
		At      time.Time `json:"at"`
		Trigger string    `json:"trigger"`
		Error   string    `json:"error"`
	} `json:"last_refused"`
	Rollbacks map[string]uint64 `json:"rollbacks"`
	Rollback  *struct {
		At         time.Time `json:"at"`
		Trigger    string    `json:"trigger"`
		Cause      string    `json:"cause"`
		Why        string    `json:"why"`
		From       uint64    `json:"from"`
		To         uint64    `json:"to"`
		Generation uint64    `json:"generation"`
	} `json:"last_rollback"`
	Filters []filterStatus `json:"filters"`
}

type filterStatus struct {
	Name     string            `json:"name"`
	File     string            `json:"file"`
	Version  string            `json:"version"`
	Digest   string            `json:"digest"`
	Age      int64             `json:"age_seconds"`
	InFlight int               `json:"in_flight"`
	Calls    uint64            `json:"calls"`
	Failures map[string]uint64 `json:"failures"`
	Role     string            `json:"role"`
	Share    float64           `json:"share"`
	Shadow   *struct {
		Compared    uint64            `json:"compared"`
		Differences map[string]uint64 `json:"differences"`
	} `json:"shadow"`
	Candidate *filterStatus `json:"candidate"`
}

func (to *remote) status(ctx context.Context, stdout io.Writer) error {
	var s nodeStatus
	if err := to.call(ctx, http.MethodGet, "/api/filters", nil, &s); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "generation %d, loaded %s; %s done, %d refused; %s\n",
		s.Generation, s.Loaded.Format(time.RFC3339), amount(s.Reloads, "reload"), s.Refused, amount(sum(s.Rollbacks), "rollback"))
	if s.Previous != nil {
		fmt.Fprintf(stdout, "sluice rollback goes back to generation %d\n", *s.Previous)
	}
	if !s.Trial.IsZero() {
		fmt.Fprintf(stdout, "it is compared with the one before, by rollback_on, until %s\n", s.Trial.Format(time.RFC3339))
	}
	if err := s.printFilters(stdout); err != nil {
		return err
	}
	if err := to.nodes(ctx, stdout); err != nil {
		return err
	}
	if r := s.Rollback; r != nil {
		why := ""
		if r.Why != "" {
			why = ": " + oneLine(r.Why, 1000)
		}
		fmt.Fprintf(stdout, "the last rollback, %s by %s, from generation %d to %d, which is %d since%s\n",
			r.At.Format(time.RFC3339), oneLine(r.Trigger, 100), r.From, r.To, r.Generation, why)
	}
	if f := s.Failure; f != nil {
		fmt.Fprintf(stdout, "the last reload that was refused, %s by %s:\n", f.At.Format(time.RFC3339), oneLine(f.Trigger, 100))
		for line := range strings.SplitSeq(f.Error, "\n") {
			fmt.Fprintln(stdout, "  "+oneLine(line, 1000))
		}
	}
	return nil
}

func (s *nodeStatus) printFilters(stdout io.Writer) error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FILTER\tVERSION\tAGE\tIN FLIGHT\tCALLS\tFAILED\tFILE")
	digests := make(map[string]string)
	row := func(name string, f *filterStatus) {
		digests[f.Version] = f.Digest
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", oneLine(name, 300), oneLine(f.Version, 12), time.Duration(f.Age)*time.Second,
			f.InFlight, f.Calls, sum(f.Failures), oneLine(f.File, 1000))
	}
	for i := range s.Filters {
		f := &s.Filters[i]
		row(f.Name, f)
		if c := f.Candidate; c != nil {
			row(fmt.Sprintf("  %s %s", c.Role, Percent(c.Share)), c)
		}
	}
	for _, f := range s.Filters {
		if c := f.Candidate; c != nil && c.Shadow != nil {
			fmt.Fprintf(w, "%s: the shadow answers %d of %d events otherwise\n", oneLine(f.Name, 255), sum(c.Shadow.Differences), c.Shadow.Compared)
		}
	}
	for _, version := range slices.Sorted(maps.Keys(digests)) {
		fmt.Fprintf(w, "%s is sha256:%s\n", oneLine(version, 12), oneLine(digests[version], 64))
	}
	return w.Flush()
}

// amount is a number of things, 0 included.
func amount(n uint64, what string) string {
	if n == 0 {
		return "0 " + what + "s"
	}
	return count(int(n), what)
}

func sum(counts map[string]uint64) (all uint64) {
	for _, n := range counts {
		all += n
	}
	return all
}
