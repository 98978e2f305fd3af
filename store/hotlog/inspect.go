package hotlog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
	"quicnprotochat/store/internal/idset"
	"quicnprotochat/store/internal/wal"
)

// Item is something that stands in a store's directory.
type Item struct {
	Log     bool   // it is a record of the log, at Segment and Offset; else it is a value of the tree, under Key
	Segment uint64 // of the log
	Offset  uint32 // bytes
	Key     []byte
	Kind    string // what it is, in a word or two
	Queue   *store.QueueID
	Seq     uint64 // of a message; of a queue, its last
	Acked   uint64 // of a queue, its cursor
	Size    int    // of what it holds, bytes
	At      int64  // when it was accepted, ms since 1970; 0 for what does not say
	Expires int64  // ms since 1970; 0 for what does not say
	Value   []byte // the payload of a message, the value of anything else; it is overwritten later
	Err     error  // why it cannot be read: store.ErrCorrupt
}

// Summary is what Inspect found.
type Summary struct {
	Segments  int            // of the log
	First     uint64         // segment of the log that counts
	LogBytes  int64          // of records
	TreeBytes int64          // of keys and values
	Log, Tree map[string]int // items by kind
	IDs       int64          // message ids of segments that were retired
	Torn      bool           // the end of the log was cut off, as a crash does; nothing that was acknowledged is lost by that
	Damage    []string       // what cannot be read, and where it stands; the first 1,000
	Damaged   int            // all of it
}

// maxDamage is how much damage is told one by one.
const maxDamage = 1000

func (m *Summary) damaged(format string, args ...any) {
	if m.Damaged++; m.Damaged <= maxDamage {
		m.Damage = append(m.Damage, fmt.Sprintf(format, args...))
	}
}

// Inspect reads all that is in the directory of a store that nobody has open, calls see for each item, and changes nothing. Only Options.Dir, Key, Logger and FS
// count. Memory does not grow with the tree; with the log it grows by its queues. Errors: store.ErrNotFound (no store is there), store.ErrLocked,
// store.ErrVersion, ErrKey, store.ErrCorrupt (a tree that cannot be opened), the context's, those of see and of the file system. What cannot be read is no error: it is in the
// Summary, and see gets it with Item.Err.
func Inspect(ctx context.Context, o Options, see func(*Item) error) (*Summary, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if _, err := o.FS.Stat(o.FS.PathJoin(o.Dir, formatFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no store in %s", store.ErrNotFound, o.Dir)
	}
	s := &Store{opts: o, fail: disk.NewFailure(o.Logger)}
	if err := s.acquire(); err != nil {
		return nil, err
	}
	summary, err := s.inspect(ctx, see)
	return summary, errors.Join(err, s.lock.Close())
}

func (s *Store) inspect(ctx context.Context, see func(*Item) error) (_ *Summary, err error) {
	o := &s.opts
	keys, err := openFormat(o.FS, o.Dir, o.Key)
	if err != nil {
		return nil, err
	}
	s.names = keys.names
	if s.tree, err = lookAtTree(o, keys.tree); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.tree.db.Close()) }()
	i := &inspection{s: s, ctx: ctx, see: see, last: make(map[name]uint64)}
	i.Log, i.Tree = make(map[string]int), make(map[string]int)
	if err := i.log(keys.log); err != nil {
		return nil, err
	}
	if err := i.tree(); err != nil {
		return nil, err
	}
	if err := i.ids(); err != nil {
		return nil, err
	}
	return &i.Summary, nil
}

func lookAtTree(o *Options, seal *sealer) (*tree, error) {
	dir := o.FS.PathJoin(o.Dir, treeDir)
	db, err := lsm.Open(dir, &lsm.Options{FS: o.FS, ReadOnly: true, ErrorIfNotExists: true, DisableWAL: true,
		FormatMajorVersion: lsm.FormatNewest, Logger: quiet{},
		EventListener: &lsm.EventListener{DataCorruption: func(lsm.DataCorruptionInfo) {}}})
	if err != nil {
		return nil, fmt.Errorf("%w: open %s: %w", store.ErrCorrupt, dir, err)
	}
	return &tree{db, seal}, nil
}

// inspection is one Inspect.
type inspection struct {
	Summary
	s    *Store
	ctx  context.Context
	see  func(*Item) error
	last map[name]uint64 // of each queue, the highest number that the log told of
}

// found counts an item and passes it on.
func (i *inspection) found(item *Item) error {
	if item.Log {
		i.Summary.Log[item.Kind]++
	} else {
		i.Summary.Tree[item.Kind]++
	}
	if item.Err != nil {
		if item.Log {
			i.damaged("log, segment %d at %d: %s: %v", item.Segment, item.Offset, item.Kind, item.Err)
		} else {
			i.damaged("tree, key %s: %s: %v", hex.EncodeToString(item.Key), item.Kind, item.Err)
		}
	}
	if err := i.ctx.Err(); err != nil {
		return err
	}
	return i.see(item)
}

// log looks at the records of the log.
func (i *inspection) log(key []byte) error {
	first, _, err := i.s.firstSegment()
	if err != nil {
		i.damaged("tree: where the log begins: %v", err)
	}
	o := &i.s.opts
	report, err := wal.Look(wal.Options{FS: o.FS, Dir: o.FS.PathJoin(o.Dir, logDir), Key: key}, first, func(pos wal.Pos, b []byte) error {
		i.LogBytes += int64(len(b))
		return i.record(pos, b)
	})
	if err != nil {
		return err
	}
	if first > 1 && report.Segments == 0 {
		i.damaged("log: all segments from %d on are missing", first)
	}
	for _, c := range report.Corrupt {
		i.damaged("log, segment %d at %d: %s", c.Segment, c.Offset, c.Reason)
	}
	i.Segments, i.First, i.Torn = report.Segments, first, report.Torn
	return nil
}

// ids looks at the files of message ids.
func (i *inspection) ids() error {
	o := &i.s.opts
	return idset.Look(i.ctx, o.FS, o.FS.PathJoin(o.Dir, idsDir), func(file string, entries int64, err error) error {
		if i.IDs += entries; err != nil {
			i.damaged("message ids, %s: %v", file, err)
		}
		return nil
	})
}

// tree looks at the values of the tree, kind by kind, so that a block that cannot be read hides no more than the rest of its kind.
func (i *inspection) tree() error {
	for kind := range 256 {
		first, end := []byte{byte(kind)}, []byte{byte(kind + 1)}
		if kind == 255 {
			end = nil
		}
		var stop error
		err := i.s.tree.scan(first, end, i.values(&stop))
		if stop != nil {
			return stop
		}
		if errors.Is(err, store.ErrCorrupt) {
			i.damaged("tree, keys that begin with %02x: %v", kind, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// values returns what looks at values of one kind. Its own error is left in stop.
func (i *inspection) values(stop *error) func(key, value []byte) (bool, error) {
	var of name    // the stream, and
	var seq uint64 // the number, of the message that was looked at last
	return func(key, value []byte) (bool, error) {
		item := i.value(key, value)
		i.TreeBytes += int64(len(key) + len(value))
		if key[0] == kindMessage && item.Err == nil {
			stream := name(key[1:17])
			if stream == of && item.Seq != seq+1 {
				item.Err = fmt.Errorf("%w: messages %d to %d before it are missing", store.ErrCorrupt, seq+1, item.Seq-1)
			}
			of, seq = stream, item.Seq
		}
		*stop = i.found(&item)
		return true, *stop
	}
}

// quiet is a logger of pebble's that says nothing: what it has to say comes back as errors, damage above all, which would otherwise be fatal.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Errorf(format, args...))
}
