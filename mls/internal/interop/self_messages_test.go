package interop

import (
	"fmt"
	"strings"
)

// application: messages out of order, of old epochs, with additional data, and
// twice.
func application(w *world) {
	alice, bob, carol, all := w.group()
	type sent struct{ message, what string }
	var old []sent
	for epoch := range 4 {
		for i := range 3 {
			what := fmt.Sprintf("message %d of epoch %d", i, epoch)
			r := bob.call("protect", args{"plaintext": text(what), "aad": text("about " + what)})
			if r.Wireformat != "mls_private_message" {
				w.t.Fatalf("application data in a %s", r.Wireformat)
			}
			old = append(old, sent{r.Message, what})
		}
		commits(all, carol, "update", nil)
	}
	for i := range old {
		s := old[(i*5+3)%len(old)]
		r := alice.call("process", args{"message": s.message})
		if r.Kind != "application" || r.Plaintext != text(s.what) || r.AAD != text("about "+s.what) {
			w.t.Fatalf("%q is read as %+v", s.what, r)
		}
	}
	for _, s := range old {
		alice.refused("", "process", args{"message": s.message})
		hears(carol, s.message, s.what)
	}
	bob.refused("own message", "process", args{"message": old[0].message})
	alice.refused("unknown group", "process", args{"message": strings.Replace(old[0].message, text(w.tag), text(w.tag[1:]+"?"), 1)})
	last := bob.call("protect", args{"plaintext": ""}).Message
	changed := last[:len(last)-2] + map[bool]string{true: "01", false: "00"}[strings.HasSuffix(last, "00")]
	alice.refused("", "process", args{"message": changed})
	hears(alice, last, "")

	long := strings.Repeat("long ", 10_000)
	says(alice, long, bob, carol)
	w.agree("in the end", all...)
}

// badRequests: each is answered, and none harms the group.
func badRequests(w *world) {
	alice, bob, carol, all := w.group()
	before := alice.call("state", nil)
	for _, line := range []string{
		"x", "{", "[]", `"op"`, "7", `{"op":7}`, `{"op":"state","id":"1"}`, "{}", `{"op":null}`, `{"op":"nonsense"}`,
		`{"op":"state"}`, `{"op":"state","id":1000000}`, `{"op":"new","suite":0}`, `{"op":"new","suite":65535}`,
		`{"op":"new","suite":1,"handshake":"loud"}`, `{"op":"new","identity_hex":"0"}`, `{"op":"new","identity_hex":"zz"}`,
		strings.Repeat("[", 100_000),
	} {
		if r := alice.raw([]byte(line)); r.OK || r.Error == "" {
			w.t.Errorf("%.40q is answered by %+v", line, r)
		}
	}
	if r := alice.raw([]byte(`{"op":"state\n"}`)); !strings.Contains(r.Error, "unknown op") {
		w.t.Errorf("an unknown operation is answered by %q", r.Error)
	}
	for op, reason := range map[string]string{
		"create_group": "group_id", "join": "welcome", "external_join": "group_info", "protect": "plaintext",
		"process": "message", "psk_register": "psk_id", "propose_add": "key_package", "propose_remove": "no such member",
		"propose_psk": "psk_id", "propose_resumption_psk": "epoch", "propose_reinit": "group_id",
		"propose_external_sender": "external_sender", "reinit_key_package": "reinit", "reinit_create": "reinit",
		"branch": "group_id", "branch_join": "key_package_of", "new_member_add": "group_info",
		"external_propose": "group_info", "add": "key_packages", "remove": "no such member", "psk": "psk_id",
		"merge_pending": "pending", "reinit_join": "welcome",
	} {
		alice.refused(reason, op, nil)
	}
	for _, a := range []args{{"op": "join", "welcome": "00"}, {"op": "external_join", "group_info": "0001"},
		{"op": "process", "message": "000100020000"}, {"op": "add", "key_packages": []string{"00"}},
		{"op": "export", "label": "x", "length": -1}, {"op": "export", "label": "x", "length": 1 << 30},
		{"op": "state", "group": text("no such")}, {"op": "commit", "by_reference": []string{"00"}}} {
		alice.refused("", a["op"].(string), a)
	}
	after := agree(w.t, "after bad requests", alice, bob, carol)
	if after.Epoch != before.Epoch || after.EpochAuthenticator != before.EpochAuthenticator {
		w.t.Error("bad requests changed the group")
	}
	w.agree("after bad requests", all...)
	carol.call("close", nil)
	carol.refused("no client", "state", nil)
	if r := w.a.try("version", nil); !r.OK || r.Name == "" {
		w.t.Errorf("version: %+v", r)
	}
}
