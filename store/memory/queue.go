package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quicnprotochat/store"
)

// queue holds messages in order. One that is not shared has one reader, whose cursor is acked; of a group's log, acked is how far it was trimmed.
type queue struct {
	acked, last uint64
	bytes       uint64
	touched     time.Time
	messages    []message // of acked+1 to last
	ids         map[store.MessageID]idState
}

type message struct {
	store.Delivery
	expires time.Time
}

type idState struct {
	seq   uint64
	until time.Time // not needed any more from then on, unless the message is still there
}

func newQueue(floor uint64) *queue {
	return &queue{acked: floor, last: floor, ids: make(map[store.MessageID]idState)}
}

// queue returns a queue that is not shared, nil if there is none.
func (s *Store) queue(id store.QueueID) *queue {
	if o := s.owners[id.Owner]; o != nil {
		return o.queues[id.Group]
	}
	return nil
}

// duplicate is the number of an id that is known, or 0.
func (q *queue) duplicate(id store.MessageID, now time.Time) uint64 {
	if known, ok := q.ids[id]; ok && (known.seq > q.acked || now.Before(known.until)) {
		return known.seq
	}
	return 0
}

func (s *Store) fits(q *queue, payload int) bool {
	return q.last-q.acked < s.opts.Quota.Messages && q.bytes+uint64(payload) <= s.opts.Quota.Bytes
}

// push adds a message.
func (s *Store) push(q *queue, id store.MessageID, payload []byte, now, expires time.Time) store.Result {
	q.last++
	q.bytes += uint64(len(payload))
	q.touched = now
	q.ids[id] = idState{seq: q.last, until: now.Add(store.IDRetention)}
	d := store.Delivery{Seq: q.last, ID: id, Payload: slices.Clone(payload), AcceptedAt: now.Truncate(time.Millisecond)}
	q.messages = append(q.messages, message{d, s.expires(now, expires)})
	s.stats.Stored++
	return store.Result{Status: store.Stored, Seq: q.last}
}

// acknowledge removes the messages up to seq.
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

// Enqueue implements store.Messages.
func (s *Store) Enqueue(ctx context.Context, messages []store.Message) ([]store.Result, error) {
	if err := store.CheckMessages(messages); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := s.opts.Clock()
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
		if seq := q.duplicate(m.ID, now); seq != 0 {
			s.stats.Duplicates++
			return store.Result{Status: store.Duplicate, Seq: seq}
		}
	}
	if !s.hold(m.Blobs, m.Expires, now) {
		return store.Result{Status: store.NoBlob}
	}
	if q == nil {
		q = s.newQueue(o, m, now)
	} else if !s.fits(q, len(m.Payload)) {
		q = nil
	}
	if q == nil {
		s.stats.QuotaExceeded++
		return store.Result{Status: store.QuotaExceeded}
	}
	return s.push(q, m.ID, m.Payload, now, m.Expires)
}

// newQueue makes a queue for a message, or returns nil if that is above a quota.
func (s *Store) newQueue(o *owner, m *store.Message, now time.Time) *queue {
	if uint64(len(m.Payload)) > s.opts.Quota.Bytes {
		return nil
	}
	if len(o.queues) >= s.opts.Quota.Queues {
		o.forgetIdle(now, func(string) bool { return false })
	}
	if len(o.queues) >= s.opts.Quota.Queues {
		return nil
	}
	q := newQueue(o.floor)
	o.queues[m.Queue.Group] = q
	return q
}

// forgetIdle forgets the queues that are empty and long unused, but for those to keep.
func (o *owner) forgetIdle(now time.Time, keep func(group string) bool) {
	for g, q := range o.queues {
		if !keep(g) && q.acked == q.last && now.Sub(q.touched) > 2*store.IDRetention {
			o.floor = max(o.floor, q.last)
			delete(o.queues, g)
		}
	}
}

// view is what a reader sees of a queue: what is above acked, up to last. One without a queue sees nothing.
type view struct {
	queue       *queue
	acked, last uint64
}

func (s *Store) view(id store.QueueID) view {
	if id.Shared {
		return s.sharedView(id)
	}
	q := s.queue(id)
	if q == nil {
		return view{}
	}
	return view{q, q.acked, q.last}
}

// messages are those that a view shows, expired ones among them.
func (v *view) messages(after uint64) []message {
	after = max(after, v.acked)
	if v.queue == nil || after >= v.last {
		return nil
	}
	return v.queue.messages[after-v.queue.acked : v.last-v.queue.acked]
}

// Read implements store.Messages.
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
	v := s.view(id)
	page := store.Page{Acknowledged: v.acked, Last: v.last}
	now, bytes := s.opts.Clock(), 0
	for _, m := range v.messages(after) {
		if !m.expires.After(now) {
			continue
		}
		if n := len(page.Messages); n >= maxMessages || n > 0 && bytes+len(m.Payload) > maxBytes {
			page.More = true
			break
		}
		bytes += len(m.Payload)
		d := m.Delivery
		d.Payload = slices.Clone(d.Payload)
		page.Messages = append(page.Messages, d)
	}
	return page, nil
}

// Acknowledge implements store.Messages.
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
		if v := s.view(cursors[i].Queue); cursors[i].Seq > v.last {
			return fmt.Errorf("%w: %d above %d", store.ErrBeyondLast, cursors[i].Seq, v.last)
		}
	}
	now := s.opts.Clock()
	for i := range cursors {
		c := &cursors[i]
		v := s.view(c.Queue)
		if v.queue == nil || c.Seq <= v.acked {
			continue
		}
		if c.Queue.Shared {
			s.acknowledgeShared(c, now)
		} else {
			s.stats.Acknowledged += c.Seq - v.acked
			v.queue.acknowledge(c.Seq, now)
		}
		s.hub.Notify(c.Queue)
	}
	return nil
}

// Queues implements store.Messages.
func (s *Store) Queues(ctx context.Context, from store.QueueID, max int) ([]store.QueueStatus, bool, error) {
	if max < 1 {
		return nil, false, fmt.Errorf("%w: at most %d queues asked for", store.ErrInvalid, max)
	}
	if err := s.enter(ctx); err != nil {
		return nil, false, err
	}
	defer s.mu.Unlock()
	o := s.owners[from.Owner]
	if o == nil {
		return nil, false, nil
	}
	var ids []store.QueueID
	for g := range o.queues {
		ids = append(ids, store.QueueID{Owner: from.Owner, Group: g})
	}
	for g := range o.reads {
		ids = append(ids, store.QueueID{Owner: from.Owner, Group: g, Shared: true})
	}
	slices.SortFunc(ids, store.QueueID.Compare)
	var queues []store.QueueStatus
	for _, id := range ids {
		v := s.view(id)
		held := v.messages(0)
		if id.Compare(from) < 0 || len(held) == 0 {
			continue
		}
		if len(queues) == max {
			return queues, true, nil
		}
		q := store.QueueStatus{Group: id.Group, Shared: id.Shared, Acknowledged: v.acked, Last: v.last, Messages: v.last - v.acked}
		for _, m := range held {
			q.Bytes += uint64(len(m.Payload))
		}
		queues = append(queues, q)
	}
	return queues, false, nil
}
