package hotlog

import (
	"context"
	"sync"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// share is how many bytes of a call go into one op, so that a large call does not hold up small ones, and fits in a batch.
const (
	share         = 256 << 10
	shareMessages = 1024
)

// Enqueue implements store.Store.
func (s *Store) Enqueue(ctx context.Context, messages []store.Message) ([]store.Result, error) {
	if err := store.CheckMessages(messages); err != nil {
		return nil, err
	}
	if !s.use() {
		return nil, store.ErrClosed
	}
	defer s.life.RUnlock()
	results := make([]store.Result, len(messages))
	for done := 0; done < len(messages); {
		end := s.shareEnd(done, len(messages), func(i int) int { return len(messages[i].Payload) })
		if err := s.enqueue(ctx, messages[done:end], results[done:end]); err != nil {
			return nil, err
		}
		done = end
	}
	return results, nil
}

// shareEnd is where an op ends that begins with message from of n, whose payloads have size bytes.
func (s *Store) shareEnd(from, n int, size func(i int) int) int {
	end, sum := from, 0
	for end < n && (end == from || sum+size(end)+maxHeader <= s.share && end-from < shareMessages) {
		sum += size(end) + maxHeader
		end++
	}
	return end
}

// finish does what is prepared anew whenever ids left the log meanwhile. The op must not have been prepared.
func (s *Store) finish(ctx context.Context, o storing) error {
	for {
		err := o.prepare(s)
		if err == nil {
			err = s.do(ctx, o)
		}
		if err != nil || !o.outdated() {
			return err
		}
		o.unpin()
	}
}

var enqueuePool = sync.Pool{New: func() any { return new(enqueueOp) }}

func (s *Store) enqueue(ctx context.Context, messages []store.Message, results []store.Result) error {
	missing, err := s.holdAll(ctx, len(messages), func(i int) ([]store.BlobID, time.Time) { return messages[i].Blobs, messages[i].Expires })
	if err != nil {
		return err
	}
	o := enqueuePool.Get().(*enqueueOp)
	defer enqueuePool.Put(o)
	defer o.release()
	o.messages, o.results, o.missing = messages, results, missing
	if err := s.finish(ctx, o); err != nil {
		return err
	}
	o.notify(s)
	return nil
}

// target is where one message of an op goes, prepared by the caller.
type target struct {
	object *object
	stream *stream // nil if there was none
	name   name    // of the stream
	id     name    // of the message id in it
	known  uint64  // seq under which the tree has the id; 0 for none
	noBlob bool    // a blob of the message is not there
}

// enqueueOp stores messages.
type enqueueOp struct {
	messages []store.Message
	results  []store.Result
	missing  []bool // which of them lack a blob; nil if none has any
	targets  []target
	bytes    int
	records  int
	epoch    uint64 // of the ids, when they were looked up
	stale    bool   // ids left the log after they were looked up: all is to be done once more
}

func (o *enqueueOp) size() (int, int)    { return o.bytes, o.records }
func (o *enqueueOp) needs() (bool, bool) { return true, true }
func (o *enqueueOp) outdated() bool      { return o.stale }

func (o *enqueueOp) fresh() storing {
	return &enqueueOp{messages: o.messages, results: o.results, missing: o.missing}
}

// notify tells the watchers of what was stored.
func (o *enqueueOp) notify(s *Store) {
	if s.watchers.Load() == 0 {
		return
	}
	var last *store.Message // told
	for i := range o.messages {
		m := &o.messages[i]
		if o.results[i].Status == store.Stored && (last == nil || m.Queue != last.Queue) {
			last = m
			s.hub.Notify(m.Queue)
		}
	}
}

func (o *enqueueOp) hearers() (n int) {
	for i := range o.messages {
		if i == 0 || o.messages[i].Queue != o.messages[i-1].Queue {
			n++
		}
	}
	return n
}

// prepare pins and looks up what the decider needs. It must not be called twice without unpin between.
func (o *enqueueOp) prepare(s *Store) error {
	o.bytes, o.records, o.stale = maxForget, 1, false
	o.epoch = s.idEpoch.Load()
	now := s.opts.Clock()
	for i := range o.messages {
		m := &o.messages[i]
		t := target{noBlob: o.missing != nil && o.missing[i]}
		var err error
		if t.object, err = s.pin(objectKey{id: m.Queue.Owner}); err != nil {
			return err
		}
		t.object.mu.Lock()
		if t.stream = t.object.find(m.Queue.Group); t.stream != nil {
			t.name = t.stream.name
		}
		t.object.mu.Unlock()
		if t.stream == nil {
			t.name = s.names.stream(&m.Queue)
		}
		o.targets = append(o.targets, t)
		at := &o.targets[len(o.targets)-1]
		at.id = s.names.id(&t.name, &m.ID)
		if at.known, err = s.ids.find(&at.id, now); err != nil {
			return err
		}
		o.bytes, o.records = o.bytes+maxHeader-store.MaxGroup+len(m.Queue.Group)+len(m.Payload), o.records+1
	}
	return nil
}

func (o *enqueueOp) unpin() { o.targets = unpinned(o.targets) }

// unpinned gives the objects of targets back, and returns them as an empty list.
func unpinned(targets []target) []target {
	for i := range targets {
		targets[i].object.unpin()
	}
	clear(targets)
	return targets[:0]
}

func (o *enqueueOp) release() {
	o.unpin()
	o.messages, o.results, o.missing = nil, nil, nil
}

func (o *enqueueOp) decide(b *batch) {
	if o.epoch < b.d.window.retired {
		o.stale = true
		return
	}
	b.mayForget = true
	for i := range o.messages {
		o.results[i] = b.enqueue(&o.messages[i], &o.targets[i])
	}
}

// enqueue decides one message.
func (b *batch) enqueue(m *store.Message, t *target) store.Result {
	o, c := t.object, &b.s.counters
	o.mu.Lock()
	defer o.mu.Unlock()
	st := t.stream
	if st == nil || st.forgotten {
		st = o.find(m.Queue.Group)
	}
	if seq := b.duplicate(st, t); seq != 0 {
		c.duplicates.Add(1)
		return store.Result{Status: store.Duplicate, Seq: seq}
	}
	if t.noBlob {
		return store.Result{Status: store.NoBlob}
	}
	if st != nil && !b.fits(st, len(m.Payload)) {
		c.quota.Add(1)
		return store.Result{Status: store.QuotaExceeded}
	}
	if st == nil {
		if st = b.newQueue(o, m.Queue, t.name, len(m.Payload)); st == nil {
			c.quota.Add(1)
			return store.Result{Status: store.QuotaExceeded}
		}
	}
	h := b.header(st, len(m.Payload), &m.ID, b.s.expires(b.ms, m.Expires))
	record, pos := b.record(h.size() + len(m.Payload))
	copy(record[len(h.append(record[:0])):], m.Payload)
	b.push(st, &h, record, pos, 0, uint32(len(record)))
	b.remember(t.id, h.seq, pos)
	c.stored.Add(1)
	return store.Result{Status: store.Stored, Seq: h.seq}
}

// duplicate returns the number under which st, which may be nil, holds or held the id, or 0. If a run and the window know it, the
// window's number is not the older one.
func (b *batch) duplicate(st *stream, t *target) uint64 {
	if seq := b.d.window.find(&t.id); seq != 0 && st != nil && (t.known != 0 || st.acked < seq || b.ms-st.touched < idRetention) {
		return seq
	}
	return t.known
}

var idRetention = store.IDRetention.Milliseconds()

// fits says whether a payload is within the quota.
func (b *batch) fits(st *stream, payload int) bool {
	q := &b.s.opts.Quota
	return st.last-st.acked < q.Messages && st.lastCum-st.ackedCum+uint64(payload) <= q.Bytes
}

// header is that of the next message of st.
func (b *batch) header(st *stream, payload int, id *store.MessageID, expires int64) header {
	return header{
		queue: st.id, seq: st.last + 1, acked: st.acked, cum: st.lastCum + uint64(payload), ackedCum: st.ackedCum,
		id: *id, accepted: min(max(b.ms, 0), maxTime), expires: expires,
	}
}

// push adds the message of h to its stream, whose lock is held. The message's own record is the n bytes of record at from.
func (b *batch) push(st *stream, h *header, record []byte, pos wal.Pos, from, n uint32) {
	e := entry{pos: pos, cum: h.cum, expires: h.expires, from: from, n: n, size: uint32(h.cum - st.lastCum), batch: b.number}
	e.chunk, e.at = b.d.cache.add(record[from : from+n])
	st.push(e)
	st.touched = b.ms
	b.d.window.touch(st, pos)
	b.d.window.expire(st, h.expires)
}

// remember keeps an id for as long as the log keeps its message.
func (b *batch) remember(id name, seq uint64, pos wal.Pos) { b.d.window.add(id, seq, pos) }

// expires is when a message is given up, ms.
func (s *Store) expires(now int64, asked time.Time) int64 {
	now = min(max(now, 0), maxTime)
	limit := min(now+s.opts.MaxTTL.Milliseconds(), 2*maxTime)
	if asked.IsZero() {
		return min(now+s.opts.DefaultTTL.Milliseconds(), limit)
	}
	switch { // by time first, for one far away has no milliseconds
	case asked.After(time.UnixMilli(limit)):
		return limit
	case asked.Before(time.UnixMilli(now)):
		return now
	default:
		return asked.UnixMilli()
	}
}
