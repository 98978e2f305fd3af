package interop

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

const installTries = 3

// thorough says whether everything is to be run, foreign implementations too.
func thorough() bool { return os.Getenv("QUICNPROTOCHAT_INTEROP") == "1" }

// absent ends a test that lacks what it needs.
func absent(t *testing.T, format string, a ...any) {
	t.Helper()
	if os.Getenv("QUICNPROTOCHAT_REQUIRE_SHARED") == "1" {
		t.Fatalf("required: "+format, a...)
	}
	t.Skipf(format, a...)
}

// shared finds a directory of the shared material.
func shared(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("QUICNPROTOCHAT_SHARED")
	if root == "" {
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
		root = filepath.Join(filepath.Dir(dir), "shared")
	}
	dir := filepath.Join(root, filepath.FromSlash(name))
	if _, err := os.Stat(dir); err != nil {
		absent(t, "the foreign driver is not here: %v", err)
	}
	return dir
}

// tsmls returns node and an installed copy of the driver of ts-mls.
func tsmls(t *testing.T) (node, dir string) {
	t.Helper()
	if !thorough() {
		t.Skip("QUICNPROTOCHAT_INTEROP is not 1: nothing is run against foreign implementations")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			absent(t, "ts-mls needs %s: %v", program, err)
		}
	}
	source := shared(t, "interop/tsmls")
	install.Do(func() { installed, installErr = installCopy(source) })
	if installErr != nil {
		t.Fatal(installErr)
	}
	return "node", installed
}

var (
	install    sync.Once
	installed  string
	installErr error
)

// installCopy copies a package of node and installs what it depends on, in a
// cache that is named by the package's files.
func installCopy(source string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "quicnprotochat")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, "interop")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	sum, err := copyFiles(work, source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, fmt.Sprintf("tsmls-%x", sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	for try := 1; ; try++ {
		npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
		npm.Dir = work
		out, err := npm.CombinedOutput()
		if err == nil {
			break
		}
		if try == installTries {
			return "", fmt.Errorf("npm ci: %w\n%s", err, out)
		}
	}
	// Another process may have been faster.
	if err := os.Rename(work, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, nil
}

// copyFiles copies the files of a directory, without its subdirectories, and
// returns their hash.
func copyFiles(to, from string) (sum [32]byte, err error) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return sum, err
		}
		fmt.Fprintf(h, "%s %d\n", e.Name(), len(b))
		h.Write(b)
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o600); err != nil {
			return sum, err
		}
	}
	return [32]byte(h.Sum(nil)), nil
}
