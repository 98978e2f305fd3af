package integration

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cli runs the client to its end, or kills it with -9 at some point within limit (0: never). It returns the standard output, and whether the
// command ended well by itself.
func cli(t *testing.T, limit time.Duration, args ...string) (stdout string, ok bool) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "quicnprotochat"), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if limit > 0 {
		killer := time.AfterFunc(rand.N(limit), func() { _ = cmd.Process.Kill() })
		defer killer.Stop()
	}
	err := cmd.Wait()
	if err != nil && cmd.ProcessState.Exited() {
		t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	return out.String(), err == nil
}

// shown takes the texts out of what recv printed. A last line without its end was cut off by the kill and was not marked as read.
func shown(stdout string) (texts []string) {
	for line := range strings.Lines(stdout) {
		if fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); strings.HasSuffix(line, "\n") && len(fields) == 4 {
			texts = append(texts, fields[3])
		}
	}
	return texts
}

// TestClientKilled: the client is killed with -9 in the middle of sending and of receiving, again and again. What was sent with success is shown, in
// order, once; only what a killed recv had printed (of many messages, the last 64) may be printed again, since it could not note that anybody saw it.
func TestClientKilled(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "127.0.0.1:0")
	alice, bob := filepath.Join(t.TempDir(), "alice"), filepath.Join(t.TempDir(), "bob")
	cli(t, 0, "--state", alice, "init", "--server", d.addr)
	id, _ := cli(t, 0, "--state", bob, "init", "--server", d.addr)
	cli(t, 0, "--state", bob, "register")
	cli(t, 0, "--state", alice, "create-group", "g")
	cli(t, 0, "--state", alice, "invite", "g", strings.TrimSpace(id))
	cli(t, 0, "--state", bob, "join", "--name", "g")

	const messages = 60
	sure := make(map[int]bool)
	next, killed := 0, 0 // the lowest number that may come now; how often a process was killed
	seen := make(map[int]bool)
	again := -1 // the lowest number that the last recv showed and may not have noted; -1: none
	take := func(stdout string, ok bool) {
		first, last := -1, -1
		for _, text := range shown(stdout) {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatalf("received %q", text)
			}
			if first < 0 {
				if first = n; n < next && (again < 0 || n < again) {
					t.Errorf("%d came after %d", n, next-1)
				}
			} else if n <= last {
				t.Errorf("%d came after %d", n, last)
			}
			seen[n], next, last = true, max(next, n+1), n
		}
		switch {
		case ok:
			again = -1
		case first >= 0:
			again = first
		}
	}
	for i := range messages {
		_, ok := cli(t, 40*time.Millisecond, "--state", alice, "send", "g", strconv.Itoa(i))
		sure[i] = ok
		if !ok {
			killed++
		}
		stdout, ok := cli(t, 40*time.Millisecond, "--state", bob, "recv")
		take(stdout, ok)
		if !ok {
			killed++
		}
	}
	cli(t, 0, "--state", alice, "send", "g", strconv.Itoa(messages)) // also sends what an earlier life left in the outbox
	sure[messages] = true
	stdout, _ := cli(t, 0, "--state", bob, "recv")
	take(stdout, true)
	for i, ok := range sure {
		if ok && !seen[i] {
			t.Errorf("%d was sent with success and never shown", i)
		}
	}
	if killed == 0 {
		t.Error("nothing was killed: the test showed nothing")
	}
	t.Logf("%d of %d processes were killed, %d of %d messages shown", killed, 2*messages, len(seen), messages+1)
}
