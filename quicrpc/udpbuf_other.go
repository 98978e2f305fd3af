//go:build !linux

package quicrpc

import "net"

func receiveBuffer(net.PacketConn) (int, bool) { return 0, false }
