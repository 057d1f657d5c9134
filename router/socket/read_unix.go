//go:build unix

package socket

import (
	"io"
	"syscall"
)

// readOnce reads what has come; again says that nothing has.
func readOnce(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = read(fd, p)
		switch {
		case err == nil && n > 0:
			return n, false, nil
		case err == nil:
			return 0, false, io.EOF
		case err == syscall.EAGAIN:
			return 0, true, nil
		case err != syscall.EINTR:
			return 0, false, err
		}
	}
}
