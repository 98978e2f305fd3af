package disk

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Halt stands between pebble and the disk, because pebble ends the process, or panics in a way that cannot be recovered from, when it
// cannot write its log or its manifest. Such an error never reaches it: it records the failure, which answers all callers, and blocks
// the goroutine for good. What is on disk stays as it was at that moment, and can be read. Errors with tables reach pebble, which tries
// again; a pause here keeps it from trying without rest. While the store is being opened all errors are pebble's, which then returns most, and so are those
// of files that are not under dir, where pebble lives: a copy that cannot be made harms nobody.
func Halt(f vfs.FS, dir string, fail *Failure) vfs.FS { return haltFS{f, f.PathJoin(dir), fail} }

type haltFS struct {
	vfs.FS
	dir  string
	fail *Failure
}

// RetryPause is how long a failed write to a table waits.
const RetryPause = 100 * time.Millisecond

// critical says whether pebble does not survive an error with the file: its logs, manifests and markers.
func critical(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST") || strings.HasPrefix(base, "marker.")
}

// check returns err unless it is one that pebble must not see.
func (h haltFS) check(what, name string, err error) error {
	if err == nil || !h.own(name) {
		return err
	}
	if critical(name) && h.fail.armed.Load() {
		h.fail.Set(fmt.Errorf("%s %s: %w", what, name, err))
		select {}
	}
	if h.fail.armed.Load() {
		time.Sleep(RetryPause)
	}
	return err
}

// own says whether a file is pebble's.
func (h haltFS) own(name string) bool {
	rest, ok := strings.CutPrefix(h.FS.PathJoin(name), h.dir)
	return ok && (rest == "" || os.IsPathSeparator(rest[0]))
}

// begin holds up new files after a failure.
func (h haltFS) begin(name string) {
	if !h.own(name) {
		return
	}
	select {
	case <-h.fail.failed:
		select {}
	default:
	}
}

func (h haltFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	h.begin(name)
	f, err := h.FS.Create(name, c)
	return h.file(name, f, h.check("create", name, err))
}

func (h haltFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	h.begin(newname)
	f, err := h.FS.ReuseForWrite(oldname, newname, c)
	return h.file(newname, f, h.check("reuse", newname, err))
}

func (h haltFS) Rename(oldname, newname string) error {
	return h.check("rename", newname, h.FS.Rename(oldname, newname))
}

// OpenDir is for syncing a directory, without which a new log or manifest may vanish.
func (h haltFS) OpenDir(name string) (vfs.File, error) {
	as := h.FS.PathJoin(name, "marker.") // as critical as what stands in it
	f, err := h.FS.OpenDir(name)
	return h.file(as, f, h.check("open directory", as, err))
}

func (h haltFS) Lock(name string) (io.Closer, error) { return h.FS.Lock(name) }

func (h haltFS) Unwrap() vfs.FS { return h.FS }

func (h haltFS) file(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &haltFile{f, h, name}, nil
}

type haltFile struct {
	vfs.File
	h    haltFS
	name string
}

func (f *haltFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.h.check("write", f.name, err)
}

func (f *haltFile) Sync() error { return f.h.check("sync", f.name, f.File.Sync()) }

func (f *haltFile) SyncData() error { return f.h.check("sync", f.name, f.File.SyncData()) }

func (f *haltFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.h.check("sync", f.name, err)
}

func (f *haltFile) Close() error { return f.h.check("close", f.name, f.File.Close()) }
