package plugintest

import (
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// WriteJUnit writes the report as JUnit XML: a suite for each file. A test that
// could not be run is an error, one that ended otherwise than it says a failure.
func (r *Report) WriteJUnit(w io.Writer) error {
	all := junit.Testsuites{Name: "sluice plugin test"}
	var total time.Duration
	for i, f := range r.Files {
		suite := junit.Testsuite{Name: f.Path, ID: i, File: f.Path, Time: seconds(f.Duration)}
		suite.AddProperty("plugin", f.Plugin)
		for _, t := range f.Tests {
			suite.AddTestcase(t.junit(f))
		}
		total += f.Duration
		all.AddSuite(suite)
	}
	all.Time = seconds(total)
	return all.WriteXML(w)
}

func (t *TestResult) junit(f *FileResult) junit.Testcase {
	c := junit.Testcase{Name: t.Name, Classname: f.Path, Time: seconds(t.Duration)}
	if t.OK() {
		return c
	}
	lines := make([]string, len(t.Failures))
	for i, failure := range t.Failures {
		lines[i] = failure.Error()
	}
	result := &junit.Result{Message: t.Failures[0].Text, Data: asXML(strings.Join(lines, "\n"))}
	result.Message = asXML(result.Message)
	if t.broken() {
		c.Error = result
	} else {
		c.Failure = result
	}
	return c
}

// asXML replaces characters that XML 1.0 does not have in any form.
func asXML(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff {
			return '\uFFFD'
		}
		return r
	}, s)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
