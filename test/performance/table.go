package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// table is one of Markdown, whose columns are aligned so that it reads well on a
// terminal too.
type table [][]string

func (t table) write(w io.Writer) {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range t {
		for i, cell := range row {
			fmt.Fprintf(w, "| %s%s ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for _, width := range widths {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", width+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
}

// write prints what came of a scenario.
func (o *outcome) write(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", o.Title)
	if o.Sweep != nil {
		o.writeSweep(w)
	} else {
		o.writeComparison(w)
	}
	if o.Note != "" {
		fmt.Fprintf(w, "\n%s\n", o.Note)
	}
	if o.Noisy > 0 {
		fmt.Fprintf(w, "\nDisturbed: in %d of %d runs other processes used much of the machine, up to %.0f %% of a processor. Do not rely on these figures.\n",
			o.Noisy, o.count(), o.Worst)
	}
}

// count is how many runs count.
func (o *outcome) count() (n int) {
	for _, runs := range o.Runs {
		for _, r := range runs {
			if r != nil {
				n++
			}
		}
	}
	return n
}

func (o *outcome) writeComparison(w io.Writer) {
	head := append([]string{"median (least–most)"}, names(o.Subjects)...)
	t := table{append(head, "in pairs", "aim", "")}
	for _, v := range o.verdicts() {
		row := []string{v.Metric.Name}
		for i := range o.Subjects {
			cell := ""
			if v.Kind != asValue || i == 0 {
				cell = v.Metric.text(spreadOf(v.Metric.values(o.Runs[i])))
			}
			row = append(row, cell)
		}
		pair, bound := "", ""
		if v.Kind != asValue {
			pair = v.text()
		}
		if v.Aim != nil {
			bound = v.Aim.String()
		}
		t = append(t, append(row, pair, bound, v.met()))
	}
	t.write(w)
}

func (o *outcome) writeSweep(w io.Writer) {
	head := []string{o.Sweep.Of}
	for _, m := range o.Metrics {
		head = append(head, m.Name)
	}
	var extra []unitCost // units that are no column yet
	for _, u := range o.Sweep.Units {
		if u.Name != "" {
			extra = append(extra, u)
			head = append(head, u.Name)
		}
	}
	t := table{head}
	for i, s := range o.Subjects {
		row := []string{s.Name}
		for _, m := range o.Metrics {
			row = append(row, m.text(spreadOf(m.values(o.Runs[i]))))
		}
		for _, u := range extra {
			cell := "–"
			if c := o.costs(u)[i]; !math.IsNaN(c) {
				cell = number(c) + " " + u.Unit
			}
			row = append(row, cell)
		}
		t = append(t, row)
	}
	t.write(w)
	if len(o.Sweep.Units) > 0 {
		fmt.Fprintln(w)
	}
	for _, u := range o.Sweep.Units {
		fmt.Fprintf(w, "%s: %s.\n", firstUpper(cmp.Or(u.Name, u.Metric.Name)), growthVerdict(o.costs(u)))
	}
	if o.Sweep.Why != "" {
		fmt.Fprintln(w, o.Sweep.Why)
	}
}

func firstUpper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// summary is one line for each aim.
func summary(w io.Writer, outcomes []*outcome) {
	t := table{{"aim", "", "measured", "should be", ""}}
	for _, o := range outcomes {
		if o.Sweep != nil {
			continue
		}
		for _, v := range o.verdicts() {
			if v.Aim != nil {
				t = append(t, []string{o.Title, v.Metric.Name, v.text(), v.Aim.String(), v.met()})
			}
		}
	}
	if len(t) > 1 {
		fmt.Fprintf(w, "\n### Aims\n\n")
		t.write(w)
	}
}
