package sim

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// points is the file system in one life of the server. The machine can crash right before any of its syncs: when all that is written, and nothing of what waits for
// it is durable.
type points struct {
	vfs.FS
	left  atomic.Int64 // syncs until the crash; below 1: none is planned
	crash func()
	slow  func() // how long the log waits for the disk
}

func (p *points) sync() {
	if p.left.Add(-1) == 0 {
		p.crash()
	}
}

func (p *points) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &pointFile{f, p}, nil
}

func (p *points) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(p.FS.Create(name, c))
}

func (p *points) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return p.file(p.FS.Open(name, opts...))
}

func (p *points) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return p.file(p.FS.OpenReadWrite(name, c, opts...))
}

func (p *points) OpenDir(name string) (vfs.File, error) { return p.file(p.FS.OpenDir(name)) }

func (p *points) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(p.FS.ReuseForWrite(from, to, c))
}

func (p *points) Unwrap() vfs.FS { return p.FS }

type pointFile struct {
	vfs.File
	p *points
}

func (f *pointFile) Sync() error {
	f.p.sync()
	return f.File.Sync()
}

// SyncData is what the log waits for: what comes meanwhile gathers, and a crash finds it not durable.
func (f *pointFile) SyncData() error {
	f.p.slow()
	f.p.sync()
	return f.File.SyncData()
}

func (f *pointFile) SyncTo(length int64) (bool, error) {
	f.p.sync()
	return f.File.SyncTo(length)
}
