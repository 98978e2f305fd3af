package main

import (
	"fmt"
	"strings"
	"testing"
)

// setup makes a group of parties, all at drivers of their own.
func setup(t *testing.T, suite uint16, mode string, names ...string) []*party {
	t.Helper()
	var ps []*party
	for _, n := range names {
		ps = append(ps, newParty(t, inProcess{newDriver()}, n, suite, mode))
	}
	ps[0].call("create_group", fields{"group_id": hexed("group")})
	for i, p := range ps[1:] {
		r := ps[0].call("commit", fields{"by_value": []fields{{"type": "add", "key_package": p.get("key_package", "mls_message", nil)}}})
		all("commit", r["commit"], ps[1:i+1]...)
		p.call("join", fields{"welcome": r["welcome"]})
	}
	agree("setup", ps...)
	return ps
}

// TestEveryOperation puts our driver against itself, in all suites and both
// handshake modes.
func TestEveryOperation(t *testing.T) {
	for suite := uint16(1); suite <= 7; suite++ {
		for _, mode := range []string{"private", "public"} {
			t.Run(fmt.Sprint(suite, mode), func(t *testing.T) {
				t.Parallel()
				ps := setup(t, suite, mode, "alice", "bob", "carol")
				byReference(ps)
				externals(t, suite, mode, ps)
				messages(ps)
				branches(t, suite, mode, ps)
				reinit(ps)
			})
		}
	}
}

func byReference(ps []*party) {
	alice, bob, carol := ps[0], ps[1], ps[2]
	for _, p := range ps {
		p.call("psk_register", fields{"psk_id": hexed("psk"), "psk": hexed("a pre-shared key of 32 byte size")})
	}
	state := alice.call("state", nil)
	var refs []any
	propose := func(p *party, op string, f fields) {
		m := p.get(op, "message", f)
		refs = append(refs, m)
		for _, q := range ps {
			if q != p {
				all("proposal", m, q)
			}
		}
	}
	propose(alice, "propose_update", nil)
	propose(carol, "propose_psk", fields{"psk_id": hexed("psk")})
	propose(carol, "propose_resumption_psk", fields{"epoch": state["epoch"]})
	propose(alice, "propose_group_context_extensions", fields{"extensions": []fields{{"type": 3, "data": "000000"}}})
	r := bob.call("commit", fields{"by_reference": refs, "merge": false})
	all("commit", r["commit"], alice, carol)
	bob.call("merge_pending", nil)
	agree("by reference", ps...)

	// A commit covers exactly what is listed, and another may win over ours.
	m := alice.get("propose_remove", "message", fields{"identity_hex": hexed("carol")})
	all("proposal", m, bob, carol)
	carol.call("commit", fields{"by_reference": []any{}, "force_path": true, "merge": false})
	r = alice.call("commit", fields{"by_reference": []any{}, "force_path": true})
	all("commit", r["commit"], bob, carol)
	agree("carol stays", ps...)
	alice.refused("commit", fields{"by_reference": []any{m}})
}

func externals(t *testing.T, suite uint16, mode string, ps []*party) {
	alice, bob, carol := ps[0], ps[1], ps[2]
	// An external join with the tree beside and a PSK, then a resync.
	dave := newParty(t, inProcess{newDriver()}, "dave", suite, mode)
	dave.call("psk_register", fields{"psk_id": hexed("psk"), "psk": hexed("a pre-shared key of 32 byte size")})
	info := alice.call("group_info", fields{"ratchet_tree": false})
	r := dave.call("external_join", fields{"group_info": info["group_info"], "ratchet_tree": info["ratchet_tree"],
		"psks": []string{hexed("psk")}})
	all("commit", r["commit"], alice, bob, carol)
	agree("external join", alice, bob, carol, dave)
	info = bob.call("group_info", nil)
	r = dave.call("external_join", fields{"group_info": info["group_info"], "resync": true})
	all("commit", r["commit"], alice, bob, carol)
	agree("resync", alice, bob, carol, dave)

	// An external sender removes dave; a new member proposes itself.
	ds := newParty(t, inProcess{newDriver()}, "service", suite, mode)
	m := alice.get("propose_external_sender", "message", fields{"external_sender": ds.get("external_sender", "external_sender", nil)})
	all("proposal", m, bob, carol, dave)
	r = bob.call("commit", fields{"by_reference": []any{m}})
	all("commit", r["commit"], alice, carol, dave)
	info = bob.call("group_info", fields{"ratchet_tree": false})
	removal := ds.get("external_propose", "message", fields{"group_info": info["group_info"], "ratchet_tree": info["ratchet_tree"],
		"proposal": fields{"type": "remove", "identity_hex": hexed("dave")}})
	erin := newParty(t, inProcess{newDriver()}, "erin", suite, mode)
	joining := erin.get("new_member_add", "message", fields{"group_info": info["group_info"]})
	all("proposal", removal, alice, bob, carol, dave)
	all("proposal", joining, alice, bob, carol, dave)
	r = carol.call("commit", fields{"by_reference": []any{removal, joining}, "ratchet_tree": false})
	all("commit", r["commit"], alice, bob, dave)
	erin.call("join", fields{"welcome": r["welcome"], "ratchet_tree": r["ratchet_tree"]})
	agree("external proposals", alice, bob, carol, erin)
	dave.refused("protect", fields{"plaintext": "00"})
	ds.refused("external_propose", fields{"group_info": info["group_info"], "ratchet_tree": info["ratchet_tree"],
		"proposal": fields{"type": "nonsense"}})
	r = alice.call("remove", fields{"name": "erin"})
	all("commit", r["commit"], bob, carol, erin)
}

func messages(ps []*party) {
	alice, bob, carol := ps[0], ps[1], ps[2]
	say(alice, "hello", bob, carol)
	var ms []string
	for i := range 4 {
		ms = append(ms, bob.get("protect", "message", fields{"plaintext": hexed(fmt.Sprint(i)), "aad": hexed("aad")}))
	}
	r := carol.call("update", nil)
	all("commit", r["commit"], alice, bob)
	for _, i := range []int{2, 0, 3, 1} {
		out := alice.call("process", fields{"message": ms[i]})
		if out["plaintext"] != hexed(fmt.Sprint(i)) || out["aad"] != hexed("aad") {
			alice.t.Fatalf("out of order: %v", out)
		}
	}
	alice.refused("process", fields{"message": ms[1]})
	bob.refused("process", fields{"message": "00"})
	if _, err := alice.try("nonsense", nil); err == nil || !strings.Contains(err.Error(), "unknown op") {
		alice.t.Fatalf("nonsense: %v", err)
	}
}

func branches(t *testing.T, suite uint16, mode string, ps []*party) {
	alice, bob := ps[0], ps[1]
	d := bob.d
	fresh := newParty(t, d, "bob", suite, mode)
	main := alice.get("state", "group", nil)
	kp := fresh.get("key_package", "mls_message", nil)
	for _, inside := range []bool{true, false} {
		if !inside {
			kp = fresh.get("key_package", "mls_message", nil)
		}
		b := alice.call("branch", fields{"group": main, "group_id": hexed(fmt.Sprint("branch", inside)),
			"extensions": []any{}, "key_packages": []any{kp}, "force_path": inside, "ratchet_tree": inside})
		f := fields{"key_package_of": fresh.id, "welcome": b["welcome"], "group": main}
		if !inside {
			f["ratchet_tree"] = b["ratchet_tree"]
		}
		bob.call("branch_join", f)
		agree("branch", alice, fresh)
		say(fresh, "in the branch", alice)
	}
	// Back to the main group.
	m := alice.get("protect", "message", fields{"group": main, "plaintext": "00"})
	all("application", m, bob, ps[2])
	r := alice.call("commit", fields{"group": main, "force_path": true})
	all("commit", r["commit"], bob, ps[2])
	alice.call("process", fields{"message": r["commit"]}) // own, come back: makes the group current again
	agree("main group", ps...)
}

func reinit(ps []*party) {
	alice, bob, carol := ps[0], ps[1], ps[2]
	m := bob.get("propose_reinit", "message", fields{"group_id": hexed("successor"), "suite": 3, "extensions": []any{}})
	all("proposal", m, alice, carol)
	r := alice.call("commit", fields{"by_reference": []any{m}})
	all("commit", r["commit"], bob, carol)
	agree("last epoch", ps...)
	alice.refused("protect", fields{"plaintext": "00"})
	last := alice.get("state", "group", nil)
	var kps []string
	for _, p := range ps[1:] {
		kps = append(kps, p.get("reinit_key_package", "mls_message", nil))
	}
	n := alice.call("reinit_create", fields{"key_packages": kps, "force_path": true, "ratchet_tree": false})
	for _, p := range ps[1:] {
		p.call("reinit_join", fields{"welcome": n["welcome"], "ratchet_tree": n["ratchet_tree"]})
	}
	agree("successor", ps...)
	say(carol, "in the successor", alice, bob)
	if s := bob.call("state", fields{"group": last}); s["active"] != false {
		bob.t.Fatalf("the old group is still active")
	}
}
