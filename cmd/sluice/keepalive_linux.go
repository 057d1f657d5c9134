package main

import (
	"net"
	"syscall"
)

// listenConfig has connections probe for peers that are gone as Go's default has: after 15
// seconds without a byte, every 15 seconds, 9 times. Here they inherit that from the
// listening socket; by default it takes four system calls for each of them. As there, a
// kernel that cannot probe is no reason not to serve.
var listenConfig = net.ListenConfig{
	KeepAlive: -1,
	Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 9)
		})
	},
}
