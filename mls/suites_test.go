package mls_test

import (
	"testing"

	"quicnprotochat/mls"
)

// TestGroupsInEverySuite exercises paths, proposals, external joins and removals
// in a small group of each suite.
func TestGroupsInEverySuite(t *testing.T) {
	for _, s := range append(mls.Suites(), mls.PostQuantumSuites()...) {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			g := newTestGroup(t, s, 4, mls.Policy{ExternalPSK: psk})
			for _, c := range g.members {
				g.deliver(t, c, c.commit(t, mls.CommitOptions{ForcePath: true}))
				g.agree(t)
			}
			a, d := g.members[0], g.members[3]
			m := must2(d.group.ProposeUpdate())(t)
			d.save()
			for _, c := range g.members {
				c.process(t, m)
			}
			g.deliver(t, a, a.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{mls.ExternalPSK([]byte("shared")), mls.Remove(1)}}))
			g.agree(t)
			info := must2(d.group.GroupInfo(mls.GroupInfoOptions{}))(t)
			c := g.newClient(t)
			joined, commit, err := mls.ExternalJoin(info, c.id, mls.ExternalJoinOptions{})
			ok(t, err)
			for _, o := range g.members {
				o.process(t, commit)
			}
			c.group = joined
			c.save()
			c.reload(t)
			g.members = append(g.members, c)
			g.agree(t)
			text := c.send(t, "hello")
			for _, o := range g.members[:3] {
				if p := o.process(t, text); string(p.Plaintext) != "hello" {
					t.Errorf("%s reads %q", o.name, p.Plaintext)
				}
			}
		})
	}
}

func TestSuiteNames(t *testing.T) {
	if s := mls.Suite(1).String(); s != "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519" {
		t.Error(s)
	}
	if s := mls.Suite(99).String(); s != "unknown cipher suite" {
		t.Error(s)
	}
}
