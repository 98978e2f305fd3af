package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
)

// The file FORMAT names the layout of the directory. It is written before anything else, and read before pebble touches a file.
const (
	formatFile    = "FORMAT"
	formatPrefix  = "quicnprotochat store "
	formatVersion = 1
)

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
	return disk.SyncDir(filesystem, dir)
}
