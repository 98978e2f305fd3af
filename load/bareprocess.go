package load

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// BareCommand is the command of quicnprotochat-load that calls ServeBare.
const BareCommand = "bare-server"

// A bareProcess is the baseline's server, a process of its own: what it costs is told as the daemon's is.
type bareProcess struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	addr  string
}

// startBare starts this program once more.
func startBare() (*bareProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bareProcess{cmd: exec.Command(self, BareCommand)}
	if os.Getenv("GOGC") == "" {
		b.cmd.Env = append(os.Environ(), "GOGC=100") // as the daemon, not as the harness
	}
	b.cmd.Stderr = os.Stderr
	if b.stdin, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		b.addr = strings.TrimSpace(line)
		_, err = netip.ParseAddrPort(b.addr)
	}
	if err != nil {
		b.stop()
		return nil, fmt.Errorf("the baseline's server: %w", err)
	}
	return b, nil
}

func (b *bareProcess) pid() int { return b.cmd.Process.Pid }

func (b *bareProcess) stop() {
	_ = b.stdin.Close()
	_ = b.cmd.Wait()
}
