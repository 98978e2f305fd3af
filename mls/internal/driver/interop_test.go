package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// foreign starts the driver of ts-mls. It needs node, and the driver's directory
// with its packages installed, named by QUICNPROTOCHAT_TSMLS; "make interop"
// provides both.
func foreign(t *testing.T) caller {
	t.Helper()
	dir := os.Getenv("QUICNPROTOCHAT_TSMLS")
	if dir == "" {
		t.Skip("QUICNPROTOCHAT_TSMLS does not name the directory of the ts-mls driver")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("QUICNPROTOCHAT_TSMLS is set, but there is no node: %v", err)
	}
	return startProcess(t, node, filepath.Join(dir, "driver.mjs"))
}

// foreignSuites are the suites that ts-mls and we have in common and that it
// computes correctly.
var foreignSuites = []uint16{1, 2, 3, 5, 7}

// TestForeign puts our driver against ts-mls, each side once as the creator.
func TestForeign(t *testing.T) {
	other := foreign(t)
	for _, suite := range foreignSuites {
		for _, oursFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("suite %d, ours first %v", suite, oursFirst), func(t *testing.T) {
				a, b := caller(inProcess{newDriver()}), other
				if !oursFirst {
					a, b = b, a
				}
				meet(t, a, b, suite, oursFirst)
			})
		}
	}
}

// meet lets alice and carol at one driver share a group with bob at the other.
// ts-mls must not join trees above four leaves, nor commit group context
// extensions, which would lack their path.
func meet(t *testing.T, a, b caller, suite uint16, oursFirst bool) {
	alice, bob := newParty(t, a, "alice", suite, ""), newParty(t, b, "bob", suite, "")
	alice.call("create_group", fields{"group_id": hexed("foreign")})
	r := alice.call("add", fields{"key_packages": []string{bob.get("key_package", "key_package", nil)}})
	bob.call("join", fields{"welcome": r["welcome"]})
	agree("add", alice, bob)
	say(alice, "hello bob", bob)
	say(bob, "hello alice", alice)

	carol := newParty(t, a, "carol", suite, "")
	r = bob.call("add", fields{"key_packages": []string{carol.get("key_package", "mls_message", nil)}})
	all("commit", r["commit"], alice)
	carol.call("join", fields{"welcome": r["welcome"]})
	agree("second add", alice, bob, carol)

	everyone := []*party{alice, bob, carol}
	for round := range 2 {
		for i, p := range everyone {
			r = p.call("update", fields{"public": (i+round)%2 == 0})
			for _, q := range everyone {
				if q != p {
					all("commit", r["commit"], q)
				}
			}
			agree(fmt.Sprint("update ", i), everyone...)
		}
	}
	m := bob.get("propose_remove", "message", fields{"leaf": 2, "public": true})
	all("proposal", m, alice, carol)
	r = alice.call("commit_pending", nil)
	all("commit", r["commit"], bob, carol)
	agree("remove by reference", alice, bob)

	for _, p := range []*party{alice, bob} {
		p.call("psk_register", fields{"psk_id": hexed("psk"), "psk": hexed("0123456789abcdef0123456789abcdef")})
	}
	for _, p := range []*party{alice, bob} {
		r = p.call("psk", fields{"psk_id": hexed("psk")})
		if p == alice {
			all("commit", r["commit"], bob)
		} else {
			all("commit", r["commit"], alice)
		}
		agree("psk", alice, bob)
	}
	strangers(t, a, b, suite, alice, bob, oursFirst)
}

// strangers join by external commits, from either side, and one is removed.
func strangers(t *testing.T, a, b caller, suite uint16, alice, bob *party, oursFirst bool) {
	dave := newParty(t, b, "dave", suite, "")
	r := dave.call("external_join", fields{"group_info": alice.get("group_info", "group_info", nil)})
	all("commit", r["commit"], alice, bob)
	agree("external join", alice, bob, dave)
	say(dave, "dave is here", alice, bob)
	erin := newParty(t, a, "erin", suite, "")
	r = erin.call("external_join", fields{"group_info": bob.get("group_info", "group_info", nil)})
	all("commit", r["commit"], alice, bob, dave)
	agree("second external join", alice, bob, dave, erin)
	r = bob.call("remove", fields{"name": "erin"})
	all("commit", r["commit"], alice, dave, erin)
	agree("remove", alice, bob, dave)

	if !oursFirst {
		alice, bob = bob, alice // group context extensions are ours to commit
	}
	r = alice.call("group_context_extensions", fields{"extensions": []fields{{"type": 3, "data": "000000"}}})
	all("commit", r["commit"], bob, dave)
	agree("group context extensions", alice, bob, dave)

	var ms []string
	for i := range 4 {
		ms = append(ms, alice.get("protect", "message", fields{"plaintext": hexed(fmt.Sprint(i))}))
	}
	for _, i := range []int{2, 0, 3, 1} {
		if out := bob.call("process", fields{"message": ms[i]}); out["plaintext"] != hexed(fmt.Sprint(i)) {
			t.Fatalf("out of order: %v", out)
		}
	}
	bob.refused("process", fields{"message": ms[1]})
}
