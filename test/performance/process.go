package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	startPatience = 30 * time.Second // from the start of a server until it answers
	stopPatience  = 3 * time.Second  // from SIGTERM until SIGKILL
)

// process is a server that was started here. It ends with stop, and with this
// process, however that ends.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when it has ended
}

// startProcess starts a program. Its output goes to a file that is shown if it
// does not get ready. env is beside the environment of this process.
func startProcess(name, logFile string, env []string, path string, args ...string) (*process, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, log: log, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = endWithParent()
	if err := p.cmd.Start(); err != nil {
		log.Close()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ready waits until the process accepts connections at addr.
func (p *process) ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		var d net.Dialer
		if conn, err := d.DialContext(ctx, "tcp", addr); err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-p.done:
			return fmt.Errorf("%s has ended: %s", p.name, p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer at %s: %w: %s", p.name, addr, ctx.Err(), p.said())
		}
	}
}

// said is the end of what the process has written.
func (p *process) said() string {
	text, _ := os.ReadFile(p.log.Name())
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return "it wrote nothing"
	}
	return string(text[max(0, len(text)-1000):])
}

// stop ends the process and waits for that.
func (p *process) stop() {
	defer p.log.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-p.done:
	case <-patience.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// freeAddress is one of loopback at which nobody listens now. Somebody may by
// the time that it is used: whoever starts a server there tries again.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
