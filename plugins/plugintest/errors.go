package plugintest

import (
	"fmt"
	"strings"
)

// Error is one thing that is wrong with a file.
type Error struct {
	File string // as it was given; "" if it has none
	Line int    // 1 is the first; 0: the whole file
	Text string
}

func (e *Error) Error() string {
	switch {
	case e.File == "" && e.Line == 0:
		return e.Text
	case e.File == "":
		return fmt.Sprintf("line %d: %s", e.Line, e.Text)
	case e.Line == 0:
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Errors are all that is wrong with a file, in the order of its lines, up to
// maxErrors. Each stands on a line of its own.
type Errors []*Error

const maxErrors = 20

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// In returns the errors with the file's name, for those that were found in a
// part of it.
func (e Errors) In(file string) Errors {
	out := make(Errors, len(e))
	for i := range e {
		out[i] = &Error{File: file, Line: e[i].Line, Text: e[i].Text}
	}
	return out
}
