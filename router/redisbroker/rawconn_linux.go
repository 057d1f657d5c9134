package redisbroker

import (
	"os"
	"syscall"
	"unsafe"
)

const canRaw = true

// rawRead reads what is there; wait: nothing is.
func rawRead(fd uintptr, p []byte) (n int, wait bool, err error) {
	return rawCall(syscall.SYS_READ, "read", fd, p)
}

// rawWrite writes what the descriptor takes now; wait: it takes nothing.
func rawWrite(fd uintptr, p []byte) (n int, wait bool, err error) {
	return rawCall(syscall.SYS_WRITE, "write", fd, p)
}

func rawCall(call uintptr, name string, fd uintptr, p []byte) (n int, wait bool, err error) {
	for {
		r, _, e := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch e {
		case 0:
			return int(r), false, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, os.NewSyscallError(name, e)
		}
	}
}

// rawQuiet reports that there is nothing to be read, not even the end.
func rawQuiet(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		if e != syscall.EINTR {
			return e == syscall.EAGAIN
		}
	}
}
