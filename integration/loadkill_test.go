package integration

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLoadKilled: the daemon that the harness has started does not outlive it, however it ends.
func TestLoadKilled(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGHUP, syscall.SIGTERM} {
		cmd := exec.Command(filepath.Join(bin, "quicnprotochat-load"), "relay", "--pairs", "1", "--duration", "1m", "--daemon", filepath.Join(bin, "quicnprotochatd"))
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
		startTelling(t, cmd)
		daemons := childrenOf(t, cmd.Process.Pid)
		if len(daemons) != 1 {
			t.Errorf("%v: %d children", sig, len(daemons))
		}
		_ = cmd.Process.Signal(sig)
		_ = cmd.Wait()
		for _, pid := range daemons {
			awaitEnd(t, pid)
		}
	}
}

// startTelling starts a harness, and returns when it tells its first interval on what is returned: its standard error.
func startTelling(t *testing.T, cmd *exec.Cmd) io.ReadCloser {
	t.Helper()
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return out
}

// childrenOf lists the processes whose parent is pid (proc_pid_stat(5)).
func childrenOf(t *testing.T, pid int) (out []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		// The parent is the second field after the name, which may hold anything.
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(f) < 2 || f[1] != strconv.Itoa(pid) {
			continue
		}
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, child)
	}
	return out
}

// awaitEnd waits until there is no process pid, or only its remains, which whoever adopted it has not taken yet.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d is there yet: %s", pid, stat)
		}
	}
}

// TestLoadUnread: when nobody reads any more what the harness tells, it ends in order: with the daemon, and leaving no files.
func TestLoadUnread(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(filepath.Join(bin, "quicnprotochat-load"), "relay", "--pairs", "1", "--duration", "1m", "--interval", "20ms", "--daemon", filepath.Join(bin, "quicnprotochatd"))
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out := startTelling(t, cmd)
	daemons := childrenOf(t, cmd.Process.Pid)
	_ = out.Close()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || len(daemons) != 1 {
		t.Errorf("%v, %d children", cmd.ProcessState, len(daemons))
	}
	for _, pid := range daemons {
		awaitEnd(t, pid)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestLoadNohup: a harness that was told not to mind a hangup does not.
func TestLoadNohup(t *testing.T) {
	cmd := exec.Command("nohup", filepath.Join(bin, "quicnprotochat-load"), "relay", "--pairs", "1", "--warmup", "100ms", "--duration", "500ms", "--interval", "20ms",
		"--daemon", filepath.Join(bin, "quicnprotochatd"))
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out := startTelling(t, cmd)
	_ = cmd.Process.Signal(syscall.SIGHUP)
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
