package main

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document parses the text into its one document; nil if it has none.
func (r *strictReader) document(text []byte) *yaml.Node {
	fail := func(line int, format string, args ...any) *yaml.Node {
		r.errs.add(place{File: r.file, Line: line}, "", format, args...)
		return nil
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return fail(0, "the file is empty; write at least one key, or remove the file to use the defaults")
	}
	if line := badUTF8(text); line > 0 {
		return fail(line, "the file is not UTF-8 text; save it as UTF-8")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF): // nothing but comments: the defaults
		return nil
	case err != nil:
		return fail(yamlError(text, err))
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return fail(second.Line, "a second document starts here; a configuration is one document: remove the line ---")
	case !errors.Is(err, io.EOF):
		return fail(yamlError(text, err))
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// badUTF8 is the line of the first bytes that are not UTF-8; 0: there are none.
func badUTF8(text []byte) int {
	line := 1
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		if c == utf8.RuneError && n == 1 || c == 0 {
			return line
		}
		if c == '\n' {
			line++
		}
		text = text[n:]
	}
	return 0
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// yamlError takes the line out of the parser's message, and names the most
// common mistake.
func yamlError(text []byte, err error) (line int, format string, args any) {
	message := err.Error()
	m := yamlLine.FindStringSubmatch(message)
	line, _ = strconv.Atoi(m[1])
	lines := bytes.Split(text, []byte("\n"))
	// The parser counts some errors from the line before.
	for _, n := range []int{line, line + 1} {
		if n >= 1 && n <= len(lines) && bytes.ContainsRune(indentation(lines[n-1]), '\t') {
			return n, "%s", "the line is indented with a tab; YAML wants spaces"
		}
	}
	return line, "not valid YAML: %s", strings.TrimPrefix(message, m[0])
}

func indentation(line []byte) []byte {
	return line[:len(line)-len(bytes.TrimLeft(line, " \t-"))]
}
