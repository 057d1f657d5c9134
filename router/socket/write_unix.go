//go:build unix

package socket

import "syscall"

const canWriteRaw = true

// writeOnce writes what the socket takes now.
func writeOnce(fd uintptr, p []byte) (n int, full bool, err error) {
	for {
		n, err = write(fd, p)
		switch err {
		case nil:
			return n, n < len(p), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, err
		}
	}
}
