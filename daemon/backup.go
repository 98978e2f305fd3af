package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"quicnprotochat/certs"
)

// ErrBackup says that no backup was made; nothing is left of it.
var ErrBackup = errors.New("backup not made")

// Backup copies the data directory, as it is at one moment between call and return, to a new directory in Config.BackupDir that is named for the time, and returns its path. It
// gets that name when all of it is on disk; before, it ends in .partial. A daemon started with it as its data directory is this one as it was then, certificate included. Everything goes on
// meanwhile. Errors: ErrBackup, ErrConfig (no BackupDir).
func (d *Daemon) Backup(ctx context.Context) (string, error) {
	if d.backupDir == "" {
		return "", fmt.Errorf("%w: no directory for backups", ErrConfig)
	}
	dir := filepath.Join(d.backupDir, time.Now().UTC().Format("20060102T150405.000Z"))
	made := dir + ".partial"
	err := d.backup(ctx, made)
	if err == nil {
		err = os.Rename(made, dir)
	}
	if err == nil {
		err = certs.SyncDir(d.backupDir)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("%w: %w", ErrBackup, err), os.RemoveAll(made))
	}
	return dir, nil
}

// within says whether inner, which may be empty, is outer or below it, by whatever links.
func within(outer, inner string) bool {
	if inner == "" {
		return false
	}
	outer, err := resolve(outer)
	if err != nil {
		return true // it cannot be told
	}
	if inner, err = resolve(inner); err != nil {
		return true
	}
	name, err := filepath.Rel(outer, inner)
	return err == nil && filepath.IsLocal(name)
}

// resolve is path without links, as far as it exists.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
		return real, err
	}
	dir, err := resolve(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}

func (d *Daemon) backup(ctx context.Context, made string) error {
	if err := os.MkdirAll(d.backupDir, 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(made, 0o700); err != nil {
		return err
	}
	if err := d.store.Snapshot(ctx, filepath.Join(made, storeDir)); err != nil {
		return err
	}
	return copyKeys(d.dataDir, made)
}

// copyKeys copies the small files of the data directory: its keys, and all else but the store.
func copyKeys(from, to string) error {
	from, err := filepath.EvalSymlinks(from) // WalkDir does not look behind a root that is a symbolic link, as systemd's DynamicUser makes it
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case name == storeDir:
			return fs.SkipDir
		case name == ".":
			return nil
		case e.IsDir():
			return os.Mkdir(filepath.Join(to, name), 0o700)
		case !e.Type().IsRegular():
			return nil
		}
		if err := copyFile(path, filepath.Join(to, name)); err != nil {
			return err
		}
		return certs.SyncDir(filepath.Dir(filepath.Join(to, name)))
	})
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}
