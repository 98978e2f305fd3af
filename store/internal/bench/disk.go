package main

import (
	"bytes"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk counts what is written to files. /proc/self/io does not serve: it counts a whole folio of the page cache for a few bytes.
type disk struct {
	vfs.FS
	written atomic.Int64
	filled  atomic.Int64 // of these, zeros that new segments of a log are filled with, once
}

func (d *disk) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &countedFile{f, d}, nil
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return d.file(f, err)
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, c, opts...)
	return d.file(f, err)
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, c)
	return d.file(f, err)
}

type countedFile struct {
	vfs.File
	d *disk
}

var zeros [1 << 20]byte

func (f *countedFile) count(p []byte) {
	if len(p) >= 4096 && len(p) <= len(zeros) && bytes.Equal(p, zeros[:len(p)]) {
		f.d.filled.Add(int64(len(p)))
	} else {
		f.d.written.Add(int64(len(p)))
	}
}

func (f *countedFile) Write(p []byte) (int, error) {
	f.count(p)
	return f.File.Write(p)
}

func (f *countedFile) WriteAt(p []byte, at int64) (int, error) {
	f.count(p)
	return f.File.WriteAt(p, at)
}
