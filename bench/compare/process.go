package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = time.Minute
	stopLimit  = 30 * time.Second
	keptLines  = 20
)

// A process is a server that we started.
type process struct {
	cmd  *exec.Cmd
	exit chan struct{} // closed when it has ended

	mu  sync.Mutex
	log []string // its last lines
}

// launch starts cmd and waits for the first line of its standard error for which ready returns something, which it returns.
func launch(ctx context.Context, cmd *exec.Cmd, ready func(line string) string) (*process, string, error) {
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, "", err
	}
	if _, err := cmd.StdinPipe(); err != nil { // NATS runs until that ends
		return nil, "", err
	}
	p := &process{cmd: cmd, exit: make(chan struct{})}
	found, began := make(chan string, 1), make(chan error)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // so that no server outlives a comparison that was killed
	go func() {
		defer close(p.exit)
		runtime.LockOSThread() // the signal comes when this thread ends, not the process
		err := cmd.Start()
		began <- err
		if err == nil {
			p.read(out, ready, found)
			_ = cmd.Wait()
		}
	}()
	if err := <-began; err != nil {
		return nil, "", err
	}
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	select {
	case s := <-found:
		return p, s, nil
	case <-p.exit:
		err = errors.New("it ended")
	case <-limit.C:
		err = fmt.Errorf("it is not ready after %v", startLimit)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	_ = p.stop()
	return nil, "", fmt.Errorf("%s: %w\n%s", cmd.Path, err, p.lastLines())
}

func (p *process) read(r io.Reader, ready func(string) string, found chan<- string) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		p.mu.Lock()
		p.log = append(p.log, sc.Text())
		p.log = p.log[max(0, len(p.log)-keptLines):]
		p.mu.Unlock()
		if s := ready(sc.Text()); s != "" {
			select {
			case found <- s:
			default:
			}
		}
	}
}

func (p *process) lastLines() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the process to end, and kills it if it does not.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-p.exit:
		return nil
	case <-limit.C:
		_ = p.cmd.Process.Kill()
		<-p.exit
		return fmt.Errorf("%s did not end in %v and was killed", p.cmd.Path, stopLimit)
	}
}

// ticks is the unit of CPU time in /proc/PID/stat: 1/100 s on each Linux that Go runs on.
const ticks = 100

// cpuSeconds is the time that a process has used since it began, of all its threads, in user mode and in the kernel.
func cpuSeconds(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The fields come after the name, which may hold anything: state is the 3rd of all, utime and stime the 14th and 15th.
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	user, err1 := strconv.ParseUint(f[11], 10, 64)
	kernel, err2 := strconv.ParseUint(f[12], 10, 64)
	return float64(user+kernel) / ticks, errors.Join(err1, err2)
}

const tmpfsMagic = 0x01021994 // linux/magic.h

// warnOfMemory says so if what the servers sync goes nowhere.
func warnOfMemory(dir string, w io.Writer) {
	if dir == "" {
		dir = os.TempDir()
	}
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) == nil && st.Type == tmpfsMagic {
		fmt.Fprintf(w, "%s is in memory: a sync costs nothing there; name a directory on a disk with -dir\n", dir)
	}
}
