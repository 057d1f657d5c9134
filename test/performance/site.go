package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// site is where the runs take place: the programs, and a folder for what they
// write.
type site struct {
	dir    string // removed by close
	sluice string
	floor  string
	redis  string // "": not installed
	cache  string // of compiled filters, shared by all nodes
}

// newSite builds what is measured. floor names another program with the same
// flags; "": ours.
func newSite(ctx context.Context, floor string) (*site, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sluice-performance-")
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir, sluice: filepath.Join(dir, "sluice"), floor: floor, cache: filepath.Join(dir, "cache")}
	if err := s.build(ctx, root); err != nil {
		s.close()
		return nil, err
	}
	s.redis, _ = exec.LookPath("redis-server")
	return s, nil
}

func (s *site) build(ctx context.Context, root string) error {
	if s.floor == "" {
		s.floor = filepath.Join(s.dir, "floor")
		if err := goBuild(ctx, filepath.Join(root, "test", "performance"), s.floor, "./floor"); err != nil {
			return err
		}
	} else {
		path, err := filepath.Abs(s.floor)
		if err != nil {
			return err
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			return fmt.Errorf("FLOOR=%s is no program", s.floor)
		}
		s.floor = path
	}
	return goBuild(ctx, root, s.sluice, "./cmd/sluice")
}

func (s *site) close() { os.RemoveAll(s.dir) }

func goBuild(ctx context.Context, dir, to, what string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to, what)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s in %s: %w\n%s", what, dir, err, out)
	}
	return nil
}

// findRoot is the folder of the module sluice, which this one is in.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if first, _, _ := bytes.Cut(text, []byte("\n")); err == nil && strings.TrimSpace(string(first)) == "module sluice" {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod of the module sluice in this folder or above: run it in test/performance")
		}
		dir = parent
	}
}
