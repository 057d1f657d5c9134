package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is where and what was measured.
type machine struct {
	Time   string `json:"time"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Commit string `json:"commit"` // "": not known
	Floor  string `json:"floor"`  // another program; "": ours
}

func thisMachine(floor string) machine {
	m := machine{Time: time.Now().UTC().Format(time.RFC3339), CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(), Floor: floor}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	// A checkout without git, or with none, has no commit to name.
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	return m
}

func (m machine) String() string {
	s := fmt.Sprintf("%s, %d processors, Linux %s, %s", m.CPU, m.Cores, m.Kernel, m.Go)
	if m.Commit != "" {
		s += ", commit " + m.Commit
	}
	if m.Floor != "" {
		s += ", floor " + m.Floor
	}
	return s
}
