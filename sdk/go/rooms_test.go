//go:build !wasm

package sluice

import (
	"strings"
	"testing"
)

// definedToMatch is the definition word for word, however long it takes.
func definedToMatch(p, s string) bool {
	if p == "" {
		return s == ""
	}
	if p[0] != '*' {
		return s != "" && s[0] == p[0] && definedToMatch(p[1:], s[1:])
	}
	rest, deep := strings.CutPrefix(p, "**")
	if !deep {
		rest = p[1:]
	}
	for n := 0; ; n++ { // a run of n bytes
		if definedToMatch(rest, s[n:]) {
			return true
		}
		if n == len(s) || !deep && s[n] == ':' {
			return false
		}
	}
}

// texts are all texts of up to n letters of an alphabet.
func texts(alphabet string, n int) []string {
	all := []string{""}
	for shorter := all; n > 0; n-- {
		var longer []string
		for _, s := range shorter {
			for _, c := range alphabet {
				longer = append(longer, s+string(c))
			}
		}
		all = append(all, longer...)
		shorter = longer
	}
	return all
}

func TestEveryShortPatternMatchesTheNamesThatItIsDefinedToMatch(t *testing.T) {
	names, matched := texts("ab:", 5), 0
	for _, text := range texts("ab:*", 5) {
		p, err := ParsePattern(text)
		if err != nil {
			if text != "" && !strings.Contains(text, "***") {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		for _, name := range names {
			want := definedToMatch(text, name)
			if want {
				matched++
			}
			if p.Match(name) != want {
				t.Fatalf("%q matches %q: %v, want %v", text, name, !want, want)
			}
		}
	}
	if matched < 5000 {
		t.Errorf("only %d matches were tried", matched)
	}
}

func TestPatternsWithAFaultAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "1 to 1024 bytes", strings.Repeat("x", 1025): "1 to 1024 bytes", "a***": "three stars", "\xff": "UTF-8",
	} {
		if _, err := ParsePattern(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	p, err := ParsePattern(strings.Repeat("x", 1024))
	if err != nil || p.Deep() || len(p.String()) != 1024 {
		t.Errorf("the longest: %v", err)
	}
	if p, _ := ParsePattern("a:**"); !p.Deep() {
		t.Error("two stars are deep")
	}
	if (Pattern{}).Match("a") {
		t.Error("the zero pattern matches a room")
	}
}

func TestMatchingAllocatesNothingAndEnds(t *testing.T) {
	p, err := ParsePattern(strings.Repeat("*a", 100) + "**b")
	if err != nil {
		t.Fatal(err)
	}
	name, matched := strings.Repeat("a:", 2000), false
	if n := testing.AllocsPerRun(3, func() { matched = p.Match(name) }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
	if matched {
		t.Error("it matches a name without the letter that it ends in")
	}
}
