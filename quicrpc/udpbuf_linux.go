package quicrpc

import (
	"net"
	"syscall"
)

// receiveBuffer returns the size of pc's kernel receive buffer in bytes, as the kernel counts it.
func receiveBuffer(pc net.PacketConn) (int, bool) {
	sc, ok := pc.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	var size int
	var serr error
	err = raw.Control(func(fd uintptr) { size, serr = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF) })
	return size, err == nil && serr == nil
}
