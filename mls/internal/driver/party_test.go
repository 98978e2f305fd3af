package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
)

// caller is a driver, ours or a foreign one.
type caller interface {
	call(t *testing.T, request map[string]any) (map[string]any, error)
}

// inProcess is our driver without a process.
type inProcess struct{ d *driver }

func (p inProcess) call(t *testing.T, request map[string]any) (map[string]any, error) {
	t.Helper()
	line, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, p.d.answer(line))
}

func parse(t *testing.T, line []byte) (map[string]any, error) {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(line, &out); err != nil {
		t.Fatalf("answer %.100q: %v", line, err)
	}
	if out["ok"] != true {
		text, _ := out["error"].(string)
		return nil, errors.New(text)
	}
	return out, nil
}

// pipes is a driver behind pipes.
type pipes struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startProcess(t *testing.T, name string, args ...string) *pipes {
	t.Helper()
	cmd := exec.Command(name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("driver %s: %v", name, err)
		}
	})
	return &pipes{in, bufio.NewReaderSize(out, 1<<20)}
}

func (p *pipes) call(t *testing.T, request map[string]any) (map[string]any, error) {
	t.Helper()
	line, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	answer, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, answer)
}

// party is one client at a driver.
type party struct {
	t    *testing.T
	d    caller
	name string
	id   any
}

type fields map[string]any

func newParty(t *testing.T, d caller, name string, suite uint16, mode string) *party {
	t.Helper()
	out, err := d.call(t, fields{"op": "new", "name": name, "suite": suite, "handshake": mode})
	if err != nil {
		t.Fatal(err)
	}
	return &party{t, d, name, out["id"]}
}

func (p *party) try(op string, f fields) (map[string]any, error) {
	p.t.Helper()
	request := fields{"op": op, "id": p.id}
	for k, v := range f {
		request[k] = v
	}
	return p.d.call(p.t, request)
}

func (p *party) call(op string, f fields) map[string]any {
	p.t.Helper()
	out, err := p.try(op, f)
	if err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, op, err)
	}
	return out
}

// get calls and returns one field.
func (p *party) get(op, field string, f fields) string {
	p.t.Helper()
	s, ok := p.call(op, f)[field].(string)
	if !ok || s == "" {
		p.t.Fatalf("%s: %s answers no %s", p.name, op, field)
	}
	return s
}

func hexed(s string) string { return hex.EncodeToString([]byte(s)) }

// all has several parties process a message.
func all(kind string, message any, ps ...*party) {
	for _, p := range ps {
		p.t.Helper()
		if out := p.call("process", fields{"message": message}); out["kind"] != kind {
			p.t.Fatalf("%s: a %s is taken for %v", p.name, kind, out["kind"])
		}
	}
}

// agree compares epochs, authenticators, trees and exporters.
func agree(what string, ps ...*party) {
	p := ps[0]
	p.t.Helper()
	want := p.call("state", nil)
	secret := p.get("export", "secret", fields{"label": "test", "context": hexed(what), "length": 48})
	if len(secret) != 96 {
		p.t.Fatalf("%s: exported %d digits", what, len(secret))
	}
	for _, q := range ps[1:] {
		got := q.call("state", nil)
		for _, f := range []string{"epoch", "epoch_authenticator", "members", "tree_hash"} {
			if got[f] != want[f] {
				p.t.Fatalf("%s: %s of %s is %v, of %s %v", what, f, q.name, got[f], p.name, want[f])
			}
		}
		if s := q.get("export", "secret", fields{"label": "test", "context": hexed(what), "length": 48}); s != secret {
			p.t.Fatalf("%s: %s exports something else", what, q.name)
		}
	}
}

// say sends a message from one to others.
func say(from *party, text string, to ...*party) {
	from.t.Helper()
	m := from.get("protect", "message", fields{"plaintext": hexed(text)})
	for _, p := range to {
		if out := p.call("process", fields{"message": m}); out["plaintext"] != hexed(text) || out["kind"] != "application" {
			from.t.Fatalf("%s reads %v", p.name, out)
		}
	}
}

// refused checks that a call fails.
func (p *party) refused(op string, f fields) {
	p.t.Helper()
	if out, err := p.try(op, f); err == nil {
		p.t.Fatalf("%s: %s succeeds: %v", p.name, op, out)
	}
}
