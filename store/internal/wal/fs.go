package wal

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the file system that a log lives in: that of package vfs, so that one that can crash holds a log and a tree alike.
type FS = vfs.FS

// OSFS is the real one. Files are 0600 from the start, directories 0700.
func OSFS() FS { return private{vfs.Default} }

type private struct{ vfs.FS }

func (p private) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	// vfs opens with 0666: the file is made here before, as it is to be.
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return p.FS.OpenReadWrite(name, c)
}

func (p private) MkdirAll(dir string, _ fs.FileMode) error { return p.FS.MkdirAll(dir, 0o700) }

func (p private) Unwrap() vfs.FS { return p.FS }

// noRoom says whether err is of a disk that takes nothing more for now: full, over quota, or read-only.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS)
}

// syncDir makes names in dir durable.
func syncDir(f FS, dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
