package router

import (
	"strings"
	"testing"
)

// literally matches as parsePattern says, by trying everything.
func literally(p, name, who string) bool {
	switch {
	case p == "":
		return name == ""
	case strings.HasPrefix(p, "**"):
		for i := 0; i <= len(name); i++ {
			if literally(p[2:], name[i:], who) {
				return true
			}
		}
		return false
	case p[0] == '*':
		for i := 0; ; i++ {
			if literally(p[1:], name[i:], who) {
				return true
			}
			if i == len(name) || name[i] == ':' {
				return false
			}
		}
	case strings.HasPrefix(p, "${user}"):
		rest, ok := strings.CutPrefix(name, who)
		return ok && literally(p[len("${user}"):], rest, who)
	}
	return name != "" && p[0] == name[0] && literally(p[1:], name[1:], who)
}

func words(alphabet []string, longest int) (all []string) {
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

// A user's name may look like a pattern or a placeholder, and may have colons.
func TestAUserNameIsNeverPartOfThePattern(t *testing.T) {
	patterns := words([]string{"a", ":", "*", "**", "${user}"}, 4)
	for _, who := range []string{"a", ":", "a:", "a:a", "*", "**", "${user}"} {
		names := words([]string{"a", ":", who}, 5)
		for _, text := range patterns {
			p, err := parsePattern(text, true)
			if err != nil {
				continue
			}
			for i := len(text) % 2; i < len(names); i += 2 {
				if got, want := p.match(names[i], who), literally(text, names[i], who); got != want {
					t.Fatalf("%q for user %q matches %q: %v, want %v", text, who, names[i], got, want)
				}
			}
		}
	}
}
