package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sluice/test/program"
)

// node is the real program in a process of its own.
type node struct{ *program.Process }

// startNode runs a node with further settings, the section redis among them, and
// with rooms named kept:* that have history and others that have none.
func startNode(t *testing.T, name, settings string) *node {
	t.Helper()
	dir := t.TempDir()
	done(t, os.WriteFile(filepath.Join(dir, "config.yaml"), fmt.Appendf(nil, program.Settings+program.Admin+`
node_id: %s
rooms:
  - {match: "kept:*", announce: off, history: {size: 2000, ttl: 30m}}
  - {match: "**", announce: off}
%s
`, name, settings), 0o600))
	return &node{program.Start(t, dir)}
}

// peak is the most memory that the process has had, in bytes; 0: not known here.
func (n *node) peak() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID))
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	kib := 0
	_, _ = fmt.Sscan(string(rest), &kib)
	return kib << 10
}
