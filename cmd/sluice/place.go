package main

import (
	"fmt"
	"strings"
	"unicode"
)

// place is where a value was written.
type place struct {
	File string // with Line; "" if it was not a file
	Line int
	Name string // a variable or a flag; "" with File
}

func (p place) String() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Line > 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return p.File
}

// configError is one thing that is wrong with a configuration: where, which
// key, and what to do about it.
type configError struct {
	Place place
	Key   string // "" if the file as a whole is meant
	Text  string
}

func (e *configError) Error() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{e.Place.String(), e.Key, e.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// configErrors are all that was found, in the order of the file.
type configErrors []*configError

func (e configErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// maxConfigErrors keeps a file that is not a configuration at all from
// flooding the terminal.
const maxConfigErrors = 50

// full reports that no more errors are kept.
func (e configErrors) full() bool { return len(e) > maxConfigErrors }

// add appends an error, up to maxConfigErrors.
func (e *configErrors) add(p place, key, format string, args ...any) {
	switch {
	case len(*e) < maxConfigErrors:
		*e = append(*e, &configError{Place: p, Key: oneLine(key, 200), Text: oneLine(fmt.Sprintf(format, args...), 1000)})
	case len(*e) == maxConfigErrors:
		*e = append(*e, &configError{Text: "too many errors; the rest is not shown"})
	}
}

// oneLine cuts text, and takes out what would break the line or steer a
// terminal: some of it comes from the file, or from a filter.
func oneLine(text string, limit int) string {
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// orNil is the errors as an error, nil if there are none.
func (e configErrors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
