package interop

import "fmt"

// reinits: the group ends and goes on as another, of another suite.
func reinits(w *world) {
	next := w.suite%7 + 1
	for i, how := range []string{"propose", "by value", "external sender"} {
		w.tag = fmt.Sprint("reinit ", how)
		alice, bob, carol, all := w.group()
		plan := args{"type": "reinit", "group_id": text(w.tag + " again"), "suite": next,
			"extensions": []args{{"type": 3, "data": "000000"}}}
		switch how {
		case "propose":
			m := proposes(all, carol, "propose_reinit", plan)
			commits(all, bob, "commit", args{"by_reference": []string{m}})
		case "by value":
			commits(all, alice, "commit", args{"by_value": []args{plan}, "force_path": true})
		case "external sender":
			s := w.party(w.b, "service")
			m := proposes(all, alice, "propose_external_sender", args{"external_sender": s.call("external_sender", nil).ExternalSender})
			commits(all, bob, "commit", args{"by_reference": []string{m}})
			m = s.call("external_propose", args{"group_info": bob.call("group_info", nil).GroupInfo, "proposal": plan}).Message
			hear("proposal", m, all...)
			commits(all, carol, "commit", args{"by_reference": []string{m}})
		}
		old := agree(w.t, "in the last epoch", all...)
		for _, p := range all {
			p.refused("reinitialized", "protect", args{"plaintext": "00"})
			p.refused("reinitialized", "update", nil)
			if s := p.call("state", nil); s.Active == nil || *s.Active {
				w.t.Fatalf("%s is active in a group that ended", p.who)
			}
		}
		var packages []string
		for _, p := range all[1:] {
			packages = append(packages, p.call("reinit_key_package", nil).MLSMessage)
		}
		inside := i == 0
		alice.refused("members are missing", "reinit_create", args{"key_packages": packages[:1]})
		r := alice.call("reinit_create", args{"key_packages": packages, "force_path": i == 1, "ratchet_tree": inside})
		join := args{"welcome": r.Welcome}
		if !inside {
			join["ratchet_tree"] = r.RatchetTree
		}
		for _, p := range all[1:] {
			p.refused("", "join", join) // not without the old group
			p.call("reinit_join", join)
		}
		if s := agree(w.t, "in the new group", all...); s.Epoch != 1 || s.Group != text(w.tag+" again") {
			w.t.Fatalf("the new group %s is in epoch %d", s.Group, s.Epoch)
		}
		w.agree("in the new group", all...)
		commits(all, carol, "update", nil)
		w.agree("in the new group, after an update", all...)
		if s := bob.call("state", args{"group": old.Group}); s.EpochAuthenticator != old.EpochAuthenticator {
			w.t.Fatal("the old group cannot be read any more")
		}
	}
}

// branches: some of the members make a group of their own, which one joins by a
// KeyPackage of another client.
func branches(w *world) {
	alice, bob, carol, all := w.group()
	main := alice.call("state", nil).Group
	for i, inside := range []bool{true, false} {
		name := fmt.Sprint("branch ", i)
		fresh := w.party(w.b, "bob")
		list := []string{carol.keyPackage(), fresh.keyPackage()}
		r := alice.call("branch", args{"group": main, "group_id": text(name), "key_packages": list, "force_path": i == 1,
			"ratchet_tree": inside, "extensions": []args{{"type": 3, "data": "000000"}, {"type": 5, "data": "00"}}})
		if r.Group != text(name) || r.Epoch != 1 {
			w.t.Fatalf("the branch %s is in epoch %d", r.Group, r.Epoch)
		}
		join := args{"group": main, "welcome": r.Welcome, "key_package_of": fresh.id}
		if !inside {
			join["ratchet_tree"] = r.RatchetTree
		}
		bob.call("branch_join", join)
		join["key_package_of"] = carol.id
		carol.call("branch_join", join)
		branch := []*party{alice, fresh, carol}
		w.agree("in "+name, branch...)
		commits(branch, fresh, "update", nil)
		w.agree("in the changed "+name, branch...)
	}
	stranger := w.party(w.b, "stranger")
	alice.refused("no member of the parent", "branch", args{"group": main, "group_id": text("branch of strangers"),
		"key_packages": []string{stranger.keyPackage()}})

	// The main group goes on.
	r := alice.call("update", args{"group": main})
	hear("commit", r.Commit, bob, carol)
	w.agree("in the main group", all...)
}
