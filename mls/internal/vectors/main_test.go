package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// vectorDir finds the official vectors: below QUICNPROTOCHAT_SHARED, or in
// "shared" beside the module. Without them the test is skipped, or fails when
// QUICNPROTOCHAT_REQUIRE_SHARED is 1.
func vectorDir(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("QUICNPROTOCHAT_SHARED")
	if shared == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		shared = filepath.Join(filepath.Dir(dir), "shared")
	}
	dir := filepath.Join(shared, "mls-vectors")
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("QUICNPROTOCHAT_REQUIRE_SHARED") == "1" {
			t.Fatalf("the official vectors are required: %v", err)
		}
		t.Skipf("the official vectors are not here: %v", err)
	}
	return dir
}

func TestOfficialVectors(t *testing.T) {
	dir := vectorDir(t)
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
