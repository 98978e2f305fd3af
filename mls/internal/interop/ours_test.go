package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"quicnprotochat/mls/internal/testkit"
)

const driverPackage = "quicnprotochat/mls/internal/driver"

// ourDriver is the program of our driver, built once for all tests.
var ourDriver string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ourDriver = filepath.Join(dir, "driver")
	build := exec.Command("go", "build", "-o", ourDriver, driverPackage)
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// ours starts our driver.
func ours(t *testing.T) *process {
	t.Helper()
	testkit.WatchSources(t, driverPackage)
	return start(t, "quicnprotochat", t.TempDir(), ourDriver)
}
