package mls_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"

	"quicnprotochat/mls"
)

// inChild marks the process that TestSetPostQuantumSuites starts.
const inChild = "QUICNPROTOCHAT_TEST_CODEPOINTS"

// TestSetPostQuantumSuites runs itself in a process of its own, since code
// points are fixed once a post-quantum suite was used.
func TestSetPostQuantumSuites(t *testing.T) {
	if os.Getenv(inChild) != "" {
		otherCodePoints(t)
		return
	}
	self := must2(os.Executable())(t)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestSetPostQuantumSuites$", "-test.v")
	cmd.Env = append(os.Environ(), inChild+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestSetPostQuantumSuites")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

func otherCodePoints(t *testing.T) {
	const moved mls.Suite = 0x004d
	if err := mls.SetPostQuantumSuites(map[mls.Suite]mls.Suite{1: mls.XWing_AES128GCM_SHA256_Ed25519}); !errors.Is(err, mls.ErrCodePoint) {
		t.Errorf("suite 1 as X-Wing: %v", err)
	}
	if name := mls.XWing_AES128GCM_SHA256_Ed25519.String(); len(mls.PostQuantumSuites()) != 8 || name == "unknown cipher suite" {
		t.Errorf("the defaults are %v, %s", mls.PostQuantumSuites(), name)
	}
	ok(t, mls.SetPostQuantumSuites(map[mls.Suite]mls.Suite{moved: mls.XWing_AES128GCM_SHA256_Ed25519}))
	if got := mls.PostQuantumSuites(); !slices.Equal(got, []mls.Suite{moved}) {
		t.Errorf("suites %v", got)
	}
	for _, s := range []mls.Suite{mls.XWing_AES128GCM_SHA256_Ed25519, mls.MLKEM768_AES256GCM_SHA384_P256} {
		if _, err := mls.GenerateBasicIdentity(s, nil); !errors.Is(err, mls.ErrUnknown) {
			t.Errorf("%#x: %v", uint16(s), err)
		}
	}
	g := newTestGroup(t, moved, 3, mls.Policy{})
	a, b := g.members[0], g.members[1]
	g.deliver(t, b, b.commit(t, mls.CommitOptions{ForcePath: true}))
	b.reload(t)
	g.agree(t)
	if s := b.group.Suite(); s != moved {
		t.Errorf("the group is of suite %#x", uint16(s))
	}
	if caps := b.group.Members()[0].Capabilities.Suites; !slices.Contains(caps, moved) {
		t.Errorf("capabilities name %v", caps)
	}
	if p := b.process(t, a.send(t, "hello")); string(p.Plaintext) != "hello" {
		t.Errorf("read %q", p.Plaintext)
	}
	if err := mls.SetPostQuantumSuites(nil); !errors.Is(err, mls.ErrSuitesInUse) {
		t.Errorf("after use: %v", err)
	}
}

// TestNoClassicalFallback brings what is classical to a post-quantum group.
func TestNoClassicalFallback(t *testing.T) {
	g := newTestGroup(t, mls.XWing_AES128GCM_SHA256_Ed25519, 2, mls.Policy{})
	a, c := g.members[0], newClient(t, suite1, "classical")
	k := c.bundle(t)
	add := must2(mls.Add(k.Public()))(t)
	if _, err := a.group.Commit(mls.CommitOptions{Proposals: []mls.Proposal{add}}); !errors.Is(err, mls.ErrSuite) {
		t.Errorf("a classical key package: %v", err)
	}
	if _, err := a.group.ProposeAdd(k.Public()); !errors.Is(err, mls.ErrSuite) {
		t.Errorf("a classical key package proposed: %v", err)
	}
	if _, _, err := a.group.Branch([]byte("branch"), c.id, [][]byte{k.Public()}, mls.SubgroupOptions{}); !errors.Is(err, mls.ErrSuite) {
		t.Errorf("a classical branch: %v", err)
	}
	d := g.newClient(t)
	add = must2(mls.Add(d.bundle(t).Public()))(t)
	r := a.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{add}})
	if _, err := mls.Join(r.Welcome, k, c.id, mls.JoinOptions{}); !errors.Is(err, mls.ErrSuite) {
		t.Errorf("join with a classical key package: %v", err)
	}
	if s := a.group.Suite(); s != mls.XWing_AES128GCM_SHA256_Ed25519 {
		t.Errorf("the group is of suite %v", s)
	}
}
