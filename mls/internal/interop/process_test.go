package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience is how long a driver may take for one answer, and for its end.
const patience = time.Minute

// maxAnswer is the longest answer in bytes.
const maxAnswer = 16 << 20

// args are the fields of a request.
type args map[string]any

// process is a driver behind its pipes. It belongs to one test.
type process struct {
	t       *testing.T
	name    string
	in      io.WriteCloser
	answers <-chan []byte // closed when the driver's output ends
	stderr  *lockedBuffer
	used    map[string]bool // operations that succeeded
}

// lockedBuffer keeps what a driver writes on standard error.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a driver until the test ends, and checks that it ends well.
func start(t *testing.T, name, dir, program string, arguments ...string) *process {
	t.Helper()
	cmd := exec.Command(program, arguments...)
	cmd.Dir = dir
	p := &process{t: t, name: name, stderr: &lockedBuffer{}, used: make(map[string]bool)}
	cmd.Stderr = p.stderr
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := make(chan []byte, 1)
	p.answers = answers
	go func() {
		defer close(answers)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, maxAnswer)
		for lines.Scan() {
			answers <- bytes.Clone(lines.Bytes())
		}
	}()
	t.Cleanup(func() { p.stop(cmd) })
	return p
}

// stop ends the input of a driver and waits for its end.
func (p *process) stop(cmd *exec.Cmd) {
	p.in.Close()
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	for range p.answers {
		p.t.Errorf("%s: an answer to no request", p.name)
	}
	if err := cmd.Wait(); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	if s := p.stderr.String(); s != "" {
		p.t.Logf("%s writes on standard error: %s", p.name, s)
	}
}

// raw sends a line and returns the answer.
func (p *process) raw(line []byte) reply {
	p.t.Helper()
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatalf("%s: %v\n%s", p.name, err, p.stderr)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case b, ok := <-p.answers:
		if !ok {
			p.t.Fatalf("%s ended\n%s", p.name, p.stderr)
		}
		var r reply
		if err := json.Unmarshal(b, &r); err != nil {
			p.t.Fatalf("%s answers %.200q: %v", p.name, b, err)
		}
		return r
	case <-timeout.C:
		p.t.Fatalf("%s does not answer %.200q within %v", p.name, line, patience)
	}
	panic("not reached")
}

// try sends a request and returns the answer, good or bad.
func (p *process) try(op string, a args) reply {
	p.t.Helper()
	request := args{"op": op}
	for k, v := range a {
		request[k] = v
	}
	line, err := json.Marshal(request)
	if err != nil {
		p.t.Fatal(err)
	}
	r := p.raw(line)
	if r.OK {
		p.used[op] = true
	}
	return r
}

// reply holds the fields of all answers.
type reply struct {
	OK                 bool     `json:"ok"`
	Error              string   `json:"error"`
	Name               string   `json:"name"`
	Ops                []string `json:"ops"`
	Suites             []uint16 `json:"suites"`
	ID                 int      `json:"id"`
	Group              string   `json:"group"`
	KeyPackage         string   `json:"key_package"`
	MLSMessage         string   `json:"mls_message"`
	Welcome            string   `json:"welcome"`
	GroupInfo          string   `json:"group_info"`
	RatchetTree        string   `json:"ratchet_tree"`
	Commit             string   `json:"commit"`
	Message            string   `json:"message"`
	Wireformat         string   `json:"wireformat"`
	Kind               string   `json:"kind"`
	Plaintext          string   `json:"plaintext"`
	AAD                string   `json:"aad"`
	GroupState         string   `json:"group_state"`
	ExternalSender     string   `json:"external_sender"`
	Secret             string   `json:"secret"`
	Epoch              uint64   `json:"epoch"`
	EpochAuthenticator string   `json:"epoch_authenticator"`
	TreeHash           string   `json:"tree_hash"`
	Members            int      `json:"members"`
	Active             *bool    `json:"active"`
	Extensions         []args   `json:"extensions"`
}
