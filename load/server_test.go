package load

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pretendDaemon is a program that says that it listens, and goes on until a signal. It returns the file that has its process id.
func pretendDaemon(t *testing.T) (program, pidFile string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	program, pidFile = filepath.Join(dir, "daemon"), filepath.Join(dir, "pid")
	script := "#!/bin/sh\necho $$ >" + pidFile + "\necho 'msg=listening addr=127.0.0.1:1 pin=' >&2\nexec sleep 60\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, pidFile
}

func signalPID(t *testing.T, pidFile string, sig syscall.Signal) {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// TestDaemonDies: a run whose daemon ends by itself ends at once, and tells so with the daemon's last lines; that is no violation.
func TestDaemonDies(t *testing.T) {
	cfg := pretendConfig()
	var pid string
	cfg.Daemon, pid = pretendDaemon(t)
	cfg.Addr, cfg.Duration = "", time.Minute
	killed, start := false, time.Now()
	res, err := Execute(t.Context(), cfg, Team{}, "test", func(Interval) {
		if !killed {
			killed = true
			signalPID(t, pid, syscall.SIGKILL)
		}
	})
	if err == nil || errors.Is(err, ErrViolation) || errors.Is(err, ErrConfig) || time.Since(start) > 20*time.Second {
		t.Fatalf("after %v: %v", time.Since(start), err)
	}
	if n := strings.Count(err.Error(), errDied.Error()+":\nmsg=listening"); n != 1 || res.Aborted != err.Error() {
		t.Errorf("told %d times: %v", n, err)
	}
}

// TestDiesBeforeItsEnd: a daemon that has ended by itself is told also when nobody has taken note of it before it was to be killed, or ended.
func TestDiesBeforeItsEnd(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		cmd := exec.Command("false")
		if err := cmd.Run(); err == nil {
			t.Fatal("it ended well")
		}
		exit := make(chan struct{})
		close(exit)
		s := &server{cmd: cmd, exit: exit, died: make(chan struct{}), log: []string{"panic: why"}}
		if err := s.end(sig); err == nil || !strings.Contains(err.Error(), "panic: why") {
			t.Errorf("%v: %v", sig, err)
		}
		s = &server{died: exit, log: []string{"panic: why"}}
		if err := s.end(sig); !errors.Is(err, errDied) {
			t.Errorf("%v, after note was taken: %v", sig, err)
		}
	}
}

// TestEndOfDaemon: one that is ended, and started again, has not ended by itself.
func TestEndOfDaemon(t *testing.T) {
	var cfg Config
	cfg.Daemon, _ = pretendDaemon(t)
	s, err := startServer(t.Context(), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.end(syscall.SIGKILL); err != nil || s.dead() {
			t.Fatal(err, s.dead())
		}
		if err := s.again(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.end(syscall.SIGKILL); err != nil || s.dead() {
		t.Error(err, s.dead())
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
