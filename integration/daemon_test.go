package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quicnprotochat/certs"
	"quicnprotochat/client"
)

// bin is where TestMain has built the programs.
var bin string

func TestMain(m *testing.M) {
	code := func() int {
		dir, err := os.MkdirTemp("", "quicnprotochat-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-o", dir+"/", "quicnprotochat/cmd/...")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		bin = dir
		code := m.Run()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, "leaked goroutines:", err)
			return 1
		}
		return code
	}()
	os.Exit(code)
}

// process is a running quicnprotochatd.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	addr string

	mu      sync.Mutex
	log     bytes.Buffer
	logDone chan struct{}
	backups chan string // directories of backups that it made
	waited  sync.Once
	err     error
}

// startDaemon runs the real daemon on dir, and returns when it says that it listens. addr with port 0 takes a free one.
func startDaemon(t testing.TB, dir, addr string) *process {
	t.Helper()
	return runDaemon(t, exec.Command(filepath.Join(bin, "quicnprotochatd"), "--listen", addr, "--data-dir", dir))
}

// runDaemon is startDaemon for a command line of the caller's.
func runDaemon(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, logDone: make(chan struct{}), backups: make(chan string, 10)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	listening := make(chan string, 1)
	go p.readLog(bufio.NewScanner(stderr), listening)
	select {
	case p.addr = <-listening:
	case <-p.logDone:
		t.Fatalf("the daemon did not start:\n%s", p.logText())
	case <-time.After(30 * time.Second):
		t.Fatalf("the daemon does not listen:\n%s", p.logText())
	}
	return p
}

func (p *process) readLog(sc *bufio.Scanner, listening chan<- string) {
	defer close(p.logDone)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		p.mu.Lock()
		p.log.Write(sc.Bytes())
		p.log.WriteByte('\n')
		p.mu.Unlock()
		if _, rest, ok := strings.Cut(sc.Text(), "msg=listening addr="); ok {
			addr, _, _ := strings.Cut(rest, " ")
			listening <- addr
		}
		if _, rest, ok := strings.Cut(sc.Text(), `msg="backup made" dir=`); ok {
			p.backups <- rest
		}
		if strings.Contains(sc.Text(), "msg=backup err=") {
			p.backups <- ""
		}
	}
}

func (p *process) logText() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// kill ends the process with -9 and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.wait()
}

func (p *process) wait() error {
	p.waited.Do(func() {
		<-p.logDone
		p.err = p.cmd.Wait()
	})
	return p.err
}

// terminate ends the process as systemd would, and returns how it ended.
func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.wait()
}

// peakMemory is the most resident memory the process has had, in bytes.
func (p *process) peakMemory() int {
	p.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatal("no VmHWM")
	return 0
}

// dial connects as a fresh or a given identity.
func dial(t testing.TB, addr string, as *person) *client.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, client.Config{Addr: addr, Key: as.key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// person is an identity without a state directory.
type person struct {
	key []byte
	id  certs.Identity
}

func newPerson(t testing.TB) *person {
	t.Helper()
	key, err := certs.NewIdentityKey()
	if err != nil {
		t.Fatal(err)
	}
	return &person{key: key, id: certs.IdentityOf(key)}
}
