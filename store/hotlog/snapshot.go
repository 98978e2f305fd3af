package hotlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
)

var _ store.Backup = (*Store)(nil)

// partial is what the name of a snapshot ends with while it is made.
const partial = ".partial"

// Snapshot implements store.Backup. One is made at a time, in a directory beside dir that gets its name when all is in it. Tables of the tree are linked if they
// can be, so a snapshot in the same file system costs little more than the log's length.
func (s *Store) Snapshot(ctx context.Context, dir string) error {
	if dir == "" {
		return fmt.Errorf("%w: no directory", store.ErrInvalid)
	}
	if !s.use() {
		return store.ErrClosed
	}
	defer s.life.RUnlock()
	s.retirer.still.Lock()
	defer s.retirer.still.Unlock()
	if err := errors.Join(s.fail.Err(), ctx.Err()); err != nil {
		return err
	}
	f := s.opts.FS
	dir = f.PathJoin(dir) // without a slash at its end
	if _, err := f.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return fmt.Errorf("store: snapshot: %w", err)
		}
		return fmt.Errorf("%w: %s", store.ErrExists, dir)
	}
	err := s.copyTo(ctx, dir)
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return errors.Join(fmt.Errorf("store: snapshot: %w", err), f.RemoveAll(dir+partial))
}

// copyTo copies the tree and the message ids first: whatever of it was not flushed is said by the log, of which nothing is retired meanwhile. So the copy is what a crash right
// after the end of the log's copy would leave.
func (s *Store) copyTo(ctx context.Context, dir string) error {
	f, made := s.opts.FS, dir+partial
	if err := f.RemoveAll(made); err != nil {
		return err
	}
	if err := makeDir(f, f.PathDir(made), f.PathBase(made)); err != nil {
		return err
	}
	if err := makeDir(f, made, logDir, idsDir); err != nil {
		return err
	}
	if err := s.tree.db.Checkpoint(f.PathJoin(made, treeDir)); err != nil {
		return err
	}
	if err := s.ids.runs.CopyTo(ctx, f.PathJoin(made, idsDir)); err != nil {
		return err
	}
	if err := s.log.Copy(ctx, f.PathJoin(made, logDir)); err != nil {
		return err
	}
	if err := vfs.Copy(f, f.PathJoin(s.opts.Dir, formatFile), f.PathJoin(made, formatFile)); err != nil {
		return err
	}
	if err := disk.SyncDir(f, made); err != nil {
		return err
	}
	if err := f.Rename(made, dir); err != nil {
		return err
	}
	if err := disk.SyncDir(f, f.PathDir(dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return errors.Join(err, f.RemoveAll(dir))
	}
	return nil
}

// Drop implements store.Backup. The ids of what is dropped are recognised as long as those of what is acknowledged.
func (s *Store) Drop(ctx context.Context, q store.QueueID) error {
	if err := store.CheckGroup(q.Group); err != nil {
		return err
	}
	if q.Shared {
		if err := store.CheckGroupID(q.Group); err != nil {
			return err
		}
	}
	if !s.use() {
		return store.ErrClosed
	}
	defer s.life.RUnlock()
	if q.Shared {
		return s.dropGroup(ctx, q.Group)
	}
	o, err := s.pin(keyOf(&q))
	if err != nil {
		return err
	}
	defer o.unpin()
	o.mu.Lock()
	last := uint64(0)
	if st := o.find(q.Group); st != nil {
		last = st.readable(s.durable.Load())
	}
	o.mu.Unlock()
	if last == 0 {
		return nil
	}
	if err := s.acknowledge(ctx, []store.Cursor{{Queue: q, Seq: last}}); err != nil {
		return err
	}
	return s.do(ctx, &changeOp{}) // what was acknowledged before it is durable with it
}
