package schemas

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerated fails when a schema, or its generated Go, was changed without `make generate`. CI also generates anew and compares.
func TestGenerated(t *testing.T) {
	f, err := os.Open("generated.sum")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make(map[string]string)
	for sc := bufio.NewScanner(f); sc.Scan(); {
		sum, name, ok := strings.Cut(sc.Text(), "  ")
		if !ok {
			t.Fatalf("generated.sum: line %q", sc.Text())
		}
		want[name] = sum
	}
	files, err := filepath.Glob("*.capnp*")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 || len(files) != len(want) {
		t.Errorf("generated.sum lists %d files, there are %d: run make generate", len(want), len(files))
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if hex.EncodeToString(sum[:]) != want[name] {
			t.Errorf("%s is not what generated.sum says: run make generate", name)
		}
	}
}

// TestDocumented fails when a method or a field of a schema has no comment behind it.
func TestDocumented(t *testing.T) {
	files, err := filepath.Glob("*.capnp")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(data), "\n")
		open := "" // a declaration that no comment has followed yet
		for _, line := range lines {
			line = strings.TrimSpace(line)
			declares := strings.Contains(line, " @") && strings.HasSuffix(line, ";") && !strings.HasPrefix(line, "#")
			switch {
			case strings.HasPrefix(line, "#"):
				open = ""
			case line == "" || strings.HasPrefix(line, "}"):
				if open != "" {
					t.Errorf("%s: %q has no comment", name, open)
				}
				open = ""
			case declares:
				open = line
			}
		}
	}
}
