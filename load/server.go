package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A server is the daemon's process, if the harness knows it.
type server struct {
	data          string
	own           string       // directory to remove at the end; the debug socket lies in it
	program, addr string       // to start it again
	bare          *bareProcess // what takes the daemon's place; nil: nothing

	mu   sync.Mutex
	cmd  *exec.Cmd // nil: not ours
	pid  int
	exit chan struct{} // closed when cmd has ended
	died chan struct{} // closed when it has, and we did not end it; nil: the daemon is not ours
	log  []string      // its last lines
}

// startServer starts Config.Daemon, or takes the process that Config.PID names, and completes cfg.
func startServer(ctx context.Context, cfg *Config) (*server, error) {
	s := &server{data: cfg.Data, pid: cfg.PID}
	if cfg.Bare {
		b, err := startBare()
		if err != nil {
			return nil, err
		}
		s.bare, s.pid, cfg.Addr = b, b.pid(), b.addr
		return s, nil
	}
	if cfg.Daemon == "" {
		return s, nil
	}
	dir, err := os.MkdirTemp("", "quicnprotochat-load-")
	if err != nil {
		return nil, err
	}
	s.own, s.died = dir, make(chan struct{})
	if s.data == "" {
		s.data = filepath.Join(dir, "data")
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	addr, pin, err := s.launch(ctx, cfg.Daemon, cfg.Addr)
	if err != nil {
		if ended := s.stop(); !errors.Is(ended, errDied) { // err says that, and why
			err = errors.Join(err, ended)
		}
		return nil, err
	}
	cfg.Addr, cfg.Pin = addr, pin
	s.program, s.addr = cfg.Daemon, addr
	return s, nil
}

// again starts our daemon once more after it has ended, at the same address.
func (s *server) again(ctx context.Context) error {
	_, _, err := s.launch(ctx, s.program, s.addr)
	return err
}

// debugSocket is the path of the daemon's debug socket, empty if it is not known.
func (s *server) debugSocket() string {
	if s.own == "" {
		return ""
	}
	return filepath.Join(s.own, "debug")
}

// launch runs the program and waits until it says where it listens.
func (s *server) launch(ctx context.Context, program, listen string) (addr, pin string, err error) {
	cmd := exec.Command(program, "--listen", listen, "--data-dir", s.data, "--debug-socket", s.debugSocket())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", "", err
	}
	listening, exit, began := make(chan [2]string, 1), make(chan struct{}), make(chan error)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // so that no daemon outlives a harness that was killed
	go func() {
		defer close(exit)
		runtime.LockOSThread() // the signal comes when this thread ends, not the process
		err := cmd.Start()
		began <- err
		if err == nil {
			s.readLog(bufio.NewScanner(stderr), listening)
			_ = cmd.Wait()
			s.over(cmd)
		}
	}()
	if err := <-began; err != nil {
		return "", "", fmt.Errorf("%w: the daemon: %w", ErrConfig, err)
	}
	s.mu.Lock()
	s.cmd, s.pid, s.exit = cmd, cmd.Process.Pid, exit
	s.mu.Unlock()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	select {
	case l := <-listening:
		return l[0], l[1], nil
	case <-exit:
		err = fmt.Errorf("the daemon did not start: %s", cmd.ProcessState)
	case <-timeout.C:
		err = errors.New("the daemon does not listen after a minute")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if lines := s.lastLines(); lines != "" {
		err = fmt.Errorf("%w:\n%s", err, lines)
	}
	return "", "", err
}

// over is told that a process of ours has ended. Whoever ends it has taken it from cmd before.
func (s *server) over(cmd *exec.Cmd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == cmd && !s.dead() {
		s.cmd = nil
		close(s.died)
	}
}

const keptLines = 20

func (s *server) readLog(sc *bufio.Scanner, listening chan<- [2]string) {
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		s.mu.Lock()
		s.log = append(s.log, line)
		s.log = s.log[max(0, len(s.log)-keptLines):]
		s.mu.Unlock()
		if _, rest, ok := strings.Cut(line, "msg=listening addr="); ok {
			addr, rest, _ := strings.Cut(rest, " ")
			pin, _, _ := strings.Cut(strings.TrimPrefix(rest, "pin="), " ")
			select {
			case listening <- [2]string{addr, pin}:
			default:
			}
		}
	}
}

func (s *server) lastLines() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// end sends a signal to our daemon, and waits until it has ended.
func (s *server) end(sig syscall.Signal) error {
	s.mu.Lock()
	cmd, exit := s.cmd, s.exit
	s.cmd, s.pid = nil, 0
	s.mu.Unlock()
	switch {
	case s.dead():
		return s.crashed()
	case cmd == nil:
		return nil
	}
	_ = cmd.Process.Signal(sig)
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	select {
	case <-exit:
	case <-timeout.C:
		_ = cmd.Process.Kill()
		<-exit
		return errors.New("the daemon did not end in 30 s and was killed")
	}
	if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && sig == syscall.SIGKILL && w.Signal() != sig {
		return s.crashed() // before the signal came
	}
	if sig == syscall.SIGTERM && !cmd.ProcessState.Success() {
		return fmt.Errorf("the daemon ended with %v:\n%s", cmd.ProcessState, s.lastLines())
	}
	return nil
}

// dead says whether our daemon has ended by itself.
func (s *server) dead() bool {
	select {
	case <-s.died:
		return true
	default:
		return false
	}
}

var errDied = errors.New("the daemon ended by itself")

// crashed is what is told of a daemon that has.
func (s *server) crashed() error { return fmt.Errorf("%w:\n%s", errDied, s.lastLines()) }

// stop ends our daemon in an orderly way and removes what it left.
func (s *server) stop() error {
	err := s.end(syscall.SIGTERM)
	if s.bare != nil {
		s.bare.stop()
	}
	if s.own != "" {
		err = errors.Join(err, os.RemoveAll(s.own))
	}
	return err
}

// process is the daemon's process id, 0 if not known.
func (s *server) process() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}
