package interop

import "slices"

// welcomes: every way to join by a Welcome, with the tree inside and beside,
// with and without path and PSK.
func welcomes(w *world) {
	alice := w.party(w.a, "alice")
	alice.call("create_group", args{"group_id": text(w.tag)})
	all := []*party{alice}
	register("psk", thePSK, alice)
	for _, path := range []bool{false, true} {
		for _, inside := range []bool{false, true} {
			for _, psk := range []bool{false, true} {
				by := all[len(all)-1]
				p := w.party([]*process{w.a, w.b}[len(all)%2], "joiner")
				kp := p.call("key_package", nil)
				raw := []string{kp.KeyPackage, kp.MLSMessage}[len(all)%2]
				value := []args{{"type": "add", "key_package": raw}}
				if psk {
					value = append(value, args{"type": "psk", "psk_id": text("psk")})
				}
				r := commits(all, by, "commit", args{"by_value": value, "by_reference": []string{},
					"force_path": path, "ratchet_tree": inside})
				join := args{"welcome": r.Welcome}
				if (r.RatchetTree == "") != inside {
					w.t.Fatalf("the tree is beside the Welcome: %v", r.RatchetTree != "")
				}
				if psk {
					p.refused("pre-shared key", "join", join)
				}
				register("psk", thePSK, p)
				if !inside {
					p.refused("tree", "join", join)
					join["ratchet_tree"] = r.RatchetTree
				}
				p.call("join", join)
				p.refused("none of", "join", join)
				all = append(all, p)
				w.agree("after a Welcome", all...)
			}
		}
	}
}

// simpleCommits: the operations that commit one thing, with what is pending.
func simpleCommits(w *world) {
	alice, bob, carol, all := w.group()
	register("psk", thePSK, all...)
	r := commits(all, bob, "psk", args{"psk_id": text("psk")})
	if r.Wireformat != w.wireformat() {
		w.t.Fatalf("a commit is a %s, not a %s", r.Wireformat, w.wireformat())
	}
	other := map[bool]string{true: "mls_public_message", false: "mls_private_message"}
	for _, public := range []bool{true, false} {
		if r := commits(all, carol, "update", args{"public": public}); r.Wireformat != other[public] {
			w.t.Fatalf("a commit is a %s, not a %s", r.Wireformat, other[public])
		}
		m := alice.call("propose_update", args{"public": public})
		if m.Wireformat != other[public] {
			w.t.Fatalf("a proposal is a %s, not a %s", m.Wireformat, other[public])
		}
		hear("proposal", m.Message, bob, carol)
		commits(all, bob, "commit_pending", nil)
	}
	w.agree("after updates", all...)

	dave := w.party(w.b, "dave")
	proposes(all, carol, "propose_add", args{"key_package": dave.keyPackage()})
	r = commits(all, bob, "psk", args{"psk_id": text("psk"), "ratchet_tree": false})
	dave.refused("pre-shared key", "join", args{"welcome": r.Welcome, "ratchet_tree": r.RatchetTree})
	register("psk", thePSK, dave)
	dave.call("join", args{"welcome": r.Welcome, "ratchet_tree": r.RatchetTree})
	all = append(all, dave)
	w.agree("after a pending add", all...)

	// required_capabilities and external_senders, both empty
	commits(all, dave, "group_context_extensions", args{"extensions": []args{{"type": 3, "data": "000000"}, {"type": 5, "data": "00"}}})
	if s := carol.call("state", nil); len(s.Extensions) != 2 {
		w.t.Fatalf("extensions: %v", s.Extensions)
	}
	commits(all, alice, "remove", args{"identity_hex": text("bob")})
	bob.refused("removed", "protect", args{"plaintext": "00"})
	all = except(all, bob)
	w.agree("after a removal", all...)
	if r := commits(all, dave, "remove", args{"name": "carol"}); r.Welcome != "" {
		w.t.Fatal("a removal makes a Welcome")
	}
	w.agree("after the second removal", alice, dave)
}

// listedCommits: each type of proposal, by reference and by value; commits cover
// exactly what is listed.
func listedCommits(w *world) {
	alice, bob, carol, all := w.group()
	register("psk", thePSK, all...)
	epoch := alice.call("state", nil).Epoch
	dave := w.party(w.b, "dave")
	register("psk", thePSK, dave)
	extensions := []args{{"type": 3, "data": "000000"}}

	unlisted := proposes(all, carol, "propose_remove", args{"identity_hex": text("bob")})
	listed := []string{
		proposes(all, alice, "propose_update", nil),
		proposes(all, alice, "propose_psk", args{"psk_id": text("psk")}),
		proposes(all, bob, "propose_group_context_extensions", args{"extensions": extensions}),
		proposes(all, carol, "propose_add", args{"key_package": dave.keyPackage()}),
	}
	r := commits(all, bob, "commit", args{"by_reference": listed})
	dave.call("join", args{"welcome": r.Welcome})
	all = append(all, dave)
	w.agree("by reference", all...)
	alice.refused("unknown proposal", "commit", args{"by_reference": []string{unlisted}})

	// A PSK of an earlier epoch is known to those who were members then.
	old := proposes(except(all, dave), carol, "propose_resumption_psk", args{"epoch": epoch})
	hear("proposal", old, dave)
	now := alice.call("state", nil).Epoch
	current := proposes(all, bob, "propose_resumption_psk", args{"epoch": now})
	commits(all, alice, "commit", args{"by_reference": []string{current}, "force_path": true})
	w.agree("after a resumption PSK", all...)
	commits(all, carol, "commit", args{"by_value": []args{{"type": "resumption_psk", "epoch": now}, {"type": "psk", "psk_id": text("psk")},
		{"type": "remove", "identity_hex": text("dave")}, {"type": "group_context_extensions", "extensions": []args{}}}})
	all = except(all, dave)
	w.agree("by value", all...)
	commits(all, bob, "commit", args{"by_value": []args{{"type": "resumption_psk", "epoch": epoch}}})
	w.agree("after a PSK of an early epoch", all...)

	mixed := proposes(all, carol, "propose_psk", args{"psk_id": text("psk")})
	commits(all, alice, "commit", args{"by_reference": []string{mixed},
		"by_value": []args{{"type": "remove", "identity_hex": text("bob")}}})
	w.agree("by reference and by value", alice, carol)
	alice.refused("", "commit", args{"by_value": []args{{"type": "psk", "psk_id": text("nobody knows")}}})
	alice.refused("no proposal type", "commit", args{"by_value": []args{{"type": "nonsense"}}})
	w.agree("after refusals", alice, carol)
}

// stagedCommits: commits that wait to be merged, and one that lost.
func stagedCommits(w *world) {
	alice, bob, carol, all := w.group()
	r := alice.call("commit", args{"by_reference": []string{}, "force_path": true, "merge": false})
	late := alice.call("protect", args{"plaintext": text("of the old epoch")}).Message
	hear("commit", r.Commit, bob, carol)
	hears(bob, late, "of the old epoch")
	alice.call("merge_pending", nil)
	alice.refused("pending", "merge_pending", nil)
	w.agree("after a merge", all...)

	// carol's commit waits; bob's comes first.
	lost := carol.call("update", args{"merge": false}).Commit
	r = commits(all, bob, "update", nil)
	carol.refused("pending", "merge_pending", nil)
	alice.refused("", "process", args{"message": lost})
	w.agree("after a race", all...)

	// An own commit that comes back is merged.
	r = carol.call("update", args{"merge": false})
	hear("commit", r.Commit, alice, bob, carol)
	w.agree("after an own commit came back", all...)

	// Proposals stay valid over a refused commit, in any order.
	refs := []string{
		proposes(all, alice, "propose_update", nil),
		proposes(all, carol, "propose_update", nil),
	}
	alice.refused("update of its committer", "commit", args{"by_reference": refs})
	slices.Reverse(refs)
	commits(all, bob, "commit", args{"by_reference": refs})
	w.agree("after two updates", all...)
}
