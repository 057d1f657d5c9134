//go:build !linux

package redisbroker

const canRaw = false

func rawRead(uintptr, []byte) (n int, wait bool, err error) { panic("not used") }

func rawWrite(uintptr, []byte) (n int, wait bool, err error) { panic("not used") }

func rawQuiet(uintptr) bool { panic("not used") }
