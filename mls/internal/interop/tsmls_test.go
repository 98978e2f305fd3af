package interop

import (
	"fmt"
	"path/filepath"
	"testing"
)

// commonSuites are those that ts-mls and we both have, by the same numbers.
var commonSuites = []uint16{1, 2, 3, 4, 5, 6, 7}

// TestInteropTSMLS lets our driver and that of ts-mls 1.6.4 share groups, each
// side once as the creator, in each suite that both have.
func TestInteropTSMLS(t *testing.T) {
	node, dir := tsmls(t)
	for _, suite := range commonSuites {
		for _, creator := range []string{"ours", "theirs"} {
			for _, mode := range []string{"private", "public"} {
				t.Run(fmt.Sprintf("suite %d/%s creates/%s handshake", suite, creator, mode), func(t *testing.T) {
					t.Parallel()
					our, their := ours(t), start(t, "ts-mls", dir, node, filepath.Join(dir, "driver.mjs"))
					x, y := our, their
					if creator == "theirs" {
						x, y = their, our
					}
					m := &meeting{t: t, x: x, y: y, our: our, suite: suite, mode: mode}
					m.begin()
					m.grow()
					m.updates()
					m.psks()
					m.byReference()
					m.removals()
					m.externals()
					m.extensions()
					m.late()
				})
			}
		}
	}
}

// meeting is a group whose creator is at driver x, and others at y and x. What
// ts-mls gets wrong is avoided: trees above 4 leaves when it joins, commits of
// group context extensions of its making, and resyncs of its making.
type meeting struct {
	t          *testing.T
	x, y, our  *process
	suite      uint16
	mode       string
	alice, bob *party // at x, at y
	all        []*party
}

func (m *meeting) party(d *process, who string) *party { return newParty(d, who, m.suite, m.mode) }

func (m *meeting) agree(when string) {
	m.t.Helper()
	agree(m.t, when, m.all...)
	for _, p := range m.all {
		says(p, when+", says "+p.who, except(m.all, p)...)
	}
}

func (m *meeting) without(p *party) { m.all = except(m.all, p) }

// begin: the creator adds the other side.
func (m *meeting) begin() {
	m.alice, m.bob = m.party(m.x, "alice"), m.party(m.y, "bob")
	m.alice.call("create_group", args{"group_id": text("meeting")})
	r := m.alice.call("add", args{"key_packages": []string{m.bob.call("key_package", nil).KeyPackage}})
	m.bob.call("join", args{"welcome": r.Welcome})
	m.all = []*party{m.alice, m.bob}
	m.agree("after the first add")
}

// grow: the other side adds one of the creator's side, and one joins by itself.
func (m *meeting) grow() {
	carol, dave := m.party(m.x, "carol"), m.party(m.y, "dave")
	r := commits(m.all, m.bob, "add", args{"key_packages": []string{carol.keyPackage()}})
	carol.call("join", args{"welcome": r.Welcome})
	m.all = append(m.all, carol)
	m.agree("after the second add")
	r = dave.call("external_join", args{"group_info": m.alice.call("group_info", nil).GroupInfo})
	hear("commit", r.Commit, m.all...)
	m.all = append(m.all, dave)
	m.agree("after an external join")
}

// updates: each member renews its keys, over a tree that fills, in both framings.
func (m *meeting) updates() {
	for round := range 3 {
		for i, p := range m.all {
			public := (i+round)%2 == 0
			r := commits(m.all, p, "update", args{"public": public})
			want := map[bool]string{true: "mls_public_message", false: "mls_private_message"}[public]
			if r.Wireformat != want {
				m.t.Fatalf("%s at %s commits as %q, not %q", p.who, p.name, r.Wireformat, want)
			}
		}
	}
	m.agree("after updates")
}

func (m *meeting) psks() {
	for _, p := range m.all {
		p.call("psk_register", args{"psk_id": text("psk"), "psk": text("a pre-shared key of 32 byte size")})
	}
	for _, p := range m.all {
		commits(m.all, p, "psk", args{"psk_id": text("psk")})
		m.agree("after a PSK of " + p.who)
	}
}

// byReference: each side commits what the other proposed.
func (m *meeting) byReference() {
	carol, dave := m.all[2], m.all[3]
	proposes(m.all, m.alice, "propose_psk", args{"psk_id": text("psk")})
	proposes(m.all, carol, "propose_remove", args{"identity_hex": text("dave"), "public": true})
	if m.x == m.our {
		proposes(m.all, m.alice, "propose_update", nil)
	}
	m.goes(dave, "by reference", func() { commits(m.all, m.bob, "commit_pending", nil) })

	erin := m.party(m.y, "erin")
	proposes(m.all, m.bob, "propose_add", args{"key_package": erin.keyPackage()})
	if m.y == m.our {
		proposes(m.all, m.bob, "propose_update", nil)
	}
	r := commits(m.all, m.alice, "commit_pending", nil)
	erin.call("join", args{"welcome": r.Welcome})
	m.all = append(m.all, erin)
	m.agree("after an add by reference")
}

// goes checks that a member is out after a change.
func (m *meeting) goes(who *party, how string, change func()) {
	m.t.Helper()
	change()
	if s := who.call("state", nil); s.Active == nil || *s.Active {
		m.t.Fatalf("%s at %s: removed %s and still active", who.who, who.name, how)
	}
	if r := who.attempt("protect", args{"plaintext": "00"}); r.OK {
		m.t.Fatalf("%s at %s: removed %s and can still send", who.who, who.name, how)
	}
	m.without(who)
	m.agree("after removing " + who.who + " " + how)
}

// removals: each side removes a member by value.
func (m *meeting) removals() {
	carol, erin := m.all[2], m.all[3]
	m.goes(erin, "by value", func() { commits(m.all, m.bob, "remove", args{"identity_hex": text("erin")}) })
	m.goes(carol, "by value", func() { commits(m.all, m.alice, "remove", args{"identity_hex": text("carol")}) })
}

// externals: strangers join by themselves, through the information of the other
// side.
func (m *meeting) externals() {
	for _, j := range []struct {
		who     string
		at      *process
		through *party
	}{{"frank", m.x, m.bob}, {"grace", m.y, m.alice}} {
		p := m.party(j.at, j.who)
		r := p.call("external_join", args{"group_info": j.through.call("group_info", nil).GroupInfo})
		hear("commit", r.Commit, m.all...)
		m.all = append(m.all, p)
		m.agree("after an external join of " + j.who)
	}
	for i, p := range m.all {
		if p.process != m.our || p == m.alice || p == m.bob {
			continue
		}
		info := m.alice.call("group_info", nil).GroupInfo
		r := p.call("external_join", args{"group_info": info, "resync": true})
		hear("commit", r.Commit, except(m.all, p)...)
		m.all[i] = p
		m.agree("after a resync of " + p.who)
	}
}

// extensions: ours commits group context extensions.
func (m *meeting) extensions() {
	us := m.alice
	if m.x != m.our {
		us = m.bob
	}
	// required_capabilities: nothing but the basic credential
	commits(m.all, us, "group_context_extensions", args{"extensions": []args{{"type": 3, "data": "0000020001"}}})
	m.agree("after new extensions")
}

// late: messages out of order, twice, and of an old epoch.
func (m *meeting) late() {
	for _, from := range []*party{m.alice, m.bob} {
		to := except(m.all, from)
		var sent []string
		for i := range 5 {
			sent = append(sent, from.call("protect", args{"plaintext": text(fmt.Sprint(i)), "aad": text("aad")}).Message)
		}
		for _, i := range []int{2, 0, 3, 1} {
			for _, p := range to {
				hears(p, sent[i], fmt.Sprint(i))
			}
		}
		for _, p := range to {
			p.refused("", "process", args{"message": sent[1]})
			p.refused("", "process", args{"message": "00"})
		}
		commits(m.all, to[0], "update", nil)
		for _, p := range to {
			hears(p, sent[4], "4")
		}
		m.agree("after late messages")
	}
}
