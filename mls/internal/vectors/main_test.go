package main

import (
	"encoding/json"
	"testing"

	"quicnprotochat/mls/internal/testkit"
)

func TestOfficialVectors(t *testing.T) {
	dir := testkit.Shared(t, "mls-vectors")
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := runFile(dir, f.name, f.check)
			t.Log(r)
			for _, p := range r.problems {
				t.Error(p)
			}
			if r.run == 0 {
				t.Error("no case was run")
			}
		})
	}
}

// TestWrongVectorsFail shows that the checks can fail: one byte is changed in a
// case of each kind.
func TestWrongVectorsFail(t *testing.T) {
	for name, raw := range map[string]string{
		"deserialization": `{"vlbytes_header": "4040", "length": 65}`,
		"tree-math":       `{"n_leaves": 1, "n_nodes": 1, "root": 0, "left": [0], "right": [null], "parent": [null], "sibling": [null]}`,
		"psk_secret": `{"cipher_suite": 1, "psks": [],
			"psk_secret": "0000000000000000000000000000000000000000000000000000000000000001"}`,
		"passive-client-random": `{"cipher_suite": 1, "key_package": "0001"}`,
	} {
		for _, f := range files {
			if f.name == name && guarded(f.check, json.RawMessage(raw)) == nil {
				t.Errorf("%s: a wrong case passes", name)
			}
		}
	}
}

func TestMissingFileFails(t *testing.T) {
	if r := runFile(t.TempDir(), "welcome", checkOf(welcome)); r.failed == 0 || len(r.problems) == 0 {
		t.Errorf("%v", r)
	}
}
