package router

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxPattern is the length of the longest pattern, in bytes.
const MaxPattern = 1024

// Pattern selects rooms by name: * matches any run of characters but ':', **
// any run at all; everything else matches itself. The zero Pattern matches
// only the empty name, which no room has.
type Pattern struct {
	text  string
	parts []part
}

// part is one piece of a pattern.
type part struct {
	kind partKind
	text string // of a literal
}

type partKind uint8

const (
	literal partKind = iota
	wild             // *
	anyRun           // **
	user             // ${user} in a grant
)

// ParsePattern reads a pattern. It refuses the empty one, one longer than
// MaxPattern, three stars in a row, and what is not UTF-8.
func ParsePattern(s string) (Pattern, error) { return parsePattern(s, false) }

// parsePattern also reads ${user}, if asked, as a part that stands for
// the user.
func parsePattern(s string, withUser bool) (Pattern, error) {
	switch {
	case s == "":
		return Pattern{}, errors.New("the pattern is empty; write ** to match every room")
	case len(s) > MaxPattern:
		return Pattern{}, fmt.Errorf("the pattern has %d bytes; at most %d are allowed", len(s), MaxPattern)
	case !utf8.ValidString(s):
		return Pattern{}, fmt.Errorf("the pattern %q is not valid UTF-8", s)
	case strings.Contains(s, "***"):
		return Pattern{}, fmt.Errorf("the pattern %q has three stars in a row; write * for any run without ':' or ** for any run", s)
	}
	return Pattern{text: s, parts: splitPattern(s, withUser)}, nil
}

func splitPattern(s string, withUser bool) []part {
	const placeholder = "${user}"
	var parts []part
	start := 0
	flush := func(end int) {
		if end > start {
			parts = append(parts, part{literal, s[start:end]})
		}
	}
	for i := 0; i < len(s); {
		rest := s[i:]
		n := 0
		var p part
		switch {
		case strings.HasPrefix(rest, "**"):
			p.kind, n = anyRun, 2
		case rest[0] == '*':
			p.kind, n = wild, 1
		case withUser && strings.HasPrefix(rest, placeholder):
			p.kind, n = user, len(placeholder)
		default:
			i++
			continue
		}
		flush(i)
		parts = append(parts, p)
		i += n
		start = i
	}
	flush(len(s))
	return parts
}

// Match reports whether the pattern matches the whole name.
func (p Pattern) Match(name string) bool { return p.match(name, "") }

func (p Pattern) String() string { return p.text }

// match matches with ${user} standing for who, literally.
func (p Pattern) match(name, who string) bool {
	switch {
	case len(p.parts) == 0:
		return name == ""
	case p.parts[0].kind != literal:
	case len(p.parts) == 1:
		return name == p.text
	case len(p.parts) == 2 && p.parts[1].kind != user:
		rest, ok := strings.CutPrefix(name, p.parts[0].text)
		return ok && (p.parts[1].kind == anyRun || strings.IndexByte(rest, ':') < 0)
	}
	return matchParts(p.parts, name, who)
}

// matchParts matches by lengthening, at a mismatch, the latest * by one byte,
// and where that meets a ':' the latest **. Earlier wildcards need no second
// try: whatever they could reach by being longer, a later one reaches too.
// Therefore the work is bounded by the product of the lengths.
func matchParts(parts []part, name, who string) bool {
	at, pos := 0, 0            // the part and the byte that are next
	wildPart, wildEnd := -1, 0 // the latest * since the latest **, and where its run ends
	anyPart, anyEnd := -1, 0   // the latest **
	for at < len(parts) || pos < len(name) {
		if at < len(parts) {
			p := &parts[at]
			switch p.kind {
			case anyRun:
				anyPart, anyEnd, wildPart = at, pos, -1
				at++
				continue
			case wild:
				wildPart, wildEnd = at, pos
				at++
				continue
			}
			text := p.text
			if p.kind == user {
				text = who
			}
			if strings.HasPrefix(name[pos:], text) {
				at, pos = at+1, pos+len(text)
				continue
			}
		}
		switch {
		case wildPart >= 0 && wildEnd == len(name):
			return false // a ** that began later would only see less
		case wildPart >= 0 && name[wildEnd] != ':':
			wildEnd++
			at, pos = wildPart+1, wildEnd
			continue
		case anyPart < 0 || anyEnd == len(name):
			return false
		case wildPart >= 0:
			// The * ran into a ':'. What follows the ** has a fixed number of
			// colons, so it can only fit where the first of them is another one.
			anyEnd += strings.IndexByte(name[anyEnd:], ':') + 1
		default:
			anyEnd++
		}
		at, pos, wildPart = anyPart+1, anyEnd, -1
	}
	return true
}
