package integration

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// follower is a quicnprotochat that runs beside a script: recv --follow.
type follower struct {
	cmd    *exec.Cmd
	stdout chan string
	stderr chan string
}

type followerKey struct{}

const followerPatience = 30 * time.Second

// cmdFollow is `follow start ARGS...` (returns when it listens), `follow prints TEXT` (waits for a line with TEXT), `follow says TEXT` (the same
// on standard error) and `follow interrupt` (Ctrl-C: ends with 130).
func cmdFollow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: follow start|prints|says|interrupt")
	}
	holder := ts.Value(followerKey{}).(*follower)
	switch args[0] {
	case "start":
		holder.cmd = exec.Command(filepath.Join(bin, "quicnprotochat"), args[1:]...)
		holder.cmd.Dir = ts.MkAbs(".")
		stdout, err := holder.cmd.StdoutPipe()
		ts.Check(err)
		stderr, err := holder.cmd.StderrPipe()
		ts.Check(err)
		ts.Check(holder.cmd.Start())
		holder.stdout, holder.stderr = lines(stdout), lines(stderr)
		awaitLine(ts, holder.stderr, "listening")
	case "prints":
		awaitLine(ts, holder.stdout, strings.Join(args[1:], " "))
	case "says":
		awaitLine(ts, holder.stderr, strings.Join(args[1:], " "))
	case "interrupt":
		ts.Check(holder.cmd.Process.Signal(os.Interrupt))
		for range holder.stdout {
		}
		for range holder.stderr {
		}
		if _ = holder.cmd.Wait(); holder.cmd.ProcessState.ExitCode() != 130 {
			ts.Fatalf("interrupted, it ended with %v", holder.cmd.ProcessState)
		}
		holder.cmd = nil
	}
}

func (f *follower) kill() {
	if f.cmd != nil {
		_ = f.cmd.Process.Kill()
		for range f.stdout {
		}
		for range f.stderr {
		}
		_ = f.cmd.Wait()
	}
}

func lines(r io.Reader) chan string {
	out := make(chan string, 1024)
	go func() {
		defer close(out)
		for sc := bufio.NewScanner(r); sc.Scan(); {
			out <- sc.Text()
		}
	}()
	return out
}

func awaitLine(ts *testscript.TestScript, from <-chan string, text string) {
	patience := time.NewTimer(followerPatience)
	defer patience.Stop()
	for {
		select {
		case line, ok := <-from:
			if !ok {
				ts.Fatalf("ended without a line with %q", text)
			}
			ts.Logf("follow: %s", line)
			if strings.Contains(line, text) {
				return
			}
		case <-patience.C:
			ts.Fatalf("no line with %q", text)
		}
	}
}
