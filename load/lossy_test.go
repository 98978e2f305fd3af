package load

import (
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// echo is a daemon that returns each datagram to whom it came from.
func echo(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return c
}

// exchange sends n datagrams, one after another, through a relay and counts those that come back.
func exchange(t *testing.T, l *lossy, n int) (back int) {
	t.Helper()
	c, err := net.Dial("udp4", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 64)
	for i := range n {
		sent := binary.BigEndian.AppendUint64(nil, uint64(i))
		before := l.dropped.Load()
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		for l.dropped.Load() == before {
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			k, err := c.Read(buf)
			if err != nil {
				continue // lost, or not here yet
			}
			if got := binary.BigEndian.Uint64(buf[:k]); got == uint64(i) {
				back++
				break
			}
		}
	}
	return back
}

func TestLossy(t *testing.T) {
	for _, c := range []struct {
		loss     float64
		min, max int // of 400 that come back
	}{
		{0, 400, 400},
		{0.25, 150, 300}, // 225: each way a quarter is lost
	} {
		l, err := newLossy(echo(t).LocalAddr().String(), c.loss, 1)
		if err != nil {
			t.Fatal(err)
		}
		back := exchange(t, l, 400)
		passed, dropped := l.passed.Load(), l.dropped.Load()
		l.close()
		if back < c.min || back > c.max {
			t.Errorf("loss %v: %d of 400 came back, want %d to %d", c.loss, back, c.min, c.max)
		}
		if c.loss == 0 && (dropped != 0 || passed != 800) {
			t.Errorf("no loss: %d passed, %d dropped", passed, dropped)
		}
	}
}

// Clients have a socket each towards the daemon, at their own address.
func TestLossyKeepsAddresses(t *testing.T) {
	daemon, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close()
	l, err := newLossy(daemon.LocalAddr().String(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	seen := make(map[string]bool)
	for i := range 3 {
		at := &net.UDPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}
		to, err := net.ResolveUDPAddr("udp4", l.addr())
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.DialUDP("udp4", at, to)
		if err != nil {
			t.Skip("no more loopback addresses here:", err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 16)
		_ = daemon.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, from, err := daemon.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if want := at.IP.String(); from.Addr().Unmap().String() != want {
			t.Errorf("the daemon sees %v, want %s", from, want)
		}
		seen[from.String()] = true
	}
	if len(seen) != 3 {
		t.Errorf("the daemon sees %d clients, want 3", len(seen))
	}
}

// A daemon that is away for a time does not end a path.
func TestLossyOutlivesTheDaemon(t *testing.T) {
	first, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := first.LocalAddr().(*net.UDPAddr)
	l, err := newLossy(at.String(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	_ = first.Close()
	c, err := net.Dial("udp4", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 { // the kernel answers these with an error, which the relay sees with the next
		if _, err := c.Write([]byte("nobody")); err != nil {
			t.Fatal(err)
		}
	}
	second, err := net.ListenUDP("udp4", at)
	if err != nil {
		t.Skip("the port went to another:", err)
	}
	defer second.Close()
	buf := make([]byte, 16)
	for range 10 {
		if _, err := c.Write([]byte("here")); err != nil {
			t.Fatal(err)
		}
		_ = second.SetReadDeadline(time.Now().Add(time.Second))
		if n, _, err := second.ReadFromUDPAddrPort(buf); err == nil && string(buf[:n]) == "here" {
			return
		}
	}
	t.Fatal("nothing came through after the daemon was back")
}
