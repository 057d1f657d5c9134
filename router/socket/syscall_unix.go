//go:build unix && (!linux || race)

package socket

import "syscall"

// The race detector takes what goes through a socket as synchronisation only where it sees the calls.

func read(fd uintptr, p []byte) (int, error)  { return syscall.Read(int(fd), p) }
func write(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }
