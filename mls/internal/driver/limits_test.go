package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"quicnprotochat/mls"
)

// do handles a request that must succeed.
func do(t testing.TB, d *driver, format string, a ...any) answer {
	t.Helper()
	out, err := d.handle([]byte(fmt.Sprintf(format, a...)))
	if err != nil {
		t.Fatalf("%.200s: %v", fmt.Sprintf(format, a...), err)
	}
	return out
}

func full(t *testing.T, d *driver, format string, a ...any) {
	t.Helper()
	if _, err := d.handle([]byte(fmt.Sprintf(format, a...))); !errors.Is(err, errFull) {
		t.Errorf("%s: %v", fmt.Sprintf(format, a...), err)
	}
}

// TestLimits fills each of a driver's tables.
func TestLimits(t *testing.T) {
	d := newDriver()
	do(t, d, `{"op":"new","name":"alice"}`)
	c := d.clients[1]
	for i := len(c.psks); i < maxPSKs; i++ {
		do(t, d, `{"op":"psk_register","id":1,"psk_id":"%08x","psk":"00"}`, i)
	}
	full(t, d, `{"op":"psk_register","id":1,"psk_id":"ff","psk":"00"}`)
	do(t, d, `{"op":"psk_register","id":1,"psk_id":"00000000","psk":"01"}`)

	do(t, d, `{"op":"create_group","id":1,"group_id":"00"}`)
	info := do(t, d, `{"op":"group_info","id":1}`)["group_info"].(octets)
	for i := len(c.groups); i < maxGroups; i++ {
		c.groups[fmt.Sprint(i)] = c.groups[c.current]
	}
	full(t, d, `{"op":"create_group","id":1,"group_id":"01"}`)
	full(t, d, `{"op":"external_join","id":1,"group_info":"%x"}`, []byte(info))
	full(t, d, `{"op":"branch","id":1,"group_id":"01"}`)
	full(t, d, `{"op":"join","id":1,"welcome":"00"}`)

	for i := len(c.packages); i < maxPackages; i++ {
		c.packages[fmt.Sprint(i)] = keyPackage{}
	}
	full(t, d, `{"op":"key_package","id":1}`)
	full(t, d, `{"op":"new_member_add","id":1,"group_info":"%x"}`, []byte(info))

	for i := len(d.clients); i < maxClients; i++ {
		d.clients[-i] = c
	}
	full(t, d, `{"op":"new","name":"bob"}`)
}

// TestWordsOfCommit: a runner takes "unsupported" in an error of commit for an
// operation that is missing.
func TestWordsOfCommit(t *testing.T) {
	d := newDriver()
	do(t, d, `{"op":"new","name":"alice"}`)
	do(t, d, `{"op":"create_group","id":1,"group_id":"00"}`)
	kp := do(t, d, `{"op":"key_package","id":1}`)["key_package"].(octets)
	// The credential follows the signature key of 32 bytes and its length.
	odd := append([]byte{}, kp...)
	at := len("\x00\x01\x00\x01") + 3*33
	if odd[at] != 0 || odd[at+1] != byte(mls.CredentialBasic) {
		t.Fatalf("no basic credential at %d of %x", at, odd)
	}
	odd[at], odd[at+1] = 0xf0, 0x07
	_, err := d.handle([]byte(fmt.Sprintf(`{"op":"commit","id":1,"by_value":[{"type":"add","key_package":"%x"}]}`, odd)))
	if err == nil || strings.Contains(err.Error(), "unsupported") || strings.Contains(err.Error(), "unknown op") {
		t.Errorf("commit: %v", err)
	}
}

// TestFailedNewMember: what a failed request made is gone.
func TestFailedNewMember(t *testing.T) {
	d := newDriver()
	do(t, d, `{"op":"new","name":"alice"}`)
	if _, err := d.handle([]byte(`{"op":"new_member_add","id":1,"group_info":"0001000400"}`)); err == nil {
		t.Error("garbage is a group info")
	}
	if n := len(d.clients[1].packages); n != 0 {
		t.Errorf("%d key packages are left over", n)
	}
}
