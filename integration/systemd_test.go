package integration

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quicnprotochat/client"
)

// notifySocket is what systemd is to a service of Type=notify.
func notifySocket(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return path, func() string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		buf := make([]byte, 1024)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("nothing was told to systemd: %v", err)
		}
		return string(buf[:n])
	}
}

// TestSystemd: READY once it serves, STOPPING on TERM, and a clean end within 10 s although a client listens and does not go.
func TestSystemd(t *testing.T) {
	socket, next := notifySocket(t)
	t.Setenv("NOTIFY_SOCKET", socket)
	d := startDaemon(t, t.TempDir(), "127.0.0.1:0")
	if got := next(); !strings.Contains(got, "READY=1") {
		t.Errorf("told %q, want READY=1", got)
	}
	s := dial(t, d.addr, newPerson(t))
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Listen(context.Background(), client.ListenOptions{Started: func() { close(started) }},
			func(context.Context, client.Queue, []client.Envelope) error { return nil })
	}()
	select {
	case <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	start := time.Now()
	if err := d.terminate(); err != nil {
		t.Errorf("ended with %v:\n%s", err, d.logText())
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("ended after %v", took)
	}
	if got := next(); !strings.Contains(got, "STOPPING=1") {
		t.Errorf("told %q, want STOPPING=1", got)
	}
	if err := <-ended; err == nil {
		t.Error("the client was not told")
	}
}

// TestSocketActivation: the daemon serves on the UDP socket that systemd hands it, whatever --listen says.
func TestSocketActivation(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := conn.LocalAddr().String()
	file, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	defer file.Close()
	// systemd gives the process its own pid in LISTEN_PID: a shell that becomes the daemon knows it.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --listen 127.0.0.1:1 --data-dir "$1"`, filepath.Join(bin, "quicnprotochatd"), t.TempDir())
	cmd.ExtraFiles = []*os.File{file}
	d := runDaemon(t, cmd)
	if d.addr != addr {
		t.Errorf("serves on %s, was handed %s", d.addr, addr)
	}
	if _, err := dial(t, addr, newPerson(t)).ServerInfo(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.terminate(); err != nil {
		t.Errorf("ended with %v:\n%s", err, d.logText())
	}
}
