package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bridge stands in for a driver written for node, and runs another.
const bridge = `import { spawn } from 'node:child_process';
const p = spawn(process.env.INTEROP_DRIVER, { stdio: 'inherit' });
p.on('exit', (code) => process.exit(code ?? 1));
`

// TestInteropTSMLSSelftest has the self-test of the driver of ts-mls check ours
// in its place.
func TestInteropTSMLSSelftest(t *testing.T) {
	node, source := tsmls(t)
	dir := t.TempDir()
	for _, name := range []string{"selftest.mjs", "lib.mjs"} {
		b, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "driver.mjs"), []byte(bridge), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join(dir, "selftest.mjs"), "1", "2", "3", "4", "5", "6", "7")
	cmd.Env = append(os.Environ(), "INTEROP_DRIVER="+ourDriver)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
