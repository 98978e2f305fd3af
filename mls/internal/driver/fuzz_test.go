package main

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// stage is a driver with alice (1) and bob (2) in a group, carol (3) about to
// join it by a Welcome, and the material that requests may name: "$welcome" in a
// request stands for the Welcome.
func stage(t testing.TB) (*driver, *strings.Replacer) {
	d := newDriver()
	for _, name := range []string{"alice", "bob", "carol"} {
		do(t, d, `{"op":"new","name":%q}`, name)
		do(t, d, `{"op":"psk_register","id":%d,"psk_id":"01","psk":"0203"}`, d.lastID)
	}
	text := func(a answer, field string) string { return hex.EncodeToString(a[field].(octets)) }
	do(t, d, `{"op":"create_group","id":1,"group_id":"00"}`)
	kp := text(do(t, d, `{"op":"key_package","id":2}`), "key_package")
	added := do(t, d, `{"op":"add","id":1,"key_packages":[%q]}`, kp)
	do(t, d, `{"op":"join","id":2,"welcome":%q}`, text(added, "welcome"))
	kp = text(do(t, d, `{"op":"key_package","id":3}`), "key_package")
	staged := do(t, d, `{"op":"add","id":1,"key_packages":[%q],"merge":false,"public":true}`, kp)
	return d, strings.NewReplacer(
		"$welcome", text(staged, "welcome"),
		"$commit", text(staged, "commit"),
		"$package", text(do(t, d, `{"op":"key_package","id":2}`), "mls_message"),
		"$info", text(do(t, d, `{"op":"group_info","id":2}`), "group_info"),
		"$message", text(do(t, d, `{"op":"protect","id":2,"plaintext":"00"}`), "message"),
		"$proposal", text(do(t, d, `{"op":"propose_psk","id":2,"psk_id":"01","public":true}`), "message"),
		"$sender", text(do(t, d, `{"op":"external_sender","id":3}`), "external_sender"),
		"$tree", hex.EncodeToString(d.clients[2].groups["\x00"].RatchetTree()),
	)
}

// view is what a client sees of its group.
func view(t testing.TB, d *driver, id int) string {
	a := do(t, d, `{"op":"state","id":%d,"group":"00"}`, id)
	b, err := a["epoch_authenticator"].(octets).MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzRequest gives a driver one line: it answers with one line, and a request
// that failed changed no group.
func FuzzRequest(f *testing.F) {
	for _, line := range []string{
		`{"op":"version"}`, `{"op":"new","suite":2,"identity_hex":"00","handshake":"public"}`, `{"op":"close","id":1}`,
		`{"op":"key_package","id":2}`, `{"op":"create_group","id":2,"group_id":"01","extensions":[{"type":3,"data":"000000"}]}`,
		`{"op":"join","id":3,"welcome":"$welcome","ratchet_tree":"$tree"}`, `{"op":"group_info","id":1,"ratchet_tree":false}`,
		`{"op":"external_join","id":3,"group_info":"$info","ratchet_tree":"$tree","psks":["01"]}`,
		`{"op":"external_join","id":2,"group_info":"$info","resync":true}`,
		`{"op":"protect","id":2,"group":"00","plaintext":"00","aad":"01"}`,
		`{"op":"process","id":1,"message":"$message"}`, `{"op":"process","id":2,"message":"$commit"}`,
		`{"op":"process","id":1,"message":"$proposal"}`, `{"op":"export","id":1,"label":"x","context":"00","length":16}`,
		`{"op":"propose_add","id":2,"key_package":"$package"}`, `{"op":"propose_remove","id":2,"identity_hex":"616c696365"}`,
		`{"op":"propose_update","id":2}`, `{"op":"propose_resumption_psk","id":2,"epoch":1}`,
		`{"op":"propose_reinit","id":2,"group_id":"02","suite":3,"extensions":[]}`,
		`{"op":"propose_external_sender","id":2,"external_sender":"$sender"}`,
		`{"op":"commit","id":2,"by_reference":["$proposal"],"by_value":[{"type":"remove","leaf":0}],"force_path":true,"ratchet_tree":false}`,
		`{"op":"commit","id":2,"by_value":[{"type":"reinit","group_id":"02","suite":1}],"merge":false}`,
		`{"op":"branch","id":2,"group_id":"03","key_packages":["$package"]}`, `{"op":"branch_join","id":2,"key_package_of":3,"welcome":"$welcome"}`,
		`{"op":"new_member_add","id":3,"group_info":"$info"}`, `{"op":"merge_pending","id":1}`, `{"op":"update","id":2,"public":false}`,
		`{"op":"external_propose","id":3,"group_info":"$info","ratchet_tree":"$tree","proposal":{"type":"psk","psk_id":"01"}}`,
		`{"op":"reinit_create","id":2,"key_packages":[]}`, `{"op":"reinit_join","id":3,"welcome":"$welcome"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) > 1<<12 {
			t.Skip("longer than what the fuzzer needs to find a fault")
		}
		d, material := stage(t)
		before := view(t, d, 1) + view(t, d, 2)
		line = []byte(material.Replace(strings.ReplaceAll(string(line), "\n", " ")))
		var out bytes.Buffer
		if err := d.serve(bytes.NewReader(line), &out); err != nil {
			t.Fatal(err)
		}
		list := answers(t, out.Bytes())
		if len(bytes.TrimSpace(line)) == 0 {
			if len(list) != 0 {
				t.Fatalf("%q is answered", line)
			}
			return
		}
		if len(list) != 1 {
			t.Fatalf("%.200q has %d answers", line, len(list))
		}
		if list[0]["ok"] == false && view(t, d, 1)+view(t, d, 2) != before {
			t.Fatalf("%.200q fails and changes a group: %v", line, list[0])
		}
	})
}
