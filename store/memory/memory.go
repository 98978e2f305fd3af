// Package memory is a store engine that keeps everything in memory. It follows the rules of package store but for one: "on disk"
// means in memory. It starts no goroutine, so it works inside a testing/synctest bubble.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/hub"
)

// Options tune a Store. The zero value works.
type Options struct {
	Quota store.Quota
	Clock func() time.Time // default: time.Now
}

// Store is the engine; it implements store.Store.
type Store struct {
	quota  store.Quota
	clock  func() time.Time
	hub    hub.Hub
	failed chan struct{}

	mu     sync.Mutex // guards all below
	closed bool
	owners map[store.Identity]*owner
	stats  store.Stats
}

var _ store.Store = (*Store)(nil)

type owner struct {
	queues map[string]*queue
	floor  uint64 // see store.Store, order
	pool   pool
}

type queue struct {
	acked, last uint64
	bytes       uint64
	touched     time.Time
	messages    []store.Delivery // of acked+1 to last
	ids         map[store.MessageID]idState
}

type idState struct {
	seq   uint64
	until time.Time // not needed any more from then on, unless the message is still there
}

// New returns an empty store.
func New(opts Options) *Store {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	return &Store{
		quota:  opts.Quota.WithDefaults(),
		clock:  opts.Clock,
		failed: make(chan struct{}),
		owners: make(map[store.Identity]*owner),
	}
}

// enter locks s; the caller unlocks it unless there is an error.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

func (s *Store) owner(id store.Identity) *owner {
	o := s.owners[id]
	if o == nil {
		o = &owner{queues: make(map[string]*queue)}
		s.owners[id] = o
	}
	return o
}

func (s *Store) queue(id store.QueueID) *queue {
	if o := s.owners[id.Owner]; o != nil {
		return o.queues[id.Group]
	}
	return nil
}

// Enqueue implements store.Store.
func (s *Store) Enqueue(ctx context.Context, messages []store.Message) ([]store.Result, error) {
	if err := store.CheckMessages(messages); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := s.clock()
	results := make([]store.Result, len(messages))
	for i := range messages {
		results[i] = s.enqueue(&messages[i], now)
		if results[i].Status == store.Stored {
			s.hub.Notify(messages[i].Queue)
		}
	}
	return results, nil
}

func (s *Store) enqueue(m *store.Message, now time.Time) store.Result {
	o := s.owner(m.Queue.Owner)
	q := o.queues[m.Queue.Group]
	if q != nil {
		if id, ok := q.ids[m.ID]; ok && (id.seq > q.acked || now.Before(id.until)) {
			s.stats.Duplicates++
			return store.Result{Status: store.Duplicate, Seq: id.seq}
		}
		if q.last-q.acked >= s.quota.Messages || q.bytes+uint64(len(m.Payload)) > s.quota.Bytes {
			s.stats.QuotaExceeded++
			return store.Result{Status: store.QuotaExceeded}
		}
	} else {
		if len(o.queues) >= s.quota.Queues {
			o.forgetIdle(now)
		}
		if len(o.queues) >= s.quota.Queues {
			s.stats.QuotaExceeded++
			return store.Result{Status: store.QuotaExceeded}
		}
		q = &queue{acked: o.floor, last: o.floor, ids: make(map[store.MessageID]idState)}
		o.queues[m.Queue.Group] = q
	}
	q.last++
	q.bytes += uint64(len(m.Payload))
	q.touched = now
	q.ids[m.ID] = idState{seq: q.last, until: now.Add(store.IDRetention)}
	q.messages = append(q.messages, store.Delivery{
		Seq: q.last, ID: m.ID, Payload: slices.Clone(m.Payload), AcceptedAt: now.Truncate(time.Millisecond),
	})
	s.stats.Stored++
	return store.Result{Status: store.Stored, Seq: q.last}
}

func (o *owner) forgetIdle(now time.Time) {
	for g, q := range o.queues {
		if q.acked == q.last && now.Sub(q.touched) > 2*store.IDRetention {
			o.floor = max(o.floor, q.last)
			delete(o.queues, g)
		}
	}
}

// Read implements store.Store.
func (s *Store) Read(ctx context.Context, id store.QueueID, after uint64, maxMessages, maxBytes int) (store.Page, error) {
	if err := store.CheckGroup(id.Group); err != nil {
		return store.Page{}, err
	}
	if maxMessages < 1 || maxBytes < 1 {
		return store.Page{}, fmt.Errorf("%w: at most %d messages and %d bytes asked for", store.ErrInvalid, maxMessages, maxBytes)
	}
	if err := s.enter(ctx); err != nil {
		return store.Page{}, err
	}
	defer s.mu.Unlock()
	q := s.queue(id)
	if q == nil {
		return store.Page{}, nil
	}
	page := store.Page{Acknowledged: q.acked, Last: q.last}
	if after >= q.last {
		return page, nil
	}
	bytes := 0
	for seq := max(after, q.acked) + 1; seq <= q.last; seq++ {
		d := q.messages[seq-q.acked-1]
		if n := len(page.Messages); n >= maxMessages || n > 0 && bytes+len(d.Payload) > maxBytes {
			page.More = true
			break
		}
		bytes += len(d.Payload)
		d.Payload = slices.Clone(d.Payload)
		page.Messages = append(page.Messages, d)
	}
	return page, nil
}

// Acknowledge implements store.Store.
func (s *Store) Acknowledge(ctx context.Context, cursors []store.Cursor) error {
	for i := range cursors {
		if err := store.CheckGroup(cursors[i].Queue.Group); err != nil {
			return err
		}
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for i := range cursors {
		last := uint64(0)
		if q := s.queue(cursors[i].Queue); q != nil {
			last = q.last
		}
		if cursors[i].Seq > last {
			return fmt.Errorf("%w: %d above %d", store.ErrBeyondLast, cursors[i].Seq, last)
		}
	}
	now := s.clock()
	for i := range cursors {
		if q := s.queue(cursors[i].Queue); q != nil && cursors[i].Seq > q.acked {
			s.stats.Acknowledged += cursors[i].Seq - q.acked
			q.acknowledge(cursors[i].Seq, now)
			s.hub.Notify(cursors[i].Queue)
		}
	}
	return nil
}

func (q *queue) acknowledge(seq uint64, now time.Time) {
	n := int(seq - q.acked)
	for i := range q.messages[:n] {
		m := &q.messages[i]
		q.bytes -= uint64(len(m.Payload))
		q.ids[m.ID] = idState{seq: m.Seq, until: now.Add(store.IDRetention)}
	}
	q.messages = slices.Delete(q.messages, 0, n)
	q.acked, q.touched = seq, now
}

// Queues implements store.Store.
func (s *Store) Queues(ctx context.Context, from store.QueueID, max int) ([]store.QueueStatus, bool, error) {
	if max < 1 {
		return nil, false, fmt.Errorf("%w: at most %d queues asked for", store.ErrInvalid, max)
	}
	if err := s.enter(ctx); err != nil {
		return nil, false, err
	}
	defer s.mu.Unlock()
	if from.Shared {
		from = from.Next()
	}
	o := s.owners[from.Owner]
	if o == nil {
		return nil, false, nil
	}
	var groups []string
	for g, q := range o.queues {
		if g >= from.Group && q.acked < q.last {
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	more := len(groups) > max
	queues := make([]store.QueueStatus, 0, min(len(groups), max))
	for _, g := range groups[:cap(queues)] {
		q := o.queues[g]
		queues = append(queues, store.QueueStatus{Group: g, Acknowledged: q.acked, Last: q.last, Messages: q.last - q.acked, Bytes: q.bytes})
	}
	return queues, more, nil
}

// Watch implements store.Store.
func (s *Store) Watch(id store.Identity) (store.Watcher, error) {
	if err := s.enter(context.Background()); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.hub.Watch(id), nil
}

// Stats implements store.Store.
func (s *Store) Stats() store.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Watchers = s.hub.Len()
	return stats
}

// Failed implements store.Store; memory does not fail.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Close implements store.Store.
func (s *Store) Close() error {
	if err := s.enter(context.Background()); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
