package mls_test

import (
	"bytes"
	"fmt"
	"sort"

	"quicnprotochat/mls"
)

const suite1 = mls.X25519_AES128GCM_SHA256_Ed25519

// tester is what *testing.T, *testing.B and *rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

func must[T any](t tester, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return v
}

func ok(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// client is a client with its disk: what it saved of its group.
type client struct {
	name  string
	id    *mls.Identity
	group *mls.Group
	disk  map[string][]byte
	pol   mls.Policy
}

func newClient(t tester, s mls.Suite, name string) *client {
	t.Helper()
	return &client{name: name, id: must2(mls.GenerateBasicIdentity(s, []byte(name)))(t), disk: map[string][]byte{}}
}

// must2 lets a call with two results stand inside an expression.
func must2[T any](v T, err error) func(tester) T {
	return func(t tester) T {
		t.Helper()
		return must(t, v, err)
	}
}

func (c *client) bundle(t tester) *mls.KeyPackageBundle {
	t.Helper()
	return must2(mls.NewKeyPackage(c.id, mls.KeyPackageOptions{}))(t)
}

func (c *client) create(t tester, opts mls.GroupOptions) {
	t.Helper()
	opts.Policy = c.pol
	c.group = must2(mls.NewGroup([]byte("group"), c.id, opts))(t)
	c.save()
}

func (c *client) join(t tester, welcome []byte, b *mls.KeyPackageBundle) {
	t.Helper()
	c.group = must2(mls.Join(welcome, b, c.id, mls.JoinOptions{Policy: c.pol}))(t)
	c.save()
}

// save stores the changes, as a client does in one transaction.
func (c *client) save() {
	for _, r := range c.group.Changes() {
		if r.Value == nil {
			delete(c.disk, r.Key)
		} else {
			c.disk[r.Key] = bytes.Clone(r.Value)
		}
	}
	c.group.Saved()
}

// reload forgets the memory and reads the disk.
func (c *client) reload(t tester) {
	t.Helper()
	c.group = must2(mls.LoadGroup(c.records(), c.id, c.pol))(t)
}

func (c *client) records() []mls.Record {
	var out []mls.Record
	for k, v := range c.disk {
		out = append(out, mls.Record{Key: k, Value: bytes.Clone(v)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out
}

func (c *client) commit(t tester, opts mls.CommitOptions) *mls.CommitResult {
	t.Helper()
	r := must2(c.group.Commit(opts))(t)
	c.save()
	return r
}

func (c *client) merge(t tester) {
	t.Helper()
	ok(t, c.group.MergePending())
	c.save()
}

func (c *client) process(t tester, m []byte) *mls.Processed {
	t.Helper()
	p, err := c.group.Process(m)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	c.save()
	return p
}

func (c *client) send(t tester, text string) []byte {
	t.Helper()
	m := must2(c.group.Protect([]byte(text), []byte("aad")))(t)
	c.save()
	return m
}

// group is some clients that share a group.
type group struct {
	suite   mls.Suite
	members []*client
	count   int
	pol     mls.Policy
}

// newTestGroup returns a group of n members, added one commit at a time.
func newTestGroup(t tester, s mls.Suite, n int, pol mls.Policy) *group {
	t.Helper()
	g := &group{suite: s, pol: pol}
	a := g.newClient(t)
	a.create(t, mls.GroupOptions{})
	g.members = []*client{a}
	for len(g.members) < n {
		g.add(t, g.members[len(g.members)-1], g.newClient(t))
	}
	g.agree(t)
	return g
}

func (g *group) newClient(t tester) *client {
	t.Helper()
	c := newClient(t, g.suite, fmt.Sprint("client ", g.count))
	c.pol = g.pol
	g.count++
	return c
}

// add lets by add clients in one commit, which everybody then processes.
func (g *group) add(t tester, by *client, clients ...*client) {
	t.Helper()
	var opts mls.CommitOptions
	bundles := make([]*mls.KeyPackageBundle, len(clients))
	for i, c := range clients {
		bundles[i] = c.bundle(t)
		opts.Proposals = append(opts.Proposals, must2(mls.Add(bundles[i].Public()))(t))
	}
	r := by.commit(t, opts)
	g.deliver(t, by, r)
	for i, c := range clients {
		c.join(t, r.Welcome, bundles[i])
		g.members = append(g.members, c)
	}
}

// deliver has a commit accepted: its maker merges, the others process it, and
// who was removed leaves.
func (g *group) deliver(t tester, by *client, r *mls.CommitResult) {
	t.Helper()
	var left []*client
	for _, c := range g.members {
		if c == by {
			c.merge(t)
		} else if p := c.process(t, r.Commit); p.Kind != mls.KindCommit || p.SelfRemoved != c.group.Removed() {
			t.Fatalf("%s: kind %v", c.name, p.Kind)
		}
		if !c.group.Removed() {
			left = append(left, c)
		}
	}
	g.members = left
}

// agree checks that all members are in the same epoch with the same secrets and
// the same view of who is in.
func (g *group) agree(t tester) {
	t.Helper()
	first := g.members[0].group
	secret := must2(first.Export("test", []byte("context"), 40))(t)
	for _, c := range g.members[1:] {
		if c.group.Epoch() != first.Epoch() {
			t.Fatalf("%s is in epoch %d, not %d", c.name, c.group.Epoch(), first.Epoch())
		}
		if !bytes.Equal(c.group.EpochAuthenticator(), first.EpochAuthenticator()) {
			t.Fatalf("%s has another epoch authenticator in epoch %d", c.name, first.Epoch())
		}
		if !bytes.Equal(must2(c.group.Export("test", []byte("context"), 40))(t), secret) {
			t.Fatalf("%s exports another secret", c.name)
		}
		if !bytes.Equal(c.group.RatchetTree(), first.RatchetTree()) {
			t.Fatalf("%s has another tree", c.name)
		}
	}
	if n := len(first.Members()); n != len(g.members) {
		t.Fatalf("%d members in the tree, %d clients", n, len(g.members))
	}
}
