package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"quicnprotochat/load"
)

// full is a name for a disk that has no room; what is removed is that name, and no device.
func full(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "full")
	if err := os.Symlink("/dev/full", name); err != nil {
		t.Fatal(err)
	}
	return name
}

func writeOne(w io.Writer) error {
	_, err := w.Write([]byte("x"))
	return err
}

// TestWriteFile: a file that cannot be written whole is removed, but only a file.
func TestWriteFile(t *testing.T) {
	device := full(t)
	if err := writeFile(device, writeOne); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if _, err := os.Lstat(device); err != nil {
		t.Error("the device is gone:", err)
	}
	name := filepath.Join(t.TempDir(), "half")
	broken := errors.New("broken")
	if err := writeFile(name, func(w io.Writer) error { return errors.Join(writeOne(w), broken) }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Error("half a file is left:", err)
	}
	if err := writeFile(name, writeOne); err != nil {
		t.Error(err)
	}
}

// TestWithLines: what fails only when the file is closed is told, too.
func TestWithLines(t *testing.T) {
	if err := withLines(full(t), writeOne); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	name := filepath.Join(t.TempDir(), "lines")
	if err := withLines(name, func(w io.Writer) error { return w.(io.Closer).Close() }); !errors.Is(err, os.ErrClosed) {
		t.Error("an error of closing is not told:", err)
	}
	if err := withLines(filepath.Join(name, "x"), writeOne); !errors.Is(err, load.ErrConfig) {
		t.Error(err)
	}
	if err := withLines("", writeOne); err != nil {
		t.Error(err)
	}
}

// TestLinesKeepOld: a run that does not come to its first line leaves the file of another as it was; one that does puts its lines in their place.
func TestLinesKeepOld(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(name, []byte("of before"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func() string { b, err := os.ReadFile(name); return string(b) + fmt.Sprint(err) }
	broken := errors.New("broken")
	if err := withLines(name, func(io.Writer) error { return broken }); !errors.Is(err, broken) || read() != "of before<nil>" {
		t.Error(err, read())
	}
	if err := withLines(name, func(w io.Writer) error { return errors.Join(writeOne(w), writeOne(w)) }); err != nil || read() != "xx<nil>" {
		t.Error(err, read())
	}
}

// TestWritable: a report that cannot be written is told before the run, and nothing is made or changed by that.
func TestWritable(t *testing.T) {
	dir := t.TempDir()
	old, none := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	if err := os.WriteFile(old, []byte("of before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", old, none, "/dev/null"} {
		if err := writable(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := writable(filepath.Join(dir, "no", "x")); !errors.Is(err, load.ErrConfig) {
		t.Error(err)
	}
	if b, err := os.ReadFile(old); string(b) != "of before" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Lstat(none); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file is left:", err)
	}
}
