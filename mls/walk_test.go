package mls_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/mls"
)

// walk is a group on which random things happen.
type walk struct {
	*group
	t    *rapid.T
	most int // members
	late []lateMessage
}

// lateMessage is application data on its way.
type lateMessage struct {
	to    *client
	bytes []byte
	text  string
	epoch uint64
}

func psk(id []byte) ([]byte, error) {
	if string(id) != "shared" {
		return nil, errors.New("unknown")
	}
	return []byte("a secret that all know"), nil
}

func (w *walk) any(label string) *client {
	return w.members[rapid.IntRange(0, len(w.members)-1).Draw(w.t, label)]
}

func (w *walk) other(than *client, label string) *client {
	i := rapid.IntRange(0, len(w.members)-2).Draw(w.t, label)
	if w.members[i] == than {
		i = len(w.members) - 1
	}
	return w.members[i]
}

func (w *walk) addSome() {
	w.grow(3)
}

// grow adds up to n clients in one commit.
func (w *walk) grow(n int) {
	if n = min(n, w.most-len(w.members)); n < 1 {
		return
	}
	var list []*client
	for range rapid.IntRange(1, n).Draw(w.t, "how many") {
		list = append(list, w.newClient(w.t))
	}
	w.add(w.t, w.any("adder"), list...)
}

func (w *walk) update() {
	by := w.any("updater")
	opts := mls.CommitOptions{ForcePath: true, ByReference: [][]byte{}}
	if rapid.IntRange(0, 4).Draw(w.t, "rotate") == 0 {
		opts.Identity = must2(mls.GenerateBasicIdentity(w.suite, []byte(by.name)))(w.t)
	}
	if rapid.Bool().Draw(w.t, "public") {
		opts.Framing = mls.FramingPublic
	}
	r := by.commit(w.t, opts)
	if opts.Identity != nil {
		by.id = opts.Identity
	}
	w.deliver(w.t, by, r)
}

func (w *walk) remove() {
	if len(w.members) < 3 {
		return
	}
	by := w.any("remover")
	gone := w.other(by, "removed")
	r := by.commit(w.t, mls.CommitOptions{Proposals: []mls.Proposal{mls.Remove(gone.group.OwnLeaf())}})
	w.deliver(w.t, by, r)
	if !gone.group.Removed() {
		w.t.Fatalf("%s does not know that it was removed", gone.name)
	}
	if _, err := gone.group.Protect(nil, nil); !errors.Is(err, mls.ErrRemoved) {
		w.t.Fatalf("a removed member sends: %v", err)
	}
}

// byReference proposes many things, and one member commits them all.
func (w *walk) byReference() {
	newcomer := w.newClient(w.t)
	b := newcomer.bundle(w.t)
	propose := func(label string, f func(g *mls.Group) ([]byte, error)) {
		if !rapid.Bool().Draw(w.t, label) {
			return
		}
		by := w.any(label + " by")
		m := must2(f(by.group))(w.t)
		by.save()
		for _, c := range w.members {
			if p := c.process(w.t, m); p.Kind != mls.KindProposal || p.Own != (c == by) {
				w.t.Fatalf("%s: a proposal is a %v, own %v", c.name, p.Kind, p.Own)
			}
		}
	}
	propose("update", (*mls.Group).ProposeUpdate)
	propose("second update", (*mls.Group).ProposeUpdate)
	propose("psk", func(g *mls.Group) ([]byte, error) {
		return g.Propose(mls.ExternalPSK([]byte("shared")), mls.ProposeOptions{Framing: mls.FramingPublic})
	})
	propose("extensions", func(g *mls.Group) ([]byte, error) {
		return g.Propose(mls.GroupExtensions([]mls.Extension{
			mls.RequiredCapabilities(nil, nil, []uint16{mls.CredentialBasic, mls.CredentialX509})}), mls.ProposeOptions{})
	})
	if len(w.members) > 2 {
		propose("remove", func(g *mls.Group) ([]byte, error) { return g.ProposeRemove(w.any("target").group.OwnLeaf()) })
	}
	if len(w.members) < w.most {
		propose("add", func(g *mls.Group) ([]byte, error) { return g.ProposeAdd(b.Public()) })
	}
	if rapid.Bool().Draw(w.t, "reload before the commit") {
		for _, c := range w.members {
			c.reload(w.t)
		}
	}
	by := w.any("committer")
	r := by.commit(w.t, mls.CommitOptions{})
	w.deliver(w.t, by, r)
	if r.Welcome != nil {
		newcomer.join(w.t, r.Welcome, b)
		w.members = append(w.members, newcomer)
	}
}

// race has two members commit in the same epoch.
func (w *walk) race() {
	winner := w.any("winner")
	loser := w.other(winner, "loser")
	r := winner.commit(w.t, mls.CommitOptions{ForcePath: rapid.Bool().Draw(w.t, "path")})
	lost := loser.commit(w.t, mls.CommitOptions{ForcePath: true})
	if rapid.Bool().Draw(w.t, "reload with a pending commit") {
		winner.reload(w.t)
		loser.reload(w.t)
	}
	if p := winner.process(w.t, r.Commit); !p.Own {
		w.t.Fatalf("the winner does not recognise its commit")
	}
	for _, c := range w.members {
		if c != winner {
			c.process(w.t, r.Commit)
		}
	}
	if loser.group.HasPending() {
		w.t.Fatalf("the lost commit is still pending")
	}
	if _, err := winner.group.Process(lost.Commit); !errors.Is(err, mls.ErrPastEpoch) {
		w.t.Fatalf("the lost commit: %v", err)
	}
}

func (w *walk) external() {
	by := w.any("informer")
	info := must2(by.group.GroupInfo(mls.GroupInfoOptions{GREASE: true}))(w.t)
	opts := mls.ExternalJoinOptions{Policy: w.pol}
	c := w.newClient(w.t)
	if len(w.members) > 1 && rapid.Bool().Draw(w.t, "resync") {
		c = w.other(by, "resynced")
		opts.Resync = true
		opts.Former = c.group
		opts.PSKs = []mls.Proposal{mls.ResumptionPSK(c.group.GroupID(), c.group.Epoch())}
	} else if len(w.members) >= w.most {
		return
	}
	g, commit, err := mls.ExternalJoin(info, c.id, opts)
	ok(w.t, err)
	if !opts.Resync {
		w.members = append(w.members, c)
	}
	w.forget(c)
	c.group, c.disk = g, map[string][]byte{}
	c.save()
	for _, m := range w.members {
		if p := m.process(w.t, commit); p.Own != (m == c) {
			w.t.Fatalf("%s: own is %v", m.name, p.Own)
		}
	}
}

// talk sends messages, of which some are lost, some late and out of order.
func (w *walk) talk() {
	by := w.any("speaker")
	for i := range rapid.IntRange(1, 6).Draw(w.t, "messages") {
		text := fmt.Sprintf("%s in %d: %d", by.name, by.group.Epoch(), i)
		m := by.send(w.t, text)
		for _, c := range w.members {
			if c != by && rapid.IntRange(0, 3).Draw(w.t, "lost") > 0 {
				w.late = append(w.late, lateMessage{c, m, text, by.group.Epoch()})
			}
		}
	}
}

func (w *walk) arrive() {
	order := make([]int, len(w.late))
	for i := range order {
		order[i] = i
	}
	var keep []lateMessage
	for _, i := range rapid.Permutation(order).Draw(w.t, "order") {
		m := w.late[i]
		if !w.in(m.to) || m.to.group.Epoch() > m.epoch+mls.DefaultPastEpochs || m.to.group.Epoch() < m.epoch {
			continue
		}
		if rapid.Bool().Draw(w.t, "later") {
			keep = append(keep, m)
			continue
		}
		p := m.to.process(w.t, m.bytes)
		if p.Kind != mls.KindApplication || string(p.Plaintext) != m.text || !bytes.Equal(p.AAD, []byte("aad")) {
			w.t.Fatalf("%s read %q", m.to.name, p.Plaintext)
		}
		if _, err := m.to.group.Process(m.bytes); !errors.Is(err, mls.ErrKeyUsed) {
			w.t.Fatalf("a message opens twice: %v", err)
		}
	}
	w.late = keep
}

// forget drops the messages for a client that can no longer read them.
func (w *walk) forget(c *client) {
	w.late = slices.DeleteFunc(w.late, func(m lateMessage) bool { return m.to == c })
}

func (w *walk) in(c *client) bool {
	for _, m := range w.members {
		if m == c {
			return true
		}
	}
	return false
}

func (w *walk) reload() { w.any("reloaded").reload(w.t) }

// live takes random steps and compares all members after each.
func (w *walk) live(most int) {
	steps := map[string]func(){
		"add": w.addSome, "update": w.update, "update again": w.update, "remove": w.remove,
		"by reference": w.byReference, "race": w.race, "external": w.external,
		"talk": w.talk, "arrive": w.arrive, "reload": w.reload,
	}
	names := slices.Sorted(maps.Keys(steps))
	for range rapid.IntRange(1, most).Draw(w.t, "steps") {
		steps[rapid.SampledFrom(names).Draw(w.t, "step")]()
		w.agree(w.t)
	}
}

func walkPolicy(t *rapid.T) mls.Policy {
	pol := mls.Policy{ExternalPSK: psk}
	if rapid.Bool().Draw(t, "public handshakes") {
		pol.Handshake = mls.FramingPublic
	}
	return pol
}

// TestRandomWalk lets a small group live through everything.
func TestRandomWalk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pol := walkPolicy(rt)
		n := rapid.IntRange(2, 6).Draw(rt, "members")
		w := &walk{t: rt, most: 10, group: newTestGroup(rt, suite1, n, pol)}
		w.live(14)
	})
}

// TestRandomWalkLarge does so with up to 40 members, in a few runs: as many as
// QUICNPROTOCHAT_WALKS says.
func TestRandomWalkLarge(t *testing.T) {
	runs := "10"
	if s := os.Getenv("QUICNPROTOCHAT_WALKS"); s != "" {
		runs = s
	}
	checks := flag.Lookup("rapid.checks").Value
	usual := checks.String()
	ok(t, checks.Set(runs))
	defer func() { ok(t, checks.Set(usual)) }()
	rapid.Check(t, func(rt *rapid.T) {
		w := &walk{t: rt, most: 40, group: newTestGroup(rt, suite1, 2, walkPolicy(rt))}
		n := rapid.IntRange(11, w.most).Draw(rt, "members")
		for len(w.members) < n {
			w.grow(n - len(w.members))
			w.update()
		}
		w.agree(rt)
		w.live(30)
	})
}
