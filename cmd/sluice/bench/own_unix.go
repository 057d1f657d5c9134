//go:build unix

package bench

import "syscall"

// raiseFileLimit raises the number of open files to need, as far as this process
// may, and returns what it is then.
func raiseFileLimit(need uint64) (limit uint64, known bool) {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0, false
	}
	if uint64(r.Cur) < need && r.Cur < r.Max {
		r.Cur = r.Max
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r) != nil || syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
			return 0, false
		}
	}
	return uint64(r.Cur), true
}

// ownCPU is the user and system time of this process in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
