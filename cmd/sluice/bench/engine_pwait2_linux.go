//go:build linux && (amd64 || arm64)

package bench

const sysEpollPwait2 = 441 // of Linux 5.11; package syscall does not have it
