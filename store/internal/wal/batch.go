package wal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"quicnprotochat/store"
)

// Batch is what one Write writes. Its memory is used again by the next.
type Batch struct {
	log   *Log
	buf   []byte
	room  int // of buf, bytes
	count int
}

// limit is where the batches of a segment end at the latest.
func (l *Log) limit() int64 { return l.o.SegmentBytes - lastPage }

// Begin makes room for a batch of so many records with so many bytes of payload together; there may be less in the end. Errors: store.ErrFull (no
// room for another segment; it may be there at the next Begin), store.ErrFailed (for ever), store.ErrInvalid (more than a segment holds), others of the file system when
// a segment is made.
func (l *Log) Begin(bytes, records int) (*Batch, error) {
	if err := l.failure(); err != nil {
		return nil, err
	}
	overhead := clearOverhead
	if l.o.Key != nil {
		overhead = sealedOverhead
	}
	need := bytes + records*overhead + markSize + overhead
	if bytes < 0 || records < 0 || int64(need) > l.limit()-firstBatch {
		return nil, fmt.Errorf("%w: a batch of %d bytes in segments of %d", store.ErrInvalid, need, l.o.SegmentBytes)
	}
	if records > 0 && (l.current == nil || l.offset+int64(need) > l.limit()) {
		if err := l.roll(); err != nil {
			return nil, err
		}
	}
	b := &l.batch
	b.log, b.room, b.count = l, need, 0
	if cap(b.buf) < need {
		b.buf = make([]byte, need+need/4)
	}
	b.buf = b.buf[:0]
	if records > 0 {
		b.frame(markSize, markBit)
	}
	return b, nil
}

// roll goes on to the next segment. All of the last is durable before anything is written to it.
func (l *Log) roll() error {
	l.maker.ask(l.number.Load() + 1)
	s, err := l.maker.take()
	if err != nil {
		return roomError(err)
	}
	if err := l.Sync(); err != nil {
		return errors.Join(err, s.file.Close())
	}
	if l.current != nil {
		l.previous = l.offset
	}
	l.state.Lock()
	l.current, l.offset, l.synced = s, firstBatch, firstBatch
	l.state.Unlock()
	l.mu.Lock()
	l.segments[s.number] = s
	l.mu.Unlock()
	l.number.Store(s.number)
	l.maker.ask(s.number + 1)
	return nil
}

// frame appends the start of a frame and returns where in the batch it begins.
func (b *Batch) frame(n int, bits uint32) int {
	at := len(b.buf)
	h := &b.log.current.header
	size := n + h.overhead()
	if at+size > b.room {
		panic("wal: more in a batch than Begin was told")
	}
	b.buf = b.buf[:at+size]
	binary.LittleEndian.PutUint32(b.buf[at:], uint32(n)|bits)
	return at
}

// Record returns room to encode a record of n bytes in, and where it will stand. The room is good until Write.
func (b *Batch) Record(n int) ([]byte, Pos) {
	at := b.frame(n, 0)
	b.count++
	h := &b.log.current.header
	start := at + h.begins()
	return b.buf[start : start+n : start+n], Pos{h.number, uint32(b.log.offset) + uint32(at), uint32(n)}
}

// Write writes the batch with one write, and, if sync is set, returns when it and all before it are on disk. After an error nothing is written any
// more: every later call returns it, store.ErrFailed.
func (l *Log) Write(b *Batch, sync bool) error {
	if err := l.failure(); err != nil {
		return err
	}
	if b.count > 0 {
		b.finish()
		if _, err := l.current.file.WriteAt(b.buf, l.offset); err != nil {
			return l.fail(fmt.Errorf("%w: write to segment %d: %v", store.ErrFailed, l.current.number, err))
		}
		l.state.Lock()
		l.offset += int64(len(b.buf))
		l.state.Unlock()
		if l.offset > l.o.SegmentBytes/2 {
			l.maker.urge() // whoever writes so much shall not wait at the end
		}
		l.batches.Add(1)
		l.bytes.Add(uint64(len(b.buf)))
	}
	b.done()
	if !sync {
		return nil
	}
	return l.Sync()
}

// Sync returns when everything is on disk whose Write returned before. It can run while the writer goes on. Its errors are those of Write: after one
// there is never another try, for the system may have thrown away what it could not write.
func (l *Log) Sync() error {
	l.state.Lock()
	s, offset, synced, err := l.current, l.offset, l.synced, l.failed
	l.state.Unlock()
	if err != nil || s == nil || offset == synced {
		return err
	}
	s.busy.RLock() // it may be retired meanwhile
	err = s.file.SyncData()
	s.busy.RUnlock()
	if err != nil {
		return l.fail(fmt.Errorf("%w: sync of segment %d: %v", store.ErrFailed, s.number, err))
	}
	l.syncs.Add(1)
	l.state.Lock()
	defer l.state.Unlock()
	if l.current == s {
		l.synced = max(l.synced, offset)
	}
	return l.failed // another one's sync of the same file may have failed
}

func (l *Log) failure() error {
	l.state.Lock()
	defer l.state.Unlock()
	return l.failed
}

// fail stops the log. The first error stays.
func (l *Log) fail(err error) error {
	l.state.Lock()
	defer l.state.Unlock()
	if l.failed == nil {
		l.failed = err
	}
	return l.failed
}

// keepBuffer is the size of the largest buffer that is kept for the next batch, bytes.
const keepBuffer = 4 << 20

func (b *Batch) done() {
	b.buf, b.count, b.room = b.buf[:0], 0, 0
	if cap(b.buf) > keepBuffer {
		b.buf = nil
	}
}

// finish computes what the frames are checked by.
func (b *Batch) finish() {
	l := b.log
	h := &l.current.header
	l.state.Lock()
	synced := l.synced
	l.state.Unlock()
	mark{uint64(synced), uint64(l.previous)}.put(b.buf[h.begins():])
	for at := 0; at < len(b.buf); {
		size := int(binary.LittleEndian.Uint32(b.buf[at:])&^markBit) + h.overhead()
		h.seal(b.buf[at:at+size], uint32(l.offset)+uint32(at))
		at += size
	}
}
