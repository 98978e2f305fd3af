// Package disktest has disks for tests.
package disktest

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Slow is fs on a disk that takes a while for each sync of a file's data.
func Slow(fs vfs.FS, takes time.Duration) vfs.FS { return &slow{fs, takes} }

type slow struct {
	vfs.FS
	takes time.Duration
}

func (f *slow) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return &slowFile{file, f.takes}, err
}

type slowFile struct {
	vfs.File
	takes time.Duration
}

func (f *slowFile) SyncData() error {
	time.Sleep(f.takes)
	return f.File.SyncData()
}
