package main

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// points are the places in the file system at which it is decided what some
// paths lead to: the files themselves, each symbolic link on the way to them,
// and for what is not there the first name that is missing.
type points struct {
	names   map[string]bool // at which something may happen, free of links but for the last element
	folders map[string]bool // that hold them
}

func newPoints(files looks) points {
	p := points{make(map[string]bool), make(map[string]bool)}
	for path := range files {
		p.follow(path)
	}
	return p
}

// follow adds the points of an absolute path.
func (p points) follow(path string) {
	root := filepath.VolumeName(path) + string(filepath.Separator)
	at, rest := root, elements(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		full := filepath.Join(at, name)
		info, err := os.Lstat(full)
		if err == nil && info.Mode()&os.ModeSymlink != 0 {
			p.mark(at, full)
			target, err := os.Readlink(full)
			if links++; err != nil || links > maxLinks {
				return
			}
			if filepath.IsAbs(target) {
				at = root
			}
			rest = append(elements(target), rest...)
			continue
		}
		if err != nil || !info.IsDir() || len(rest) == 0 {
			p.mark(at, full)
			return
		}
		at = full
	}
}

func (p points) mark(folder, name string) {
	p.names[name] = true
	p.folders[folder] = true
}

// concerns reports whether something that happened at the path may change what
// is read. A folder's own events are about its having moved or gone.
func (p points) concerns(path string) bool { return p.names[path] || p.folders[path] }

// elements are the names of a path from its root, ".." among them.
func elements(path string) []string {
	var out []string
	for name := range strings.SplitSeq(filepath.ToSlash(path[len(filepath.VolumeName(path)):]), "/") {
		if name != "" && name != "." {
			out = append(out, name)
		}
	}
	return out
}
