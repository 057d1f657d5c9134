package router_test

import (
	"strings"
	"testing"
	"time"

	"sluice/router"
)

func pattern(t testing.TB, s string) router.Pattern {
	t.Helper()
	p, err := router.ParsePattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPatternMatchesTheWholeName(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"lobby", "lobby", true},
		{"lobby", "lobby2", false},
		{"lobby", "Lobby", false},
		{"chat:*", "chat:", true},
		{"chat:*", "chat:go", true},
		{"chat:*", "chat:go:news", false},
		{"chat:**", "chat:go:news", true},
		{"chat:**", "chat", false},
		{"*", "lobby", true},
		{"*", "chat:go", false},
		{"**", "chat:go", true},
		{"**", "x", true},
		{"*:*", "a:b", true},
		{"*:*", "a:b:c", false},
		{"**:news", "go:lang:news", true},
		{"**:news", "news", false},
		{"a*b", "axbxb", true},
		{"a*b", "axbxc", false},
		{"**a:*b", "a:xa:yb", true},
		{"**a:*:b**", "a:a:z:bq", true},
		{"?[a-z]+\\", "?[a-z]+\\", true},
		{"?", "a", false},
		{"*é*", "caféx", true},
		{"${user}", "${user}", true},
	} {
		if got := pattern(t, c.pattern).Match(c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

func TestTheZeroPatternMatchesNoRoom(t *testing.T) {
	var p router.Pattern
	if p.Match("a") || p.Match("*") {
		t.Error("it matches")
	}
}

func TestAPatternThatCannotBeMeantIsRefusedWithTheRemedy(t *testing.T) {
	for _, c := range []struct{ pattern, says string }{
		{"", "write ** to match every room"},
		{"a***b", "write * for any run without ':' or ** for any run"},
		{"a\xff", "not valid UTF-8"},
		{strings.Repeat("a", router.MaxPattern+1), "at most 1024"},
	} {
		if _, err := router.ParsePattern(c.pattern); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.20q: got %v, want %q", c.pattern, err, c.says)
		}
	}
}

func TestAPatternPrintsAsItWasWritten(t *testing.T) {
	if s := pattern(t, "chat:*:**").String(); s != "chat:*:**" {
		t.Errorf("got %q", s)
	}
}

// The time limit is a hundred thousand times what it takes; exponential
// backtracking would take longer than the universe has.
func TestMatchingIsNotExponential(t *testing.T) {
	begun := time.Now()
	for _, p := range []string{
		strings.Repeat("a*", 100) + "b",
		strings.Repeat("a**", 100) + "b",
		strings.Repeat("**a*a", 100) + "b",
		strings.Repeat("**a:*a", 100) + "b",
	} {
		for _, name := range []string{strings.Repeat("a", 255), strings.Repeat("a:", 127)} {
			if pattern(t, p).Match(name) {
				t.Errorf("%.10q… matches %.10q…", p, name)
			}
		}
	}
	if d := time.Since(begun); d > time.Minute {
		t.Errorf("it took %v", d)
	}
}

// naive matches by trying everything.
func naive(p, name string) bool {
	switch {
	case p == "":
		return name == ""
	case strings.HasPrefix(p, "**"):
		for i := 0; i <= len(name); i++ {
			if naive(p[2:], name[i:]) {
				return true
			}
		}
		return false
	case p[0] == '*':
		for i := 0; ; i++ {
			if naive(p[1:], name[i:]) {
				return true
			}
			if i == len(name) || name[i] == ':' {
				return false
			}
		}
	}
	return name != "" && p[0] == name[0] && naive(p[1:], name[1:])
}

func FuzzPatternMatchesAsTheNaiveMatcherDoes(f *testing.F) {
	for _, s := range [][2]string{
		{"chat:*", "chat:a"}, {"**a:*b", "a:xa:yb"}, {"**a*b:c*d**e", "aab:ab:cxd:de"}, {"*a*", "bab"}, {"**ab*:b**", "aab:ab:b"},
		{"**:a*:*b", "::a:a:b"}, {"**a**b*c", "abcabc:c"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, p, name string) {
		if len(p) > 16 || len(name) > 20 {
			return // the naive matcher takes its time
		}
		parsed, err := router.ParsePattern(p)
		if err != nil {
			return
		}
		if got, want := parsed.Match(name), naive(p, name); got != want {
			t.Errorf("%q matches %q: %v, want %v", p, name, got, want)
		}
	})
}

// Every name of up to 8 letters against every pattern of up to 6 parts, of an
// alphabet that has the interesting cases.
func TestPatternsMatchAsTheNaiveMatcherDoes(t *testing.T) {
	words := func(alphabet []string, longest int) (all []string) {
		layer := []string{""}
		for range longest {
			var next []string
			for _, w := range layer {
				for _, a := range alphabet {
					next = append(next, w+a)
				}
			}
			all = append(all, next...)
			layer = next
		}
		return all
	}
	names := words([]string{"a", "b", ":"}, 7)
	for _, p := range words([]string{"a", ":", "*", "**"}, 5) {
		parsed, err := router.ParsePattern(p)
		if err != nil {
			continue
		}
		for i := len(p) % 3; i < len(names); i += 3 {
			if got, want := parsed.Match(names[i]), naive(p, names[i]); got != want {
				t.Fatalf("%q matches %q: %v, want %v", p, names[i], got, want)
			}
		}
	}
}
