package mls

import (
	"errors"
	"testing"

	"quicnprotochat/mls/internal/wire"
)

// successor is a reinitialized group of two with what its second member needs
// to follow it.
type successor struct {
	parent *Group // of the second member
	maker  *Group // of the first
	id     [2]*Identity
	bundle *KeyPackageBundle
}

func newSuccessor(t *testing.T) *successor {
	t.Helper()
	s := &successor{}
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	for i := range s.id {
		s.id[i], err = GenerateBasicIdentity(X25519_AES128GCM_SHA256_Ed25519, []byte{byte(i)})
		try(err)
	}
	s.bundle, err = NewKeyPackage(s.id[1], KeyPackageOptions{})
	try(err)
	s.maker, err = NewGroup([]byte("parent"), s.id[0], GroupOptions{})
	try(err)
	add, err := Add(s.bundle.Public())
	try(err)
	r, err := s.maker.Commit(CommitOptions{Proposals: []Proposal{add}})
	try(err)
	try(s.maker.MergePending())
	s.parent, err = Join(r.Welcome, s.bundle, s.id[1], JoinOptions{})
	try(err)
	r, err = s.maker.Commit(CommitOptions{Proposals: []Proposal{ReInit([]byte("next"), X25519_AES128GCM_SHA256_Ed25519, nil)}})
	try(err)
	try(s.maker.MergePending())
	_, err = s.parent.Process(r.Commit)
	try(err)
	s.bundle, err = NewKeyPackage(s.id[1], KeyPackageOptions{})
	try(err)
	return s
}

// welcome makes the next group with a resumption PSK as given, by hand, so that
// it can be one that Reinitialize and Branch never name.
func (s *successor) welcome(t *testing.T, from *Group, usage uint8, epoch uint64) []byte {
	t.Helper()
	n, err := NewGroup([]byte("next"), s.id[0], GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.parents = []*Group{from}
	add, err := Add(s.bundle.Public())
	if err != nil {
		t.Fatal(err)
	}
	psk, err := ResumptionPSK(from.GroupID(), epoch).withNonce(n.suite)
	if err != nil {
		t.Fatal(err)
	}
	psk.PSK.Usage = usage
	r, err := n.stage([]change{{Proposal: add.p, sender: n.self()}, {Proposal: psk, sender: n.self()}}, &CommitOptions{}, true)
	if err != nil {
		t.Fatal(err)
	}
	return r.Welcome
}

// TestParentNamed checks which Welcomes pass for the group that continues a
// parent, R §11.2, §11.3 and §12.4.3.1.
func TestParentNamed(t *testing.T) {
	s := newSuccessor(t)
	other, err := NewGroup([]byte("other"), s.id[0], GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	last := s.parent.Epoch()
	for name, c := range map[string]struct {
		from  *Group
		usage uint8
		epoch uint64
		err   error
	}{
		"reinit":                   {s.maker, wire.UsageReInit, last, nil},
		"branch":                   {s.maker, wire.UsageBranch, last, nil},
		"only application":         {s.maker, wire.UsageApplication, last, ErrSubgroup},
		"another parent":           {other, wire.UsageBranch, other.Epoch(), ErrSubgroup},
		"another reinitialized":    {other, wire.UsageReInit, other.Epoch(), ErrSubgroup},
		"reinit of an old epoch":   {s.maker, wire.UsageReInit, last - 1, ErrSubgroup},
		"branch from an old epoch": {s.maker, wire.UsageBranch, last - 1, nil},
	} {
		w := s.welcome(t, c.from, c.usage, c.epoch)
		g, err := Join(w, s.bundle, s.id[1], JoinOptions{Parent: s.parent})
		if !errors.Is(err, c.err) || (g == nil) != (c.err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
