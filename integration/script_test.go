package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script/*.txtar: the programs as a user runs them, each step a process of its own.
//
// Beside testscript's own commands there are:
//
//	daemon backup NAME      has the daemon make a backup, and sets NAME to its path
//	daemon start|kill|stop   the daemon on $WORK/data, always at the same address: $ADDR; start takes flags
//	capture NAME             the first line of the last command's output, as a variable
//	match NAME REGEXP        the first group of REGEXP in the last command's standard error, as a variable
//	follow ...               quicnprotochat beside the script: follow_test.go
//	fails CODE PROGRAM...    the program ends with CODE, and tells why in one line
//	makefile NAME SIZE       a file of SIZE bytes
//	flip DIR                 flips a bit of the first record in the log in DIR
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Values[daemonKey{}] = &scriptDaemon{t: t, dir: filepath.Join(env.WorkDir, "data"), addr: "127.0.0.1:0"}
			env.Values[followerKey{}] = &follower{}
			env.Defer(func() {
				env.Values[followerKey{}].(*follower).kill()
				env.Values[daemonKey{}].(*scriptDaemon).kill()
			})
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"daemon": cmdDaemon, "capture": cmdCapture, "match": cmdMatch, "fails": cmdFails, "makefile": cmdMakefile, "follow": cmdFollow, "flip": cmdFlip,
		},
	})
}

type daemonKey struct{}

type scriptDaemon struct {
	t       *testing.T
	dir     string
	addr    string
	running *process
}

func (d *scriptDaemon) kill() {
	if d.running != nil {
		d.running.kill()
		d.running = nil
	}
}

func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemonKey{}).(*scriptDaemon)
	if neg || len(args) == 0 || len(args) > 1 && args[0] != "start" && args[0] != "backup" {
		ts.Fatalf("usage: daemon start|kill|stop|backup")
	}
	switch {
	case args[0] == "start" && d.running == nil:
		flags := append([]string{"--listen", d.addr, "--data-dir", d.dir}, args[1:]...)
		d.running = runDaemon(d.t, exec.Command(filepath.Join(bin, "quicnprotochatd"), flags...))
		d.addr = d.running.addr
		ts.Setenv("ADDR", d.addr)
	case args[0] == "kill" && d.running != nil:
		d.kill()
	case args[0] == "stop" && d.running != nil:
		if err := d.running.terminate(); err != nil {
			ts.Fatalf("TERM: %v\n%s", err, d.running.logText())
		}
		d.running = nil
	case args[0] == "backup" && len(args) == 2 && d.running != nil:
		ts.Check(d.running.cmd.Process.Signal(syscall.SIGUSR1))
		select {
		case dir := <-d.running.backups:
			if dir == "" {
				ts.Fatalf("no backup:\n%s", d.running.logText())
			}
			ts.Setenv(args[1], dir)
		case <-d.running.logDone:
			ts.Fatalf("no backup:\n%s", d.running.logText())
		}
	default:
		ts.Fatalf("daemon %s: not now", args[0])
	}
}

func cmdCapture(ts *testscript.TestScript, neg bool, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	if neg || len(args) != 1 || line == "" {
		ts.Fatalf("usage: capture NAME, after a command that printed something")
	}
	ts.Setenv(args[0], line)
}

func cmdMatch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: match NAME REGEXP")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stderr"))
	if len(found) != 2 {
		ts.Fatalf("standard error has no match")
	}
	ts.Setenv(args[0], found[1])
}

func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		ts.Fatalf("ended with %v, want exit code %d", err, want)
	}
	stderr := ts.ReadFile("stderr")
	if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, args[1]+": ") {
		ts.Fatalf("standard error is not one line that begins with the program's name: %q", stderr)
	}
}

func cmdMakefile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: makefile NAME SIZE")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("x", size)), 0o600))
}

func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip DIR")
	}
	found, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.seg"))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("no segments in %s", args[0])
	}
	file, err := os.OpenFile(found[0], os.O_RDWR, 0)
	ts.Check(err)
	defer file.Close()
	const at = 4096 + 70 // behind the header and the first mark
	var b [1]byte
	_, err = file.ReadAt(b[:], at)
	ts.Check(err)
	b[0] ^= 4
	_, err = file.WriteAt(b[:], at)
	ts.Check(err)
}
