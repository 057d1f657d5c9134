package bench

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// epollEngine is one thread with one epoll instance and raw system calls. The
// load shares its machine with the server, and a goroutine for each connection
// costs about twice as much for a delivery: a read that finds nothing, and a
// goroutine that parks and wakes.
type epollEngine struct {
	r      *run
	epoll  int
	byFD   []*client
	events [256]syscall.EpollEvent
	buf    []byte // of whatever is read now
	coarse bool   // waits are in milliseconds: epoll_pwait2 is not there
}

// portsOfAnAddress is how many connections leave from one loopback address: there
// are about 28,000 ports to leave from, and some are of the run before.
const portsOfAnAddress = 12_000

func newEngine(r *run) (engine, error) {
	if r.target.secure || r.publishTarget.secure || r.o.plain {
		return newPlainEngine(r), nil
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	runtime.LockOSThread()
	return &epollEngine{r: r, epoll: epoll, buf: make([]byte, readBuffer), coarse: sysEpollPwait2 == 0}, nil
}

func (e *epollEngine) dial(c *client) error {
	family := syscall.AF_INET
	var to, from syscall.Sockaddr
	port := int(c.target.addr.Port())
	if addr := c.target.addr.Addr(); addr.Is4() {
		to = &syscall.SockaddrInet4{Port: port, Addr: addr.As4()}
		if addr.IsLoopback() {
			from = &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + c.index/portsOfAnAddress)}}
		}
	} else {
		family, to = syscall.AF_INET6, &syscall.SockaddrInet6{Port: port, Addr: addr.As16()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	c.fd = fd
	for len(e.byFD) <= fd {
		e.byFD = append(e.byFD, make([]*client, 1024)...)
	}
	e.byFD[fd] = c
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if c.slow {
		_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, slowBuffer)
	}
	if c.index >= portsOfAnAddress && from != nil {
		const bindAddressNoPort = 24 // of <linux/in.h>: the port is chosen by connect
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1)
		if err := syscall.Bind(fd, from); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	if err := syscall.Connect(fd, to); err != nil && err != syscall.EINPROGRESS {
		if err == syscall.EADDRNOTAVAIL {
			return os.NewSyscallError("connect", err)
		}
		c.ended(os.NewSyscallError("connect", err))
		return nil
	}
	c.polled = syscall.EPOLLIN | syscall.EPOLLOUT
	event := syscall.EpollEvent{Events: c.polled, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(e.epoll, syscall.EPOLL_CTL_ADD, fd, &event))
}

// ask sets what a connection is polled for.
func (e *epollEngine) ask(c *client, events uint32) {
	if c.polled == events || c.state == gone {
		return
	}
	c.polled = events
	event := syscall.EpollEvent{Events: events, Fd: int32(c.fd)}
	if err := syscall.EpollCtl(e.epoll, syscall.EPOLL_CTL_MOD, c.fd, &event); err != nil {
		c.ended(os.NewSyscallError("epoll_ctl", err))
	}
}

func (e *epollEngine) poll(wait time.Duration) {
	n := e.wait(max(wait, 0))
	for i := range n {
		c := e.byFD[e.events[i].Fd]
		if c == nil || c.state == gone {
			continue
		}
		events := e.events[i].Events
		if c.state == dialling {
			e.connected(c)
			continue
		}
		if events&syscall.EPOLLOUT != 0 {
			e.flush(c)
		}
		if events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 && c.state != gone {
			e.read(c, events)
		}
	}
}

// wait fills events. It does not tell the scheduler of a call that returns at
// once.
func (e *epollEngine) wait(d time.Duration) int {
	if e.coarse {
		n, err := syscall.EpollWait(e.epoll, e.events[:], int((d+time.Millisecond-1)/time.Millisecond))
		if err != nil {
			return 0 // interrupted
		}
		return n
	}
	ts := syscall.NsecToTimespec(int64(d))
	var n uintptr
	var errno syscall.Errno
	if d == 0 {
		n, _, errno = syscall.RawSyscall6(sysEpollPwait2, uintptr(e.epoll), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(sysEpollPwait2, uintptr(e.epoll), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
	switch errno {
	case 0:
		return int(n)
	case syscall.ENOSYS, syscall.EPERM: // an old kernel, or a sandbox that does not know it
		e.coarse = true
	}
	return 0
}

func (e *epollEngine) connected(c *client) {
	code, err := syscall.GetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	if err != nil {
		c.ended(os.NewSyscallError("connect", err))
		return
	}
	e.ask(c, syscall.EPOLLIN)
	c.connected()
}

func (e *epollEngine) read(c *client, events uint32) {
	if c.polled&syscall.EPOLLIN == 0 {
		if events&(syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
			e.resume(c) // it has ended; what lies there may say why
		}
		return
	}
	if want := max(c.need, len(c.rest)) + readBuffer/2; want > len(e.buf) {
		e.buf = make([]byte, want)
	}
	have := copy(e.buf, c.rest)
	n, errno := rawRead(c.fd, e.buf[have:])
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
	case errno != 0:
		c.ended(os.NewSyscallError("read", errno))
	case n == 0:
		c.ended(errEOF)
	default:
		c.received(e.buf[:have+n], e.r.now())
	}
}

func (e *epollEngine) write(c *client, p []byte) {
	if c.state == gone {
		return
	}
	if len(c.out) == 0 {
		n, errno := rawWrite(c.fd, p)
		if errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR {
			c.ended(os.NewSyscallError("write", errno))
			return
		}
		p = p[n:]
	}
	if len(p) > 0 {
		c.out = append(c.out, p...)
		e.ask(c, c.polled|syscall.EPOLLOUT)
	}
}

func (e *epollEngine) flush(c *client) {
	if len(c.out) > 0 {
		n, errno := rawWrite(c.fd, c.out)
		if errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR {
			c.ended(os.NewSyscallError("write", errno))
			return
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
	if len(c.out) == 0 {
		c.out = nil
		e.ask(c, c.polled&^uint32(syscall.EPOLLOUT))
	}
}

func (e *epollEngine) waiting(c *client) int { return len(c.out) }

func (e *epollEngine) pause(c *client)  { e.ask(c, c.polled&^uint32(syscall.EPOLLIN)) }
func (e *epollEngine) resume(c *client) { e.ask(c, c.polled|syscall.EPOLLIN) }

func (e *epollEngine) close(c *client) {
	if c.fd > 0 {
		e.byFD[c.fd] = nil
		syscall.Close(c.fd)
		c.fd, c.out = 0, nil
	}
}

func (e *epollEngine) shut() {
	for _, c := range e.byFD {
		if c != nil {
			c.leave()
		}
	}
	syscall.Close(e.epoll)
	runtime.UnlockOSThread()
}

// rawRead and rawWrite do not tell the scheduler of calls that do not block.

func rawRead(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func rawWrite(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
