package hotlog

import (
	"encoding/binary"
	"fmt"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// replayed is what the start of the log needs beside the decider that it fills.
type replayed struct {
	d     *decider
	tree  *lsm.Batch
	first uint64  // the oldest segment
	redo  bool    // its retirement had begun
	undo  changes // removes from the tree what that brought there
}

// treeAtOnce is how many bytes of changes go to the tree together: few, because the tree makes room in memory for the largest, and keeps that size.
const treeAtOnce = 256 << 10

// record replays one record, of which b is the own part from on.
func (r *replayed) record(pos wal.Pos, from int, b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: empty record", store.ErrCorrupt)
	}
	switch b[0] {
	case recordPad:
		return nil
	case recordMessage:
		return r.message(pos, from, b)
	case recordAck:
		return decodeAck(b, func(at int64, c *cursor) { r.ack(pos, at, c) })
	case recordTree:
		return r.change(changes(b[1:]))
	case recordForget:
		f, err := decodeForget(b)
		if err != nil {
			return err
		}
		o := r.object(&store.QueueID{Owner: f.owner})
		return r.change(r.d.forget(o, &f))
	case recordMany:
		return decodeMany(b, func(at int, part []byte) error { return r.record(pos, from+at, part) })
	}
	return fmt.Errorf("%w: record of unknown kind %d", store.ErrVersion, b[0])
}

func (r *replayed) change(c changes) error {
	if err := c.apply(r.tree); err != nil {
		return err
	}
	if r.tree.Len() < treeAtOnce {
		return nil
	}
	return r.apply()
}

// apply brings what is collected to the tree.
func (r *replayed) apply() error {
	if r.tree.Empty() {
		return nil
	}
	if err := r.d.s.tree.db.Apply(r.tree, lsm.NoSync); err != nil {
		return err
	}
	r.tree.Reset()
	return nil
}

func (r *replayed) object(q *store.QueueID) *object {
	o := r.d.s.objects.pin(keyOf(q))
	o.unpin() // what is in the log is dirty, and stays; nobody else is there yet
	return o
}

func (r *replayed) message(pos wal.Pos, from int, b []byte) error {
	h, payload, err := decodeMessage(b)
	if err != nil {
		return err
	}
	o := r.object(&h.queue)
	st := o.find(h.queue.Group)
	before := h.cum - uint64(len(payload))
	if st == nil {
		st = &stream{
			object: o, id: h.queue, name: r.d.s.names.stream(&h.queue),
			acked: h.acked, ackedCum: h.ackedCum, last: h.seq - 1, lastCum: before, cold: h.seq - 1,
		}
		o.add(st)
	}
	if h.seq <= st.last {
		return nil
	}
	r.d.lost(st, h.seq-1, before, h.expires)
	st.push(entry{pos: pos, cum: h.cum, expires: h.expires, from: uint32(from), n: uint32(len(b)), size: uint32(len(payload))})
	r.d.window.touch(st, pos)
	r.d.window.expire(st, h.expires)
	id := r.d.s.names.id(&st.name, &h.id)
	r.d.window.add(id, h.seq, pos)
	r.d.moved(st, h.acked, h.ackedCum, h.accepted)
	if r.redo && pos.Segment == r.first {
		r.undo.delete(appendMessageKey(nil, &st.name, h.seq))
	}
	return nil
}

// maxLost is how many records may have been lost in a row for their messages to be told one by one.
const maxLost = 1 << 16

// lost notes that the records of the messages up to seq could not be read.
func (d *decider) lost(st *stream, seq, cum uint64, expires int64) {
	if seq <= st.last {
		return
	}
	d.s.opts.Logger.Error("store: messages lost to a corrupt log", "shared", st.id.Shared, "first", st.last+1, "last", seq)
	if seq-st.last > maxLost {
		st.drop(st.last)
		st.last, st.lastCum, st.cold = seq, cum, seq
		return
	}
	for st.last < seq {
		st.push(entry{cum: cum, expires: expires})
	}
}

// moved brings a cursor to where a record says it is.
func (d *decider) moved(st *stream, acked, cum uint64, at int64) {
	st.touched = max(st.touched, at)
	if acked > st.acked && acked <= st.last {
		st.drop(acked)
		st.acked, st.ackedCum = acked, cum
	}
}

func (r *replayed) ack(pos wal.Pos, at int64, c *cursor) {
	o := r.object(&c.queue)
	st := o.find(c.queue.Group)
	if st == nil {
		st = o.stored(c, r.d.s.names.stream(&c.queue), at)
		o.add(st)
	}
	r.d.lost(st, c.last, c.lastCum, 1<<62)
	r.d.window.touch(st, pos)
	r.d.moved(st, c.acked, c.ackedCum, at)
	if c.cold > 0 {
		must(r.change(removeCold(&st.name, c.coldTop, c.cold)))
	}
}

// openLog replays the log, and makes the decider as it was.
func (s *Store) openLog(key []byte) (*decider, error) {
	first, redo, err := s.firstSegment()
	if err != nil {
		return nil, err
	}
	d := newDecider(s)
	r := &replayed{d: d, tree: s.tree.db.NewBatch(), first: first, redo: redo}
	defer r.tree.Close()
	report := wal.Report{}
	s.log, report, err = wal.Open(wal.Options{
		FS: s.opts.FS, Dir: s.opts.FS.PathJoin(s.opts.Dir, logDir), SegmentBytes: s.opts.SegmentBytes, Key: key,
	}, first, func(pos wal.Pos, b []byte) error { return r.record(pos, 0, b) })
	if err != nil {
		return nil, err
	}
	if err := r.change(r.undo); err != nil {
		return nil, err
	}
	if first > 1 && report.Segments == 0 { // what retires a segment is synced in a later one before
		report.Corrupt = append(report.Corrupt, wal.Corruption{Segment: first, Reason: "all segments are missing"})
	}
	s.report(report)
	return d, r.apply()
}

func (s *Store) report(report wal.Report) {
	for _, c := range report.Corrupt {
		s.opts.Logger.Error("store: corrupt record in the log", "segment", c.Segment, "offset", c.Offset, "reason", c.Reason)
	}
	s.corrupt.Store(uint64(len(report.Corrupt)))
}

// firstSegment is the segment to replay from, and whether its retirement had begun.
func (s *Store) firstSegment() (first uint64, redo bool, err error) {
	value, err := s.tree.getRaw([]byte{kindFirst})
	if err != nil || value == nil {
		return 1, false, err // none was retired, so none may be missing
	}
	if len(value) != firstSize {
		return 0, false, fmt.Errorf("%w: first segment in %d bytes", store.ErrCorrupt, len(value))
	}
	return binary.BigEndian.Uint64(value), value[8] == 1, nil
}

const firstSize = 9

// firstNote is what the tree holds under kindFirst: first(8), and 1 if it may hold messages of that segment already.
func firstNote(first uint64, begun bool) []byte {
	b := binary.BigEndian.AppendUint64(nil, first)
	if begun {
		return append(b, 1)
	}
	return append(b, 0)
}
