package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// converse runs a fresh driver over an input and returns its answers.
func converse(t *testing.T, in io.Reader) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	if err := newDriver().serve(in, &out); err != nil {
		t.Fatal(err)
	}
	return answers(t, out.Bytes())
}

// answers parses the lines of a driver's output.
func answers(t *testing.T, out []byte) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range bytes.Lines(out) {
		var a map[string]any
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatalf("answer %.100q: %v", line, err)
		}
		ok, isBool := a["ok"].(bool)
		if !isBool {
			t.Fatalf("answer %.100q has no ok", line)
		}
		if text, isText := a["error"].(string); ok == isText || !ok && text == "" {
			t.Fatalf("answer %.100q: ok is %v", line, ok)
		}
		list = append(list, a)
	}
	return list
}

func TestServeLines(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ok       []bool
	}{
		{"nothing", "", nil},
		{"blank lines", "\n \n\r\n\t\n", nil},
		{"no end of line", `{"op":"version"}`, []bool{true}},
		{"carriage returns", "{\"op\":\"version\"}\r\n{\"op\":\"version\"}\r\n", []bool{true, true}},
		{"bad and good", "x\n{\"op\":\"version\"}\n{\"op\":\"nope\"}\n{\"op\":\"new\"}\n", []bool{false, true, false, true}},
		{"two requests in a line", `{"op":"version"}{"op":"version"}`, []bool{false}},
		{"not UTF-8", "{\"op\":\"\xff\"}\n{\"op\":\"version\"}\n", []bool{false, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := converse(t, strings.NewReader(c.in))
			if len(got) != len(c.ok) {
				t.Fatalf("%d answers, not %d: %v", len(got), len(c.ok), got)
			}
			for i, a := range got {
				if a["ok"] != c.ok[i] {
					t.Errorf("answer %d: %v", i, a)
				}
			}
		})
	}
}

// filler reads as n bytes of one value.
func filler(n int64) io.Reader { return io.LimitReader(zeros{}, n) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestServeLongLines(t *testing.T) {
	version := `{"op":"version"}`
	pad := strings.Repeat(" ", maxLine-len(version)-1)
	for _, c := range []struct {
		name string
		in   io.Reader
		ok   []bool
	}{
		{"as long as may be", strings.NewReader(pad + version + "\n" + version), []bool{true, true}},
		{"one byte more", strings.NewReader(" " + pad + version + "\n" + version), []bool{false, true}},
		{"four times as long", io.MultiReader(filler(4*maxLine), strings.NewReader("\n"+version)), []bool{false, true}},
		{"too long, and then nothing", filler(2 * maxLine), []bool{false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := converse(t, c.in)
			if len(got) != len(c.ok) {
				t.Fatalf("%d answers, not %d", len(got), len(c.ok))
			}
			for i, a := range got {
				if a["ok"] != c.ok[i] {
					t.Errorf("answer %d: %v", i, a)
				}
			}
		})
	}
}

var errPipe = errors.New("the pipe broke")

type brokenPipe struct{}

func (brokenPipe) Read([]byte) (int, error)  { return 0, errPipe }
func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

func TestServeBrokenPipes(t *testing.T) {
	if err := newDriver().serve(brokenPipe{}, io.Discard); !errors.Is(err, errPipe) {
		t.Errorf("broken input: %v", err)
	}
	if err := newDriver().serve(strings.NewReader(`{"op":"version"}`), brokenPipe{}); !errors.Is(err, errPipe) {
		t.Errorf("broken output: %v", err)
	}
}

func TestUnknownOp(t *testing.T) {
	for op, want := range map[string]string{
		"nope":                   "unknown op nope",
		"":                       "unknown op ",
		"State":                  "unknown op State",
		strings.Repeat("x", 999): "unknown op " + strings.Repeat("x", maxOpEcho),
	} {
		_, err := newDriver().handle([]byte(fmt.Sprintf(`{"op":%q,"id":1}`, op)))
		if err == nil || err.Error() != want {
			t.Errorf("%.80q: %v", op, err)
		}
	}
}
