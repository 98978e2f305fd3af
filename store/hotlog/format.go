package hotlog

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// The file FORMAT names the layout of the directory, and holds what its names are hashed with. It is written before anything else, and read before
// anything else is touched. Its one line is the prefix, the version, and the secret in hexadecimal, sealed if the store is encrypted: 16 or 56 bytes.
const (
	formatFile    = "FORMAT"
	formatPrefix  = "quicnprotochat store "
	formatVersion = 2 // 1 was another engine's
)

// ErrKey says that the directory was encrypted with another key, or not at all, or that it is and no key was given.
var ErrKey = errors.New("hotlog: wrong key")

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

// keys are what is derived from Options.Key, nil without one, and the directory's names.
type keys struct {
	names *names
	tree  *sealer
	log   []byte
}

// openFormat reads FORMAT, and writes it in a directory that is empty but for the lock.
func openFormat(filesystem vfs.FS, dir string, key []byte) (k keys, err error) {
	k.names = new(names)
	if key != nil {
		text, err := deriveKey(key, "tree")
		if err == nil {
			k.tree, err = newSealer(text)
		}
		if err == nil {
			k.log, err = deriveKey(key, "log")
		}
		if err != nil {
			return k, err
		}
	}
	path := filesystem.PathJoin(dir, formatFile)
	f, err := filesystem.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		rand.Read(k.names.secret[:])
		return k, writeFormat(filesystem, dir, path, k.tree.seal(nil, []byte(formatFile), k.names.secret[:]))
	}
	if err != nil {
		return k, err
	}
	text, err := io.ReadAll(io.LimitReader(f, 256))
	if err = errors.Join(err, f.Close()); err != nil {
		return k, err
	}
	return k, k.readFormat(path, string(text))
}

func (k *keys) readFormat(path, text string) error {
	line, ok := strings.CutPrefix(text, formatPrefix)
	fields := strings.Fields(line)
	if !ok || len(fields) == 0 {
		return fmt.Errorf("%w: %s says %q", store.ErrVersion, path, text)
	}
	if fields[0] != strconv.Itoa(formatVersion) || len(fields) != 2 {
		return fmt.Errorf("%w: %s says %q, this program knows %d", store.ErrVersion, path, fields[0], formatVersion)
	}
	secret, err := hex.DecodeString(fields[1])
	if err != nil {
		return fmt.Errorf("%w: %s: %v", store.ErrCorrupt, path, err)
	}
	if len(secret) != k.tree.size(len(k.names.secret)) {
		return fmt.Errorf("%w: %s", ErrKey, path)
	}
	plain, err := k.tree.open([]byte(formatFile), secret)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrKey, path)
	}
	copy(k.names.secret[:], plain)
	return nil
}

func writeFormat(filesystem vfs.FS, dir, path string, secret []byte) error {
	found, err := filesystem.List(dir)
	if err != nil {
		return err
	}
	for _, n := range found {
		if n != "LOCK" && n != formatFile+".tmp" {
			return fmt.Errorf("%w: %s holds files, but no %s", store.ErrVersion, dir, formatFile)
		}
	}
	temporary := path + ".tmp"
	f, err := filesystem.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s%d %x\n", formatPrefix, formatVersion, secret)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := filesystem.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filesystem, dir)
}

func syncDir(filesystem vfs.FS, dir string) error {
	d, err := filesystem.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes directories in parent, if they are not there, so that they survive a crash.
func makeDir(filesystem vfs.FS, parent string, names ...string) error {
	for _, n := range names {
		if err := filesystem.MkdirAll(filesystem.PathJoin(parent, n), 0o700); err != nil {
			return err
		}
	}
	err := syncDir(filesystem, parent)
	if errors.Is(err, fs.ErrPermission) {
		return nil // the parent is somebody else's, who made the directory, too
	}
	return err
}
