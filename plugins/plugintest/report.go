package plugintest

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Report is what came of running files.
type Report struct {
	Files []*FileResult
}

// FileResult is what came of one file.
type FileResult struct {
	Path     string
	Plugin   string // what it was run against
	Tests    []*TestResult
	Duration time.Duration

	Updated   bool  // the file has been rewritten
	Events    int   // of which expect: was rewritten
	UpdateErr error // why it could not be
}

// TestResult is what came of one test.
type TestResult struct {
	Name     string
	Line     int
	Duration time.Duration
	Outcomes []*Outcome // of the events that were judged
	Refused  string     // why the filter did not load, of a test that expects it
	Failures []*Failure
}

// OK reports whether the test passed.
func (t *TestResult) OK() bool { return len(t.Failures) == 0 }

func (t *TestResult) broken() bool {
	for _, f := range t.Failures {
		if f.Broken {
			return true
		}
	}
	return false
}

// OK reports whether there were tests, and all of them passed.
func (r *Report) OK() bool {
	run, failed := r.Tests()
	for _, f := range r.Files {
		if f.UpdateErr != nil {
			return false
		}
	}
	return run > 0 && failed == 0
}

// Tests counts them.
func (r *Report) Tests() (run, failed int) {
	for _, f := range r.Files {
		for _, t := range f.Tests {
			run++
			if !t.OK() {
				failed++
			}
		}
	}
	return run, failed
}

// WriteText writes the report for people; verbose names every test and event.
func (r *Report) WriteText(w io.Writer, verbose bool) error {
	b := bufio.NewWriter(w)
	for _, f := range r.Files {
		f.writeText(b, verbose)
	}
	run, failed := r.Tests()
	switch {
	case run == 0:
		fmt.Fprintln(b, "no tests were run")
	case failed > 0:
		fmt.Fprintf(b, "%d of %d tests failed\n", failed, run)
	}
	return b.Flush()
}

func (f *FileResult) writeText(b *bufio.Writer, verbose bool) {
	events, failed := 0, 0
	for _, t := range f.Tests {
		events += len(t.Outcomes)
		if !t.OK() {
			failed++
		}
	}
	word := "ok  "
	if failed > 0 || f.UpdateErr != nil {
		word = "FAIL"
	}
	if failed > 0 || verbose {
		for _, t := range f.Tests {
			t.writeText(b, verbose)
		}
	}
	against := ""
	if f.Plugin != "" && f.Plugin != f.Path {
		against = " (" + f.Plugin + ")"
	}
	fmt.Fprintf(b, "%s %s%s: %s, %s, %d ms\n", word, f.Path, against,
		plural(len(f.Tests), "test"), plural(events, "event"), f.Duration.Milliseconds())
	switch {
	case f.UpdateErr != nil:
		fmt.Fprintf(b, "     not updated: %v\n", f.UpdateErr)
	case f.Updated:
		fmt.Fprintf(b, "     updated: %s\n", plural(f.Events, "expectation"))
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (t *TestResult) writeText(b *bufio.Writer, verbose bool) {
	switch {
	case !t.OK():
		fmt.Fprintf(b, "--- FAIL: %s (%d ms)\n", visible(t.Name), t.Duration.Milliseconds())
	case verbose:
		fmt.Fprintf(b, "--- ok: %s (%d ms)\n", visible(t.Name), t.Duration.Milliseconds())
	default:
		return
	}
	if verbose {
		for i, o := range t.Outcomes {
			fmt.Fprintf(b, "    event %d (%s): %s, fuel %d\n", i+1, o.What, o.summary(), o.Fuel)
			for _, line := range o.lines {
				fmt.Fprintf(b, "        log %s: %s\n", line.level, strings.ReplaceAll(visible(line.text), "\n", " "))
			}
		}
	}
	for _, f := range t.Failures {
		for i, line := range strings.Split(visible(f.Error()), "\n") {
			indent := "    "
			if i > 0 {
				indent = "        "
			}
			fmt.Fprintf(b, "%s%s\n", indent, line)
		}
	}
}

// visible takes out what would steer a terminal: names and lines are those of a
// module that may be hostile.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, text)
}
