package main

import "syscall"

// endWithParent has the kernel end a child when this process is gone, even if
// it was killed.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
