package interop

import (
	"encoding/hex"
	"strings"
	"testing"
)

// party is one client of a driver.
type party struct {
	*process
	who string
	id  int
}

// newParty makes a client. mode is the framing of its handshake messages,
// "private" or "public".
func newParty(d *process, who string, suite uint16, mode string) *party {
	d.t.Helper()
	r := d.try("new", args{"identity_hex": text(who), "suite": suite, "handshake": mode})
	if !r.OK {
		d.t.Fatalf("%s: new: %s", d.name, r.Error)
	}
	return &party{d, who, r.ID}
}

func text(s string) string { return hex.EncodeToString([]byte(s)) }

func (p *party) attempt(op string, a args) reply {
	p.t.Helper()
	request := args{"id": p.id}
	for k, v := range a {
		request[k] = v
	}
	return p.try(op, request)
}

// call makes a request that must succeed.
func (p *party) call(op string, a args) reply {
	p.t.Helper()
	r := p.attempt(op, a)
	if !r.OK {
		p.t.Fatalf("%s at %s: %s: %s", p.who, p.name, op, r.Error)
	}
	return r
}

// refused makes a request that must fail, for the given reason, and without
// effect.
func (p *party) refused(reason, op string, a args) {
	p.t.Helper()
	r := p.attempt(op, a)
	if r.OK {
		p.t.Fatalf("%s at %s: %s succeeds", p.who, p.name, op)
	}
	if !strings.Contains(r.Error, reason) {
		p.t.Fatalf("%s at %s: %s fails with %q, not %q", p.who, p.name, op, r.Error, reason)
	}
}

func (p *party) keyPackage() string {
	p.t.Helper()
	return p.call("key_package", nil).MLSMessage
}

// hear has parties process a message, which must be of the kind.
func hear(kind, message string, to ...*party) {
	for _, p := range to {
		p.t.Helper()
		if r := p.call("process", args{"message": message}); r.Kind != kind {
			p.t.Fatalf("%s at %s: a %s is taken for %q", p.who, p.name, kind, r.Kind)
		}
	}
}

// except returns all parties but one.
func except(all []*party, not *party) []*party {
	var out []*party
	for _, p := range all {
		if p != not {
			out = append(out, p)
		}
	}
	return out
}

// commits has one party commit by an operation, and all others follow.
func commits(all []*party, who *party, op string, a args) reply {
	who.t.Helper()
	r := who.call(op, a)
	hear("commit", r.Commit, except(all, who)...)
	return r
}

// proposes has one party propose by an operation, and all others hear of it.
func proposes(all []*party, who *party, op string, a args) string {
	who.t.Helper()
	m := who.call(op, a).Message
	hear("proposal", m, except(all, who)...)
	return m
}

// says sends a message from one party to others.
func says(from *party, what string, to ...*party) {
	from.t.Helper()
	m := from.call("protect", args{"plaintext": text(what)}).Message
	for _, p := range to {
		hears(p, m, what)
	}
}

// hears has a party open a message.
func hears(p *party, message, what string) {
	p.t.Helper()
	r := p.call("process", args{"message": message})
	if r.Kind != "application" || r.Plaintext != text(what) {
		p.t.Fatalf("%s at %s reads %s %q, not %q", p.who, p.name, r.Kind, r.Plaintext, text(what))
	}
}

// exported is the length of the secrets that agree compares, in bytes.
const exported = 48

// agree checks that parties have one view of their group, and one secret.
func agree(t *testing.T, when string, all ...*party) reply {
	t.Helper()
	first := all[0].call("state", nil)
	if first.EpochAuthenticator == "" || first.TreeHash == "" {
		t.Fatalf("%s: %s has no state: %+v", when, all[0].who, first)
	}
	a := args{"label": "interop", "context": text(when), "length": exported}
	secret := all[0].call("export", a).Secret
	if len(secret) != 2*exported {
		t.Fatalf("%s: %s exports %d digits", when, all[0].who, len(secret))
	}
	for _, p := range all[1:] {
		s := p.call("state", nil)
		if s.Group != first.Group || s.Epoch != first.Epoch || s.EpochAuthenticator != first.EpochAuthenticator ||
			s.TreeHash != first.TreeHash || s.Members != first.Members {
			t.Fatalf("%s: %s at %s is in epoch %d with %d members, %s at %s in epoch %d with %d, authenticators %s and %s",
				when, all[0].who, all[0].name, first.Epoch, first.Members,
				p.who, p.name, s.Epoch, s.Members, first.EpochAuthenticator, s.EpochAuthenticator)
		}
		if got := p.call("export", a).Secret; got != secret {
			t.Fatalf("%s: %s at %s and %s at %s export different secrets", when, all[0].who, all[0].name, p.who, p.name)
		}
	}
	return first
}
