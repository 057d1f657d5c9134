package plugintest

import (
	"path/filepath"
	"slices"
	"testing"
)

// Test runs the tests of each file that the pattern (of filepath.Glob) matches
// as subtests of t. At least one file has to match.
func Test(t *testing.T, pattern string) {
	t.Helper()
	TestWith(t, Options{}, pattern)
}

// TestWith is Test with options and several patterns.
func TestWith(t *testing.T, o Options, patterns ...string) {
	t.Helper()
	r, err := newRunner(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no such files (%v)", pattern, err)
		}
		slices.Sort(paths)
		for _, path := range paths {
			t.Run(filepath.Base(path), func(t *testing.T) { testFile(t, r, path) })
		}
	}
}

func testFile(t *testing.T, r *runner, path string) {
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Tests {
		if m := r.options.Match; m != nil && !m.MatchString(c.Name) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			for _, failure := range r.test(t.Context(), f, c).Failures {
				t.Error(failure)
			}
		})
	}
}
