package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sluice/plugins"
)

// settledTime is how old a file's last change must be for its size and time to
// say that nothing has changed since: file systems count in ticks, and two
// changes of one tick look like one.
const settledTime = 2 * time.Second

// look is what a file was when it was looked at. The zero value is a file that
// could not be found out about.
type look struct {
	state string      // equal if what would be read is equal
	info  os.FileInfo // nil: there is none
	taken time.Time
}

// lookAt looks at a file. It waits for nobody: opening a pipe would, without
// the flag.
func lookAt(path string) look {
	l := look{taken: time.Now()}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		l.state = "absent"
		return l
	}
	if err != nil {
		l.state = "unreadable"
		return l
	}
	defer f.Close()
	if l.info, err = f.Stat(); err != nil {
		l.state = "unreadable"
		return l
	}
	if !l.info.Mode().IsRegular() {
		l.state = l.info.Mode().Type().String()
		return l
	}
	if l.info.Size() > plugins.MaxModule {
		// Nothing that large is read; it is enough to notice when it has gone.
		l.state = "too large, of " + l.info.ModTime().String()
		return l
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(f, plugins.MaxModule+1)); err != nil {
		l.state = "unreadable"
		return l
	}
	l.state = hex.EncodeToString(sum.Sum(nil))
	return l
}

// changed reports whether another text would be read than when the file was
// looked at. A quick look does not read a file whose size and time are the same.
func (l *look) changed(path string, quick bool) bool {
	if quick && l.info != nil && l.taken.Sub(l.info.ModTime()) > settledTime {
		info, err := os.Stat(path)
		if err == nil && os.SameFile(info, l.info) && info.Size() == l.info.Size() && info.ModTime().Equal(l.info.ModTime()) {
			return false
		}
	}
	again := lookAt(path)
	if again.state != l.state {
		return true
	}
	*l = again
	return false
}

// looks are the files that a configuration was read from, by path, each as it
// was before it was read: a change in between is then noticed, if late. nil
// keeps nothing. It is owned by one load, and then by who has the turn to reload.
type looks map[string]*look

// look looks at a file that is about to be read.
func (s looks) look(path string) {
	if s == nil {
		return
	}
	path, err := filepath.Abs(path)
	if err != nil || s[path] != nil {
		return
	}
	l := lookAt(path)
	s[path] = &l
}

// add looks at those of the other files that were not looked at yet.
func (s looks) add(other looks) {
	for path := range other {
		s.look(path)
	}
}

// take takes over looks at other files, which are the later ones where both have
// looked, and the ones that count: they came right before the file was read.
func (s looks) take(other looks) {
	for path, l := range other {
		again := *l
		s[path] = &again
	}
}

// changed reports whether any of the files has.
func (s looks) changed(quick bool) bool {
	for path, l := range s {
		if l.changed(path, quick) {
			return true
		}
	}
	return false
}

// equal reports whether the same files were the same.
func (s looks) equal(other looks) bool {
	if len(s) != len(other) {
		return false
	}
	for path, l := range s {
		if o := other[path]; o == nil || o.state != l.state {
			return false
		}
	}
	return true
}

// lookAtNamed looks at the files that the configuration names and that are read
// later than itself: modules, their signatures, and keys.
func (l *loaded) lookAtNamed(s looks) {
	if s == nil {
		return
	}
	beside := func(f *FilterConfig, path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(f.Dir, path)
	}
	for i := range l.Filters {
		f := &l.Filters[i]
		for _, plugin := range []string{f.Plugin, f.Candidate.Plugin} {
			if isFile(plugin) {
				s.look(beside(f, plugin))
				s.look(beside(f, plugin) + ".sig")
			}
		}
		for _, k := range f.Keys {
			for _, text := range []secretText{k.PEM, k.JWK, k.JWKS} {
				if path := strings.TrimSpace(string(text)); isKeyFile(path) {
					s.look(beside(f, path))
				}
			}
		}
	}
}

// isFile reports whether a plugin is read from a file.
func isFile(plugin string) bool {
	return plugin != "" && !strings.HasPrefix(plugin, "builtin:") && !strings.Contains(plugin, "://")
}

// isKeyFile reports whether the value of a key is the path of a file, rather than
// a key or a URL. Of a damaged key it may say so too; there is no such file.
func isKeyFile(text string) bool {
	return text != "" && len(text) < 4096 && !strings.ContainsAny(text, "\n{") &&
		!strings.HasPrefix(text, "-----BEGIN ") && !strings.Contains(text, "://")
}
