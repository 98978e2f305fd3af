package mls_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"quicnprotochat/mls"
)

func pairOf(t *testing.T, pol mls.Policy) (a, b *client, g *group) {
	t.Helper()
	g = newTestGroup(t, suite1, 2, pol)
	return g.members[0], g.members[1], g
}

// state is the whole state in comparable form.
func state(c *client) string {
	var b bytes.Buffer
	for _, r := range c.group.Snapshot() {
		fmt.Fprintf(&b, "%s %x\n", r.Key, r.Value)
	}
	return b.String()
}

// refuse checks that a message fails with an error and without any effect.
func refuse(t *testing.T, c *client, m []byte, want error) {
	t.Helper()
	before := state(c)
	if _, err := c.group.Process(m); !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	if state(c) != before {
		t.Error("a refused message changed the group")
	}
}

func TestTamperedMessages(t *testing.T) {
	a, b, _ := pairOf(t, mls.Policy{})
	m := a.send(t, "hello")
	for i := range m {
		bad := bytes.Clone(m)
		bad[i] ^= 0x10
		before := state(b)
		if p, err := b.group.Process(bad); err == nil {
			t.Fatalf("byte %d of %d can be changed: %v", i, len(m), p.Kind)
		}
		if state(b) != before {
			t.Fatalf("byte %d: a refused message changed the group", i)
		}
	}
	for i := range m {
		if _, err := b.group.Process(m[:i]); !errors.Is(err, mls.ErrMalformed) {
			t.Fatalf("%d of %d bytes: %v", i, len(m), err)
		}
	}
	refuse(t, b, append(bytes.Clone(m), 0), mls.ErrMalformed)
	b.process(t, m)
	refuse(t, b, m, mls.ErrKeyUsed)
	refuse(t, a, m, mls.ErrOwnMessage)
}

func TestTamperedCommits(t *testing.T) {
	for _, f := range []mls.Framing{mls.FramingPrivate, mls.FramingPublic} {
		a, b, g := pairOf(t, mls.Policy{Handshake: f})
		r := a.commit(t, mls.CommitOptions{ForcePath: true})
		for i := 0; i < len(r.Commit); i += 3 {
			bad := bytes.Clone(r.Commit)
			bad[i] ^= 0x10
			before := state(b)
			if _, err := b.group.Process(bad); err == nil {
				t.Fatalf("byte %d can be changed", i)
			}
			if state(b) != before {
				t.Fatalf("byte %d: a refused commit changed the group", i)
			}
		}
		g.deliver(t, a, r)
		g.agree(t)
	}
}

func TestWrongPlace(t *testing.T) {
	a, b, g := pairOf(t, mls.Policy{})
	other := newTestGroup(t, suite1, 1, mls.Policy{}).members[0]
	otherGroup := must2(mls.NewGroup([]byte("another"), other.id, mls.GroupOptions{}))(t)
	refuse(t, a, must2(otherGroup.Protect([]byte("x"), nil))(t), mls.ErrWrongGroup)
	refuse(t, a, b.bundle(t).Message(), mls.ErrUnsupported)

	r := a.commit(t, mls.CommitOptions{ForcePath: true})
	a.merge(t)
	future := a.send(t, "from the future")
	refuse(t, b, future, mls.ErrFutureEpoch)
	refuse(t, b, future, mls.ErrWrongEpoch)
	var e *mls.EpochError
	if _, err := b.group.Process(future); !errors.As(err, &e) || e.Message != 2 || e.Group != 1 {
		t.Errorf("epoch error: %v", err)
	}
	b.process(t, r.Commit)
	b.process(t, future)
	refuse(t, b, r.Commit, mls.ErrPastEpoch)
	g.agree(t)
}

func TestLateMessages(t *testing.T) {
	a, b, g := pairOf(t, mls.Policy{})
	var late [][]byte
	for i := range mls.DefaultPastEpochs + 1 {
		late = append(late, a.send(t, fmt.Sprint(i)))
		g.deliver(t, b, b.commit(t, mls.CommitOptions{ForcePath: true}))
	}
	b.reload(t)
	refuse(t, b, late[0], mls.ErrPastEpoch)
	for i := mls.DefaultPastEpochs; i > 0; i-- {
		if p := b.process(t, late[i]); string(p.Plaintext) != fmt.Sprint(i) || p.Epoch != uint64(i+1) {
			t.Errorf("late message %d: %q of epoch %d", i, p.Plaintext, p.Epoch)
		}
		refuse(t, b, late[i], mls.ErrKeyUsed)
	}
}

// TestLateMessageOfRemoved reads a message of somebody who was removed since,
// and whose place another has taken.
func TestLateMessageOfRemoved(t *testing.T) {
	g := newTestGroup(t, suite1, 3, mls.Policy{})
	a, b, c := g.members[0], g.members[1], g.members[2]
	m := b.send(t, "last words")
	g.deliver(t, a, a.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{mls.Remove(b.group.OwnLeaf())}}))
	g.add(t, a, g.newClient(t))
	c.reload(t)
	p := c.process(t, m)
	if string(p.Plaintext) != "last words" || string(p.SenderCredential.Identity) != b.name {
		t.Errorf("%q from %q", p.Plaintext, p.SenderCredential.Identity)
	}
}

func TestGenerations(t *testing.T) {
	a, b, _ := pairOf(t, mls.Policy{MaxForward: 10, MaxKept: 4})
	var ms [][]byte
	for i := range 13 {
		ms = append(ms, a.send(t, fmt.Sprint(i)))
	}
	refuse(t, b, ms[11], mls.ErrTooFar)
	if p := b.process(t, ms[10]); p.Generation != 10 {
		t.Errorf("generation %d", p.Generation)
	}
	for i := range 6 {
		refuse(t, b, ms[i], mls.ErrKeyUsed) // 10 keys were passed over, the last 4 are kept
	}
	b.reload(t)
	for _, i := range []int{9, 6, 12, 8, 7, 11} {
		if p := b.process(t, ms[i]); string(p.Plaintext) != fmt.Sprint(i) {
			t.Errorf("message %d is %q", i, p.Plaintext)
		}
	}
}

// TestSaveCostIsConstant compares what a message adds to the stored state in a
// small and in a larger group.
func TestSaveCostIsConstant(t *testing.T) {
	cost := func(n int) (records, size int) {
		g := newTestGroup(t, suite1, 1, mls.Policy{})
		var more []*client
		for len(more) < n-1 {
			more = append(more, g.newClient(t))
		}
		g.add(t, g.members[0], more...)
		a, b := g.members[0], g.members[1]
		for range 2 { // the first message opens the ratchet
			b.process(t, a.send(t, "hello"))
		}
		m := must2(a.group.Protect([]byte("hello"), nil))(t)
		must2(b.group.Process(m))(t)
		for _, c := range []*client{a, b} {
			for _, r := range c.group.Changes() {
				records++
				size += len(r.Key) + len(r.Value)
			}
		}
		return records, size
	}
	r10, s10 := cost(10)
	r100, s100 := cost(100)
	if r10 != r100 || s10 != s100 || r10 != 2 {
		t.Errorf("10 members: %d records, %d bytes; 100 members: %d records, %d bytes", r10, s10, r100, s100)
	}
}

// TestKeysAreDeleted looks for the keys of a message in the state after it was
// read.
func TestKeysAreDeleted(t *testing.T) {
	a, b, g := pairOf(t, mls.Policy{PastEpochs: -1, ResumptionEpochs: -1})
	b.process(t, a.send(t, "one"))
	old := map[string]bool{}
	for _, r := range b.records() {
		if len(r.Key) > 20 { // secrets of the message tree
			old[string(r.Value)] = true
		}
	}
	b.process(t, a.send(t, "two"))
	g.deliver(t, a, a.commit(t, mls.CommitOptions{ForcePath: true}))
	for _, r := range b.records() {
		if len(r.Key) > 20 && old[string(r.Value)] {
			t.Errorf("%s still holds an old secret", r.Key)
		}
		for v := range old {
			if len(v) == 32 && bytes.Contains(r.Value, []byte(v)) {
				t.Errorf("%s contains an old secret", r.Key)
			}
		}
	}
	before := len(b.disk)
	for range 5 {
		g.deliver(t, b, b.commit(t, mls.CommitOptions{ForcePath: true}))
		b.process(t, a.send(t, "more"))
	}
	if after := len(b.disk); after > before+3 {
		t.Errorf("the stored state grew from %d to %d records", before, after)
	}
}

func TestOwnMessagesComeBack(t *testing.T) {
	a, b, g := pairOf(t, mls.Policy{})
	m := must2(a.group.ProposeUpdate())(t)
	a.save()
	a.reload(t)
	if p := a.process(t, m); !p.Own || p.Kind != mls.KindProposal {
		t.Errorf("own proposal: %+v", p)
	}
	b.process(t, m)
	carol := g.newClient(t)
	k := carol.bundle(t)
	r := b.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{must2(mls.Add(k.Public()))(t)}})
	b.reload(t)
	p := b.process(t, r.Commit)
	if !p.Own || len(p.Added) != 1 || len(p.Updated) != 2 || p.Epoch != 2 || len(p.Proposals) != 2 ||
		string(p.Added[0].Credential.Identity) != carol.name {
		t.Errorf("own commit: %+v", p)
	}
	// Again, as when it was merged before it came back.
	if p := b.process(t, r.Commit); !p.Own || p.Kind != mls.KindCommit || p.Epoch != 2 {
		t.Errorf("own commit again: %+v", p)
	}
	p = a.process(t, r.Commit)
	if p.Own || len(p.Added) != 1 || len(p.Updated) != 2 || p.SenderLeaf != b.group.OwnLeaf() {
		t.Errorf("another's commit: %+v", p)
	}
	carol.join(t, r.Welcome, k)
	g.members = append(g.members, carol)
	g.agree(t)
}

func TestPendingCommit(t *testing.T) {
	a, b, g := pairOf(t, mls.Policy{})
	if err := a.group.MergePending(); !errors.Is(err, mls.ErrNoPending) {
		t.Errorf("nothing to merge: %v", err)
	}
	a.commit(t, mls.CommitOptions{})
	if _, err := a.group.Commit(mls.CommitOptions{}); !errors.Is(err, mls.ErrPending) {
		t.Errorf("two pending commits: %v", err)
	}
	if a.group.Epoch() != 1 || !a.group.HasPending() {
		t.Error("a staged commit moved the group")
	}
	b.process(t, a.send(t, "still in the old epoch"))
	a.group.DiscardPending()
	a.save()
	a.reload(t)
	if a.group.HasPending() {
		t.Error("a discarded commit is still there")
	}
	g.deliver(t, a, a.commit(t, mls.CommitOptions{}))
	g.agree(t)
}

func TestPublicHandshakePolicy(t *testing.T) {
	a, b, g := pairOf(t, mls.Policy{RequirePrivate: true})
	r := a.commit(t, mls.CommitOptions{Framing: mls.FramingPublic})
	refuse(t, b, r.Commit, mls.ErrPolicy)
	a.group.DiscardPending()
	g.deliver(t, a, a.commit(t, mls.CommitOptions{}))
	info := must2(a.group.GroupInfo(mls.GroupInfoOptions{}))(t)
	c := g.newClient(t)
	joined, commit, err := mls.ExternalJoin(info, c.id, mls.ExternalJoinOptions{})
	ok(t, err)
	c.group = joined
	a.process(t, commit)
	b.process(t, commit)
	g.members = append(g.members, c)
	g.agree(t)
}

func TestProposalLimit(t *testing.T) {
	a, _, _ := pairOf(t, mls.Policy{MaxProposals: 3})
	for range 3 {
		must2(a.group.Propose(mls.ExternalPSK([]byte("x")), mls.ProposeOptions{}))(t)
	}
	if _, err := a.group.Propose(mls.ExternalPSK([]byte("x")), mls.ProposeOptions{}); !errors.Is(err, mls.ErrLimit) {
		t.Errorf("%v", err)
	}
	a.group.ClearProposals()
	if len(a.group.Proposals()) != 0 {
		t.Error("proposals are still there")
	}
}

func TestExportLimits(t *testing.T) {
	a, _, _ := pairOf(t, mls.Policy{})
	if len(must2(a.group.Export("x", nil, 255*32))(t)) != 255*32 {
		t.Error("short")
	}
	for _, n := range []int{-1, 255*32 + 1} {
		if _, err := a.group.Export("x", nil, n); !errors.Is(err, mls.ErrLimit) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestPadding(t *testing.T) {
	a, _, _ := pairOf(t, mls.Policy{})
	sizes := map[int]bool{}
	for n := range 100 {
		sizes[len(must2(a.group.Protect(make([]byte, n), nil))(t))] = true
	}
	if len(sizes) != 1 {
		t.Errorf("short messages have %d sizes", len(sizes))
	}
	for n := 1; n < 1<<20; n += 977 {
		if p := mls.PadToBucket(n); p < n || n > 256 && p > n+n/8 {
			t.Errorf("%d is padded to %d", n, p)
		}
	}
}

func TestPeekMessage(t *testing.T) {
	a, b, _ := pairOf(t, mls.Policy{})
	m := a.send(t, "hello")
	info := must2(mls.PeekMessage(m))(t)
	if string(info.GroupID) != "group" || info.Epoch != 1 || info.Format != mls.FormatPrivateMessage ||
		info.ContentType != mls.ContentApplication || string(info.AAD) != "aad" || info.SenderType != mls.SenderUnknown {
		t.Errorf("%+v", info)
	}
	r := b.commit(t, mls.CommitOptions{Framing: mls.FramingPublic, GroupInfo: true})
	info = must2(mls.PeekMessage(r.Commit))(t)
	if info.SenderType != mls.SenderMember || info.SenderIndex != 1 || info.ContentType != mls.ContentCommit {
		t.Errorf("%+v", info)
	}
	if info = must2(mls.PeekMessage(r.GroupInfo))(t); string(info.GroupID) != "group" || info.Epoch != 2 {
		t.Errorf("%+v", info)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = mls.PeekMessage(m) }); n > 0 {
		t.Errorf("peeking allocates %v times", n)
	}
	for _, bad := range [][]byte{nil, {0, 1}, {0, 2, 0, 2}, {0, 1, 0, 9}, m[:8], {0, 1, 0, 2, 0xbf, 0xff, 0xff, 0xff}} {
		if _, err := mls.PeekMessage(bad); err == nil {
			t.Errorf("%x can be peeked at", bad)
		}
	}
}

// TestSpoiledProposals commits all that is cached although another member's
// proposals cannot be committed any more.
func TestSpoiledProposals(t *testing.T) {
	now := time.Now()
	a, b, g := pairOf(t, mls.Policy{Now: func() time.Time { return now }})
	c, d := g.newClient(t), g.newClient(t)
	short := must2(mls.NewKeyPackage(c.id, mls.KeyPackageOptions{Lifetime: time.Minute}))(t)
	long := d.bundle(t)
	for _, m := range [][]byte{
		must2(b.group.ProposeAdd(short.Public()))(t),
		must2(b.group.Propose(mls.ExternalPSK([]byte("nobody knows it")), mls.ProposeOptions{}))(t),
		must2(b.group.ProposeAdd(long.Public()))(t),
		must2(b.group.ProposeRemove(a.group.OwnLeaf()))(t),
		must2(b.group.ProposeUpdate())(t),
	} {
		b.save()
		a.process(t, m)
	}
	now = now.Add(time.Hour)
	r := a.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{mls.GroupExtensions(nil)}})
	if len(r.Added) != 1 || string(r.Added[0].Credential.Identity) != d.name {
		t.Errorf("added %v", r.Added)
	}
	g.deliver(t, a, r)
	d.join(t, r.Welcome, long)
	g.members = append(g.members, d)
	g.agree(t)
}

func TestCommitOfUnknownReference(t *testing.T) {
	a, _, _ := pairOf(t, mls.Policy{})
	if _, err := a.group.Commit(mls.CommitOptions{ByReference: [][]byte{[]byte("x")}}); !errors.Is(err, mls.ErrUnknownProposal) {
		t.Errorf("%v", err)
	}
	if _, err := a.group.Commit(mls.CommitOptions{Proposals: []mls.Proposal{{}}}); !errors.Is(err, mls.ErrMalformed) {
		t.Errorf("%v", err)
	}
}
