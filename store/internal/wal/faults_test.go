package wal

import (
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// faults is a file system that can be full, or fail.
type faults struct {
	FS
	full  atomic.Bool
	bad   atomic.Value // of string: write, sync
	syncs atomic.Int64
}

func (f *faults) fail(what string) { f.bad.Store(what) }

func (f *faults) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.full.Load() {
		return nil, syscall.ENOSPC
	}
	file, err := f.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

type faultyFile struct {
	vfs.File
	f *faults
}

func (f *faultyFile) WriteAt(p []byte, at int64) (int, error) {
	if f.f.bad.Load() == "write" {
		return 0, syscall.EIO
	}
	return f.File.WriteAt(p, at)
}

func (f *faultyFile) SyncData() error {
	f.f.syncs.Add(1)
	if f.f.bad.Load() == "sync" {
		return syscall.EIO
	}
	return f.File.SyncData()
}
