package main

import (
	"errors"
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
