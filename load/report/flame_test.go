package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// profileOf makes a CPU profile of stacks, the innermost function first, each of a second.
func profileOf(t *testing.T, stacks ...[]string) *bytes.Buffer {
	t.Helper()
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}}
	at := make(map[string]*profile.Location)
	for _, stack := range stacks {
		s := &profile.Sample{Value: []int64{1, 1e9}}
		for _, name := range stack {
			if at[name] == nil {
				id := uint64(len(at) + 1)
				f := &profile.Function{ID: id, Name: name}
				at[name] = &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
				p.Function, p.Location = append(p.Function, f), append(p.Location, at[name])
			}
			s.Location = append(s.Location, at[name])
		}
		p.Sample = append(p.Sample, s)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestFlame(t *testing.T) {
	f, err := ReadFlame(profileOf(t,
		[]string{"runtime.mallocgc", "quicnprotochat/store/hotlog.(*Log).Append", "main.main"},
		[]string{"quicnprotochat/store/hotlog.(*Log).Append", "main.main"},
		[]string{"a<b", "a<b", "main.main"},
		[]string{"internal/runtime/syscall/linux.Syscall6", "github.com/quic-go/quic-go.(*Conn).run"},
	))
	if err != nil {
		t.Fatal(err)
	}
	table := f.Table()
	for _, want := range []string{"share of 4.00 s", "store                         25.0%              50.0%", "runtime                       25.0%              25.0%", "other                         25.0%              25.0%",
		"syscall                       25.0%              25.0%", "quic                           0.0%              25.0%"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	var out bytes.Buffer
	if err := f.SVG(&out); err != nil {
		t.Fatal(err)
	}
	if n := wellFormed(t, out.String()); n != 1 || strings.Count(out.String(), "<title>") != 1+6+1 {
		t.Errorf("%d pictures of %d frames: %s", n, strings.Count(out.String(), "<title>"), &out)
	}
	if !strings.Contains(out.String(), "<title>quicnprotochat/store/hotlog.(*Log).Append: 2.00 s, 50.00%</title>") {
		t.Error("no title")
	}
}

func TestFlameOfNothing(t *testing.T) {
	f, err := ReadFlame(profileOf(t))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := f.SVG(&out); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, out.String()+f.Table())
	if _, err := ReadFlame(strings.NewReader("no profile")); err == nil {
		t.Error("read what is no profile")
	}
}

func TestGroupOf(t *testing.T) {
	for function, want := range map[string]string{
		"quicnprotochat/mls/internal/tree.Hash": "mls", "quicnprotochat/mls.(*Group).Commit": "mls", "quicnprotochat/ds.(*sender[go.shape.struct { Queue quicnprotochat/store.QueueID }]).wait": "quicnprotochat, the rest",
		"main.main": "quicnprotochat, the rest", "github.com/quic-go/quic-go/internal/wire.Parse": "quic", "capnproto.org/go/capnp/v3.(*Message).Marshal": "capnp", "crypto/tls.(*Conn).Read": "crypto/tls",
		"crypto/internal/fips140/aes/gcm.seal": "crypto, the rest", "crypto/tlsx.F": "crypto, the rest", "runtime.futex": "runtime", "internal/runtime/maps.(*Map).Get": "runtime", "internal/runtime/syscall.Syscall6": "syscall",
		"sync.(*Mutex).Lock": "runtime", "golang.org/x/sync/errgroup.(*Group).Go": "other", "gcBgMarkWorker": "other", "": "other", "mainframe.F": "other",
	} {
		if got := groupOf(function); got != want {
			t.Errorf("%s: %s, want %s", function, got, want)
		}
	}
}
