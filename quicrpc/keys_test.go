package quicrpc

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKeysAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.reset != again.reset || first.token != again.token || len(again.tickets) != 1 || first.tickets[0].key != again.tickets[0].key {
		t.Error("other keys after loading again")
	}
	if first.reset == (Keys{}).reset || bytes.Equal(first.reset[:], first.token[:]) {
		t.Error("keys are not random")
	}
	names := map[string]fs.FileMode{".": 0o700, resetFile: 0o600, tokenFile: 0o600, ticketsFile: 0o600}
	for name, want := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func TestTicketKeysRotate(t *testing.T) {
	dir := t.TempDir()
	k, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := k.tickets[0].made
	oldest := k.tickets[0].key
	if changed, err := k.rotate(now.Add(ticketKeyAge - time.Minute)); changed || err != nil {
		t.Fatalf("rotated too early: %v", err)
	}
	for i := 1; i <= maxTicketKeys; i++ {
		now = now.Add(ticketKeyAge)
		if changed, err := k.rotate(now); !changed || err != nil {
			t.Fatalf("rotation %d: %v, %v", i, changed, err)
		}
		if kept := k.tickets[len(k.tickets)-1].key == oldest; kept != (i < maxTicketKeys) {
			t.Fatalf("after %d rotations the first key is kept: %v", i, kept)
		}
	}
	again, err := loadTickets(filepath.Join(dir, ticketsFile))
	if err != nil || len(again) != maxTicketKeys {
		t.Fatalf("%d keys on disk, %v", len(again), err)
	}
	for i := range again {
		if again[i].key != k.tickets[i].key {
			t.Errorf("key %d on disk differs", i)
		}
	}
	// The newest is from the future, as after a correction of the clock.
	if changed, err := k.rotate(now.Add(-time.Hour)); !changed || err != nil {
		t.Errorf("with a clock set back: %v, %v", changed, err)
	}
}

func TestKeyFilesRefused(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"short reset key":  func(dir string) error { return os.WriteFile(filepath.Join(dir, resetFile), []byte("short"), 0o600) },
		"readable token":   func(dir string) error { return os.Chmod(filepath.Join(dir, tokenFile), 0o644) },
		"garbage":          func(dir string) error { return os.WriteFile(filepath.Join(dir, ticketsFile), []byte("x\n"), 0o600) },
		"short ticket key": func(dir string) error { return os.WriteFile(filepath.Join(dir, ticketsFile), []byte("1 00\n"), 0o600) },
		"no hexadecimal": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ticketsFile), []byte("1 "+strings.Repeat("x", 64)+"\n"), 0o600)
		},
		"too many keys": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ticketsFile), []byte(strings.Repeat("1 "+strings.Repeat("0", 64)+"\n", 9)), 0o600)
		},
	} {
		dir := t.TempDir()
		if _, err := LoadKeys(dir); err != nil {
			t.Fatal(err)
		}
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeys(dir); !errors.Is(err, ErrKeyFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
