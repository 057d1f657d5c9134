//go:build linux && !amd64 && !arm64

package bench

const sysEpollPwait2 = 0
