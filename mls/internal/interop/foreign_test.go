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

	"quicnprotochat/mls/internal/testkit"
)

const installTries = 3

// thorough says whether everything is to be run, foreign implementations too.
func thorough() bool { return os.Getenv("QUICNPROTOCHAT_INTEROP") == "1" }

// tsmls returns node and an installed copy of the driver of ts-mls.
func tsmls(t *testing.T) (node, dir string) {
	t.Helper()
	if !thorough() {
		t.Skip("QUICNPROTOCHAT_INTEROP is not 1: nothing is run against foreign implementations")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			testkit.Absent(t, "ts-mls needs %s: %v", program, err)
		}
	}
	source := testkit.Shared(t, "interop/tsmls")
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
