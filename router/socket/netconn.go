package socket

import (
	"net"
	"syscall"
	"time"
)

// past is a deadline that makes a waiting call return.
var past = time.Unix(1, 0)

// receive waits until something has come and takes it, all that there is if
// it has room.
func (s *Socket) receive() error {
	if s.raw == nil {
		return s.receivePlain()
	}
	if err := s.raw.Read(s.take); err != nil {
		return err
	}
	return s.in.err
}

// takeNow is called when something may have come. While nothing has, there is
// no input: the buffer that was tried with goes back.
func (s *Socket) takeNow(fd uintptr) bool {
	in := s.in
	if in == nil {
		in = inputs.Get().(*input)
		s.in = in
	}
	n, again, err := readOnce(fd, in.room(s.readLimit))
	if again {
		if in.idle() {
			s.in = nil
			in.free()
		}
		return false
	}
	in.err = err
	in.came(n)
	return true
}

// receivePlain is receive for a connection that can only be read by waiting
// with a buffer in hand.
func (s *Socket) receivePlain() error {
	if s.in != nil && s.in.idle() && len(s.in.buf) != plainStep {
		s.in.free()
		s.in = nil
	}
	if s.in == nil {
		s.in = plainInputs.Get().(*input)
	}
	n, err := s.nc.Read(s.in.room(s.readLimit))
	if n > 0 {
		s.in.came(n)
		return nil // the error comes again
	}
	return err
}

// rawConn gives access to the descriptor of a connection that is nothing but a
// socket. Other types may do more in their Read and Write.
func rawConn(nc net.Conn) syscall.RawConn {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil || !canWriteRaw {
		return nil
	}
	return raw
}

// abort ends the connection without waiting for anything that is not written,
// in the kernel too.
func abort(nc net.Conn) {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS would wait to say goodbye
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
}

// linger waits, for a moment, for the peer to end the connection. To close it
// while the peer still sends would reset it, and what is on its way to the
// peer, the close frame above all, would be lost.
func linger(nc net.Conn, buf []byte) {
	if t, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = t.CloseWrite()
	}
	_ = nc.SetReadDeadline(time.Now().Add(lingerTime))
	for n := 0; n < lingerSize; {
		k, err := nc.Read(buf)
		if err != nil {
			return
		}
		n += k
	}
}
