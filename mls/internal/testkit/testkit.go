// Package testkit is what the tests of several packages below mls need.
package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Absent ends a test that lacks what it needs: it is skipped with the reason, or fails when QUICNPROTOCHAT_REQUIRE_SHARED is 1.
func Absent(t *testing.T, format string, a ...any) {
	t.Helper()
	if os.Getenv("QUICNPROTOCHAT_REQUIRE_SHARED") == "1" {
		t.Fatalf("required: "+format, a...)
	}
	t.Skipf(format, a...)
}

// Shared finds a directory of the shared material: below QUICNPROTOCHAT_SHARED, or in "shared" beside the module. Without it the test
// ends as by Absent.
func Shared(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("QUICNPROTOCHAT_SHARED")
	if root == "" {
		root = filepath.Join(filepath.Dir(moduleRoot(t)), "shared")
	}
	dir := filepath.Join(root, filepath.FromSlash(name))
	if _, err := os.Stat(dir); err != nil {
		Absent(t, "the shared material is not here: %v", err)
	}
	return dir
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// WatchSources looks at each Go file that the packages are built from. A test that runs a program it does not import calls it: the go command
// sees which files a test looks at, and does not answer from its cache when one has changed.
func WatchSources(t *testing.T, packages ...string) {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-deps", "-f", `{{if not .Standard}}{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}{{end}}`}, packages...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range strings.Fields(string(out)) {
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err)
		}
	}
}
