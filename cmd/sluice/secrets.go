package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"sluice/plugins/lookup"
)

const (
	maxSecretFile = 64 << 10 // bytes of a file named by file:
	maxResolved   = 1 << 20  // bytes of a value after substitution
)

// secretText is a value that is, or may hold, a key. It prints as [redacted],
// so that a configuration can be logged.
type secretText string

// Format prints no text, whatever the verb.
func (s secretText) Format(f fmt.State, _ rune) {
	if s != "" {
		_, _ = io.WriteString(f, "[redacted]")
	}
}

// MarshalText encodes no text.
func (s secretText) MarshalText() ([]byte, error) { return fmt.Append(nil, s), nil }

// secrets puts the values of variables and files into strings, so that no
// secret has to stand in the configuration.
type secrets struct {
	env  map[string]string
	used map[string]bool // variables that some value refers to

	filled []string // paths within filters' config whose value came from a variable or a file
	looks  looks    // is told of each file before it is read
}

func newSecrets(env []string) *secrets {
	s := &secrets{env: make(map[string]string, len(env)), used: make(map[string]bool)}
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			s.env[name] = value
		}
	}
	return s
}

// resolve replaces a whole value "file:PATH" by the contents of the file
// (relative to dir, without the newline at its end), and each ${NAME} by the
// variable. $${ is a literal ${, and ${user} stays for those who know the user.
// A missing or empty variable or file is an error: a secret that is not there
// must not become an empty one.
func (s *secrets) resolve(text, dir string) (value string, resolved bool, err error) {
	return s.fill(text, dir, func(name string) bool { return name == "user" })
}

// resolveConfig is resolve for what a filter or a lookup reads itself, in which
// ${claims.NAME} stays as well: no variable has such a name.
func (s *secrets) resolveConfig(text, dir string) (value string, resolved bool, err error) {
	return s.fill(text, dir, func(name string) bool {
		claim, ok := strings.CutPrefix(name, "claims.")
		return name == "user" || ok && claim != ""
	})
}

// resolveTemplate is resolve for a template of a lookup, in which all fields of
// the event stay.
func (s *secrets) resolveTemplate(text, dir string) (value string, resolved bool, err error) {
	return s.fill(text, dir, lookup.IsField)
}

func (s *secrets) fill(text, dir string, stays func(name string) bool) (value string, resolved bool, err error) {
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		if path == "" {
			return "", true, errors.New("file: names no file")
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		s.looks.look(path)
		value, err = readSecret(path)
		return value, true, err
	}
	if !strings.Contains(text, "${") {
		return text, false, nil
	}
	var out strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "${")
		if !found {
			out.WriteString(rest)
			return out.String(), resolved, nil
		}
		if literal, ok := strings.CutSuffix(before, "$"); ok {
			out.WriteString(literal + "${")
			rest = after
			continue
		}
		out.WriteString(before)
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return "", false, errors.New("${ is not closed; write ${NAME}, or $${ for a literal ${")
		}
		if stays(name) {
			out.WriteString("${" + name + "}")
		} else {
			v, err := s.variable(name)
			if err != nil {
				return "", false, err
			}
			out.WriteString(v)
			resolved = true
		}
		if out.Len() > maxResolved {
			return "", false, errors.New("the value is over 1MiB once its variables are filled in")
		}
		rest = after
	}
}

func (s *secrets) variable(name string) (string, error) {
	if !isVariable(name) {
		return "", fmt.Errorf("${%.40s} does not name an environment variable; write $${ for a literal ${", name)
	}
	s.used[name] = true
	v, ok := s.env[name]
	switch {
	case !ok:
		return "", fmt.Errorf("the environment variable %s is not set", name)
	case v == "":
		return "", fmt.Errorf("the environment variable %s is empty", name)
	case !utf8.ValidString(v):
		return "", fmt.Errorf("the environment variable %s is not UTF-8", name)
	}
	return v, nil
}

func isVariable(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// readSecret reads a small text file.
func readSecret(path string) (string, error) {
	data, err := readSmall(path, maxSecretFile)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(data), "\r\n")
	switch {
	case text == "":
		return "", fmt.Errorf("%s is empty", path)
	case !utf8.ValidString(text):
		return "", fmt.Errorf("%s is not UTF-8 text", path)
	}
	return text, nil
}

// readSmall reads a regular file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	// Looked at before it is opened: opening a pipe would wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file but a %s", path, modeName(info.Mode()))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %s", path, Size(limit))
	}
	return data, nil
}

func modeName(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&os.ModeNamedPipe != 0:
		return "pipe"
	}
	return "device or socket"
}

// fileError says in one line why a file cannot be read.
func fileError(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist", path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s cannot be read: permission denied; check its owner and mode", path)
	}
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("%s cannot be read: %w", path, err)
}
