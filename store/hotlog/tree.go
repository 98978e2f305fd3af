package hotlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	lsm "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
)

// tree is what left the log, and what is too seldom used to be kept in memory. It has no log of its own: ours says what changes, and keeps saying
// it until the tree has been flushed. Safe for concurrent use.
type tree struct {
	db   *lsm.DB
	seal *sealer
}

func openTree(dir string, o *Options, fail *disk.Failure, seal *sealer) (*tree, error) {
	options := &lsm.Options{
		FS:                          disk.Halt(o.FS, dir, fail),
		Logger:                      fail,
		DisableWAL:                  true,
		FormatMajorVersion:          lsm.FormatNewest,
		CacheSize:                   o.TreeCache,
		MemTableSize:                8 << 20, // after a start it soon has that, however little is to do: what the log tells of the tree is applied again
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       48,
		LBaseMaxBytes:               256 << 20,
		MaxOpenFiles:                1000,
		BytesPerSync:                512 << 10,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		EventListener: &lsm.EventListener{
			BackgroundError: fail.Background,
			FlushEnd:        func(info lsm.FlushInfo) { fail.Flushed(info.Err) },
			DataCorruption:  func(info lsm.DataCorruptionInfo) { o.Logger.Error("store: corrupt data", "info", info.String()) },
		},
	}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := lsm.Open(dir, options)
	if err != nil {
		if lsm.IsCorruptionError(err) {
			err = fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
		return nil, fmt.Errorf("store: open %s: %w", dir, err)
	}
	return &tree{db, seal}, nil
}

// readError names corruption as such.
func readError(err error) error {
	switch {
	case err == nil:
		return nil
	case lsm.IsCorruptionError(err):
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	case errors.Is(err, store.ErrCorrupt):
		return err
	default:
		return fmt.Errorf("store: read: %w", err)
	}
}

// getRaw returns the value under key as it stands, in new memory; nil if there is none.
func (t *tree) getRaw(key []byte) ([]byte, error) {
	value, closer, err := t.db.Get(key)
	if errors.Is(err, lsm.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(err)
	}
	own := append(make([]byte, 0, len(value)), value...)
	return own, readError(closer.Close())
}

// get returns what was sealed under key, in new memory; nil if there is none.
func (t *tree) get(key []byte) ([]byte, error) {
	value, err := t.getRaw(key)
	if value == nil || err != nil {
		return nil, err
	}
	return t.seal.open(key, value)
}

// getOf is get of what the tree was when the snapshot was taken; lsm.ErrNotFound if there is nothing.
func (t *tree) getOf(snapshot *lsm.Snapshot, key []byte) ([]byte, error) {
	value, closer, err := snapshot.Get(key)
	if err != nil {
		return nil, err
	}
	own := bytes.Clone(value)
	if err := closer.Close(); err != nil {
		return nil, err
	}
	return t.seal.open(key, own)
}

// scan calls f for the keys from first up to but not including end, in order, until it returns false. Always give tight bounds: beside them lie the
// tombstones of all that was acknowledged. key and value are f's only until it returns; the value is not opened.
func (t *tree) scan(first, end []byte, f func(key, value []byte) (bool, error)) (err error) {
	it, err := t.db.NewIter(&lsm.IterOptions{LowerBound: first, UpperBound: end})
	if err != nil {
		return readError(err)
	}
	defer func() { err = errors.Join(err, readError(it.Close())) }()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return readError(err)
		}
		if more, err := f(it.Key(), value); !more || err != nil {
			return err
		}
	}
	return nil
}

// changes is a list of changes of the tree, and the body of a recordTree after its kind: any number of kind(1), length, key, and for changeSet length,
// value, which is sealed already. The zero value is an empty list.
type changes []byte

const (
	changeSet    = 1
	changeDelete = 2
)

// maxTreeKey is the longest key in the tree, bytes.
const maxTreeKey = 512

// set puts value under key as it is.
func (c *changes) set(key, value []byte) {
	b := append(*c, changeSet)
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(len(value)))
	*c = append(b, value...)
}

func (c *changes) delete(key []byte) {
	b := append(*c, changeDelete)
	b = binary.AppendUvarint(b, uint64(len(key)))
	*c = append(b, key...)
}

// setSealed puts value under key, encrypted if the store is.
func (c *changes) setSealed(t *tree, key, value []byte) {
	b := append(*c, changeSet)
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(t.seal.size(len(value))))
	*c = t.seal.seal(b, key, value)
}

// each calls f for the changes; value is nil for a deletion.
func (c changes) each(f func(key, value []byte) error) error {
	r := reader{b: c}
	for len(r.b) > 0 {
		kind := r.byte()
		if kind != changeSet && kind != changeDelete {
			r.fail("unknown change of the tree")
		}
		n := r.length(maxTreeKey)
		key := r.bytes(n)
		var value []byte
		if kind == changeSet {
			value = r.bytes(r.length(len(r.b)))
		}
		if r.err == nil && n == 0 {
			r.fail("change without a key")
		}
		if r.err != nil {
			return r.err
		}
		if kind == changeSet && value == nil {
			value = []byte{}
		}
		if err := f(key, value); err != nil {
			return err
		}
	}
	return r.err
}

// apply adds the changes to a batch of the tree.
func (c changes) apply(b *lsm.Batch) error {
	return c.each(func(key, value []byte) error {
		if value == nil {
			return b.Delete(key, nil)
		}
		return b.Set(key, value, nil)
	})
}
