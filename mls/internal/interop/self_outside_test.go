package interop

// externalJoins: with the tree inside the GroupInfo and beside it, with PSKs,
// and members that lost their state.
func externalJoins(w *world) {
	alice, bob, _, all := w.group()
	register("psk", thePSK, all...)
	for i, inside := range []bool{true, false} {
		p := w.party([]*process{w.a, w.b}[i], []string{"dave", "erin"}[i])
		info := all[i].call("group_info", args{"ratchet_tree": inside})
		join := args{"group_info": info.GroupInfo}
		if !inside {
			p.refused("tree", "external_join", join)
			join["ratchet_tree"] = info.RatchetTree
			join["psks"] = []string{text("psk")}
			p.refused("pre-shared key", "external_join", join)
			register("psk", thePSK, append(all, p)...)
		}
		r := p.call("external_join", join)
		hear("commit", r.Commit, all...)
		all = append(all, p)
		w.agree("after an external join", all...)
	}

	// A resync by the same client, then by one with another signature key.
	stranger := w.party(w.a, "stranger")
	info := alice.call("group_info", nil).GroupInfo
	stranger.refused("no leaf", "external_join", args{"group_info": info, "resync": true})
	r := bob.call("external_join", args{"group_info": info, "resync": true})
	hear("commit", r.Commit, except(all, bob)...)
	w.agree("after a resync", all...)
	again := w.party(w.a, "bob")
	info = alice.call("group_info", nil).GroupInfo
	r = again.call("external_join", args{"group_info": info, "resync": true})
	hear("commit", r.Commit, all...)
	bob.refused("removed", "protect", args{"plaintext": "00"})
	all = append(except(all, bob), again)
	w.agree("after a resync with a fresh key", all...)
	commits(all, again, "update", nil)
	w.agree("after an update", all...)
}

// externalProposals: of external senders, of which there are two in the end, and
// of a client that wants to join.
func externalProposals(w *world) {
	alice, bob, carol, all := w.group()
	first, second := w.party(w.b, "service"), w.party(w.a, "second service")
	for _, s := range []*party{first, second} {
		sender := s.call("external_sender", nil).ExternalSender
		m := proposes(all, alice, "propose_external_sender", args{"external_sender": sender})
		commits(all, bob, "commit", args{"by_reference": []string{m}})
	}
	w.agree("with external senders", all...)

	about := func(inside bool) args {
		info := carol.call("group_info", args{"ratchet_tree": inside})
		if inside {
			return args{"group_info": info.GroupInfo}
		}
		return args{"group_info": info.GroupInfo, "ratchet_tree": info.RatchetTree}
	}
	propose := func(by *party, inside bool, proposal args) string {
		a := about(inside)
		a["proposal"] = proposal
		r := by.call("external_propose", a)
		if r.Wireformat != "mls_public_message" {
			w.t.Fatalf("an external proposal in a %s", r.Wireformat)
		}
		hear("proposal", r.Message, all...)
		return r.Message
	}
	dave, erin := w.party(w.a, "dave"), w.party(w.b, "erin")
	a := about(true)
	erin.refused("", "external_propose", args{"group_info": a["group_info"], "proposal": args{"type": "remove", "identity_hex": text("bob")}})
	joining := erin.call("new_member_add", about(true)).Message
	hear("proposal", joining, all...)
	adding := propose(second, false, args{"type": "add", "key_package": dave.keyPackage()})
	removing := propose(first, true, args{"type": "remove", "identity_hex": text("bob")})
	r := commits(all, carol, "commit", args{"by_reference": []string{joining, adding, removing}})
	all = []*party{alice, carol, dave, erin}
	for _, p := range all[2:] {
		p.call("join", args{"welcome": r.Welcome})
	}
	bob.refused("removed", "protect", args{"plaintext": "00"})
	w.agree("after external proposals", all...)

	register("psk", thePSK, all...)
	refs := []string{propose(first, true, args{"type": "psk", "psk_id": text("psk")}),
		propose(second, false, args{"type": "group_context_extensions", "extensions": []args{{"type": 3, "data": "000000"}}})}
	commits(all, erin, "commit", args{"by_reference": refs})
	w.agree("after the external senders are gone", all...)
	a = about(true)
	first.refused("external sender", "external_propose", args{"group_info": a["group_info"], "proposal": args{"type": "psk", "psk_id": text("psk")}})
}
