package wal

import (
	"errors"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store/internal/disk"
)

// FS is the file system that a log lives in: that of package vfs, so that one that can crash holds a log and a tree alike.
type FS = vfs.FS

// OSFS is the real one, with files 0600 and directories 0700.
func OSFS() FS { return disk.Private(vfs.Default) }

// noRoom says whether err is of a disk that takes nothing more for now: full, over quota, or read-only.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS)
}
