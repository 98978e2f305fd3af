package interop

import (
	"fmt"
	"slices"
	"testing"
)

// world is two processes of our driver. Each script makes a group of its own in
// it.
type world struct {
	t     *testing.T
	a, b  *process
	suite uint16
	mode  string
	tag   string // of the script, part of its group's id
	turn  int    // counts calls of agree
}

// script is one story that all suites and both framings of handshake messages
// must tell alike.
type script struct {
	name string
	run  func(w *world)
}

var scripts = []script{
	{"welcome", welcomes}, {"simple commits", simpleCommits}, {"application", application},
	{"listed commits", listedCommits}, {"staged commits", stagedCommits},
	{"external join", externalJoins}, {"external proposals", externalProposals},
	{"reinit", reinits}, {"branch", branches}, {"bad requests", badRequests},
}

// TestInteropSelf lets our driver share groups with itself through every
// operation, in all suites and both framings of handshake messages.
func TestInteropSelf(t *testing.T) {
	v := ours(t).try("version", nil)
	if !v.OK || len(v.Suites) < 7 {
		t.Fatalf("version: %+v", v)
	}
	for _, op := range specified {
		if !slices.Contains(v.Ops, op) {
			t.Errorf("the driver does not know %s", op)
		}
	}
	for i, suite := range v.Suites {
		for _, mode := range []string{"private", "public"} {
			t.Run(fmt.Sprintf("suite %d/%s handshake", suite, mode), func(t *testing.T) {
				t.Parallel()
				if everyDay := suite == 1 || (mode == "public") == (i%2 == 0); !everyDay && !thorough() {
					t.Skip("QUICNPROTOCHAT_INTEROP is not 1: but for suite 1, each suite runs in one framing")
				}
				w := &world{t: t, a: ours(t), b: ours(t), suite: suite, mode: mode}
				for _, s := range scripts {
					w.tag = s.name
					s.run(w)
					if t.Failed() {
						t.Fatalf("script %s failed", s.name)
					}
				}
				for _, op := range v.Ops {
					if !w.a.used[op] && !w.b.used[op] {
						t.Errorf("no script uses %s", op)
					}
				}
			})
		}
	}
}

// specified are the operations of the protocol's description.
var specified = []string{
	"version", "close", "new", "key_package", "create_group", "join", "group_info", "external_join", "protect",
	"process", "psk_register", "propose_add", "propose_remove", "propose_psk", "propose_update",
	"propose_resumption_psk", "propose_group_context_extensions", "propose_reinit", "propose_external_sender",
	"commit", "merge_pending", "reinit_key_package", "reinit_create", "reinit_join", "branch", "branch_join",
	"new_member_add", "external_sender", "external_propose", "export", "state",
	"add", "remove", "update", "psk", "commit_pending", "group_context_extensions",
}

const thePSK = "a pre-shared key of 32 byte size"

func (w *world) party(d *process, who string) *party { return newParty(d, who, w.suite, w.mode) }

func (w *world) wireformat() string { return "mls_" + w.mode + "_message" }

// agree compares the parties, and has one send to all others: another each time.
func (w *world) agree(when string, all ...*party) {
	w.t.Helper()
	agree(w.t, w.tag+": "+when, all...)
	w.turn++
	p := all[w.turn%len(all)]
	says(p, when+", says "+p.who, except(all, p)...)
}

// group makes a group of three: alice and carol at one process, bob at the
// other.
func (w *world) group() (alice, bob, carol *party, all []*party) {
	w.t.Helper()
	alice, bob, carol = w.party(w.a, "alice"), w.party(w.b, "bob"), w.party(w.a, "carol")
	all = []*party{alice, bob, carol}
	alice.call("create_group", args{"group_id": text(w.tag), "extensions": []args{}})
	r := alice.call("add", args{"key_packages": []string{bob.keyPackage(), carol.keyPackage()}})
	for _, p := range all[1:] {
		p.call("join", args{"welcome": r.Welcome})
	}
	commits(all, bob, "update", nil)
	w.agree("in the beginning", all...)
	return
}

func register(psk, value string, all ...*party) {
	for _, p := range all {
		p.t.Helper()
		p.call("psk_register", args{"psk_id": text(psk), "psk": text(value)})
	}
}
