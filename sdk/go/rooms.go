package sluice

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// MaxPattern is the longest room pattern, in bytes.
const MaxPattern = 1024

// Pattern selects rooms by name, as in grants and in the node's own
// configuration: * stands for any run of bytes without ':', ** for any run.
// The zero Pattern matches no room.
type Pattern struct{ text string }

// The faults of patterns, to be said behind the name of one.
var (
	errPatternLength = errors.New("has to be a room pattern, a string of 1 to 1024 bytes")
	errPatternUTF8   = errors.New("has to be a room pattern in UTF-8")
	errPatternStars  = errors.New("has three stars in a row: * is any run without a colon, ** any run")
)

// ParsePattern reads a pattern, and keeps a copy of it.
func ParsePattern(s string) (Pattern, error) {
	switch {
	case s == "" || len(s) > MaxPattern:
		return Pattern{}, errPatternLength
	case !utf8.ValidString(s):
		return Pattern{}, errPatternUTF8
	case strings.Contains(s, "***"):
		return Pattern{}, errPatternStars
	}
	return Pattern{strings.Clone(s)}, nil
}

func (p Pattern) String() string { return p.text }

// Deep reports whether the pattern has ** in it, and so may match rooms of any
// depth.
func (p Pattern) Deep() bool { return strings.Contains(p.text, "**") }

// Match reports whether the pattern matches the whole name. It allocates
// nothing.
//
// At a mismatch the last * takes one byte more, and where that is a ':' the last
// ** does; earlier stars never need to be tried again. So the work is bounded by
// the product of the lengths.
func (p Pattern) Match(name string) bool {
	i, k := 0, 0
	star, starEnd := 0, 0 // behind the last * since the last **, and where its run ends; 0: none
	deep, deepEnd := 0, 0 // the same of the last **
	for {
		if i < len(p.text) && p.text[i] == '*' {
			if i+1 < len(p.text) && p.text[i+1] == '*' {
				i += 2
				deep, deepEnd, star = i, k, 0
			} else {
				i++
				star, starEnd = i, k
			}
			continue
		}
		if i < len(p.text) && k < len(name) && p.text[i] == name[k] {
			i++
			k++
			continue
		}
		switch {
		case i == len(p.text) && k == len(name):
			return true
		case star > 0 && starEnd == len(name):
			return false // a ** that began later would only see less
		case star > 0 && name[starEnd] != ':':
			starEnd++
			i, k = star, starEnd
			continue
		case deep == 0 || deepEnd == len(name):
			return false
		}
		// What follows the ** up to the * has a fixed number of colons: it can only
		// fit where the first of them is another one.
		for star > 0 && name[deepEnd] != ':' {
			deepEnd++
		}
		star = 0
		deepEnd++
		i, k = deep, deepEnd
	}
}
