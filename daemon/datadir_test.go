package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDataDirIsLink: systemd's DynamicUser makes the data directory a symbolic link; the keys are copied all the same, and backups in it are refused.
func TestDataDirIsLink(t *testing.T) {
	dir := t.TempDir()
	real, link, to := filepath.Join(dir, "real"), filepath.Join(dir, "link"), filepath.Join(dir, "to")
	for _, d := range []string{real, to} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(real, "server.key"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := copyKeys(link, to); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "server.key")); string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	for inner, want := range map[string]bool{
		"":                                    false,
		filepath.Join(real, "backups", "new"): true,
		filepath.Join(link, "backups"):        true,
		real:                                  true,
		to:                                    false,
		filepath.Join(dir, "realities"):       false,
	} {
		if within(link, inner) != want {
			t.Errorf("%q is in the data directory: %v", inner, !want)
		}
	}
}
