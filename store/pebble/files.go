package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// The file FORMAT names the layout of the directory. It is written before anything else, and read before pebble touches a file.
const (
	formatFile    = "FORMAT"
	formatPrefix  = "quicnprotochat store "
	formatVersion = 1
)

// privateFS creates files with mode 0600 and directories with 0700.
type privateFS struct{ vfs.FS }

func (p privateFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return private(name)(p.FS.Create(name, c))
}

func (p privateFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return private(name)(p.FS.OpenReadWrite(name, c, opts...))
}

func (p privateFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return private(newname)(p.FS.ReuseForWrite(oldname, newname, c))
}

func (p privateFS) MkdirAll(dir string, _ os.FileMode) error { return p.FS.MkdirAll(dir, 0o700) }

func (p privateFS) Lock(name string) (io.Closer, error) {
	c, err := p.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (p privateFS) Unwrap() vfs.FS { return p.FS }

// private changes the mode of a file just made. The directory is 0700 from the start, so that nobody can be faster.
func private(name string) func(vfs.File, error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(name, 0o600); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
}

// checkFormat reads FORMAT, and writes it in a directory that is empty but for the lock.
func checkFormat(filesystem vfs.FS, dir string) error {
	name := filesystem.PathJoin(dir, formatFile)
	f, err := filesystem.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return writeFormat(filesystem, dir, name)
	}
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, 64))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	var version int
	rest, ok := strings.CutPrefix(string(text), formatPrefix)
	if n, err := fmt.Sscanf(rest, "%d\n", &version); !ok || n != 1 || err != nil {
		return fmt.Errorf("%w: %s says %q", store.ErrVersion, name, text)
	}
	if version != formatVersion {
		return fmt.Errorf("%w: %s says %d, this program knows %d", store.ErrVersion, name, version, formatVersion)
	}
	return nil
}

func writeFormat(filesystem vfs.FS, dir, name string) error {
	names, err := filesystem.List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n != "LOCK" && n != formatFile+".tmp" {
			return fmt.Errorf("%w: %s holds files, but no %s", store.ErrVersion, dir, formatFile)
		}
	}
	temporary := name + ".tmp"
	f, err := filesystem.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s%d\n", formatPrefix, formatVersion)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := filesystem.Rename(temporary, name); err != nil {
		return err
	}
	d, err := filesystem.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
