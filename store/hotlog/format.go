package hotlog

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
)

// The file FORMAT names the layout of the directory, and holds what its names are hashed with. It is written before anything else, and read before
// anything else is touched. Its one line is the prefix, the version, and the secret in hexadecimal, sealed if the store is encrypted: 16 or 56 bytes.
const (
	formatFile   = "FORMAT"
	formatPrefix = "quicnprotochat store "
	// 1 was another engine's; 2 had message ids in the tree; 3 knew of one last-resort KeyPackage an owner, and not what a group's last commit did. 2 and 3 are upgraded by Open.
	formatVersion = 4
	formatBefore  = 2
)

// ErrKey says that the directory was encrypted with another key, or not at all, or that it is and no key was given.
var ErrKey = errors.New("hotlog: wrong key")

// keys are what is derived from Options.Key, nil without one, and the directory's names.
type keys struct {
	names *names
	tree  *sealer
	log   []byte
	old   bool // the directory is of a version before
}

// upgrade has programs that do not know this version refuse the directory from now on. Its contents can stay as they are.
func (k *keys) upgrade(filesystem vfs.FS, dir string) error {
	if !k.old {
		return nil
	}
	return replaceFormat(filesystem, dir, filesystem.PathJoin(dir, formatFile), k.tree.seal(nil, []byte(formatFile), k.names.secret[:]))
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

// readFormat leaves in k.old whether the file is of a version before.
func (k *keys) readFormat(path, text string) error {
	line, ok := strings.CutPrefix(text, formatPrefix)
	fields := strings.Fields(line)
	if !ok || len(fields) == 0 {
		return fmt.Errorf("%w: %s says %q", store.ErrVersion, path, text)
	}
	version, err := strconv.Atoi(fields[0])
	k.old = version < formatVersion
	if err != nil || fields[0] != strconv.Itoa(version) || version < formatBefore || version > formatVersion || len(fields) != 2 {
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
	return replaceFormat(filesystem, dir, path, secret)
}

// replaceFormat writes FORMAT whole or not at all.
func replaceFormat(filesystem vfs.FS, dir, path string, secret []byte) error {
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
	return disk.SyncDir(filesystem, dir)
}

// makeDir makes directories in parent, if they are not there, so that they survive a crash.
func makeDir(filesystem vfs.FS, parent string, names ...string) error {
	for _, n := range names {
		if err := filesystem.MkdirAll(filesystem.PathJoin(parent, n), 0o700); err != nil {
			return err
		}
	}
	err := disk.SyncDir(filesystem, parent)
	if errors.Is(err, fs.ErrPermission) {
		return nil // the parent is somebody else's, who made the directory, too
	}
	return err
}
