package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
	"quicnprotochat/schemas"
)

const (
	// maxFlush bounds what goes into one call: messages, and bytes of payload.
	maxFlush      = 64
	maxFlushBytes = 512 << 10
	// maxRecipients is the most recipients that go into one call, and maxStored the most bytes of payload times recipients: the
	// protocol's promises to a client that has not asked.
	maxRecipients = 1024
	maxStored     = 64 << 20
)

// outboxRecord is a message that was decided upon, and perhaps not yet accepted by the server. Its id stays the same however often
// it is sent.
type outboxRecord struct {
	ID         MessageID        `json:"id"`
	GroupBytes []byte           `json:"group_id"`         // the group it belongs to
	Payload    []byte           `json:"payload"`          // MLSMessage
	Recipients []certs.Identity `json:"recipients"`       // who has not got it yet
	Commit     bool             `json:"commit,omitempty"` // merge the group's pending commit when it is accepted
	Inbox      bool             `json:"inbox,omitempty"`  // goes to inboxes: a Welcome
}

func (r *outboxRecord) queue() string {
	if r.Inbox {
		return ""
	}
	return string(r.GroupBytes)
}

// putOutbox appends a message to the outbox. What the server would refuse for its size does not get there (ErrTooLarge): it would stand in the way of
// all that comes after it, for ever.
func putOutbox(tx *bolt.Tx, r outboxRecord) error {
	if len(r.Payload) > maxPayload {
		return fmt.Errorf("%w: %d bytes after encryption, at most %d", ErrTooLarge, len(r.Payload), maxPayload)
	}
	if _, err := rand.Read(r.ID[:]); err != nil {
		return err
	}
	return appendJSON(tx.Bucket(bucketOutbox), r)
}

// pendingEntry is an outbox entry and its number.
type pendingEntry struct {
	key []byte
	rec outboxRecord
	to  []certs.Identity // who it goes to in the next call
}

// Flush sends what stands in the outbox, oldest first, and returns when the server has all of it on disk, or at the first failure.
// Calling it again goes on where it stopped. A recipient whose queue is full keeps nobody else waiting: what is for it stays, in its order,
// and Flush ends with ErrQuota.
func (a *Account) Flush(ctx context.Context, s *Session) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	f := flush{full: make(map[certs.Identity]bool)}
	for {
		batch, err := a.nextBatch(&f)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			break
		}
		if err := a.flushBatch(ctx, s, &f, batch); err != nil {
			return err
		}
	}
	for r := range f.full {
		return fmt.Errorf("%w: %s", ErrQuota, r)
	}
	return nil
}

// flush is the state of one Flush.
type flush struct {
	after []byte                  // entries up to this key are settled, as far as they can be
	full  map[certs.Identity]bool // recipients that take nothing more for now
}

// open are the recipients of r that may still take it, as many as go into one call.
func (f *flush) open(r *outboxRecord) (out []certs.Identity) {
	most := min(maxRecipients, maxStored/max(1, len(r.Payload)))
	for _, id := range r.Recipients {
		if !f.full[id] && len(out) < most {
			out = append(out, id)
		}
	}
	return out
}

// nextBatch reads the next entries of the outbox. A commit ends a batch: it is merged before anything later goes.
func (a *Account) nextBatch(f *flush) (batch []pendingEntry, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		b, bytes, recipients, stored := tx.Bucket(bucketOutbox), 0, 0, 0
		c := b.Cursor()
		for k, _ := c.Seek(append(f.after[:len(f.after):len(f.after)], 0)); k != nil && len(batch) < maxFlush; k, _ = c.Next() {
			e := pendingEntry{key: append([]byte(nil), k...)}
			if _, err := getJSON(b, k, &e.rec); err != nil {
				return err
			}
			e.to = f.open(&e.rec)
			bytes += len(e.rec.Payload)
			recipients += len(e.to)
			stored += len(e.to) * len(e.rec.Payload)
			if len(batch) > 0 && (bytes > maxFlushBytes || recipients > maxRecipients || stored > maxStored) {
				return nil
			}
			batch = append(batch, e)
			if e.rec.Commit {
				return nil
			}
		}
		return nil
	})
	return batch, err
}

// flushBatch submits entries in order, and settles each by what the server says.
func (a *Account) flushBatch(ctx context.Context, s *Session, f *flush, batch []pendingEntry) error {
	var subs []Submission
	for _, e := range batch {
		if len(e.to) > 0 {
			subs = append(subs, Submission{ID: e.rec.ID, Group: e.rec.queue(), Payload: e.rec.Payload, Recipients: e.to})
		}
	}
	var outcomes [][]Outcome
	if len(subs) > 0 {
		var err error
		if outcomes, err = s.Submit(ctx, subs); err != nil {
			return err
		}
	}
	for _, e := range batch {
		var got []Outcome
		if len(e.to) > 0 {
			got, outcomes = outcomes[0], outcomes[1:]
		}
		more, err := a.settle(f, e, got)
		if err != nil || more {
			return err // more: a part of its recipients did not fit; those after it wait
		}
		f.after = e.key
	}
	return nil
}

// settle takes those recipients off an entry that the server has stored it for; more says that others can still be sent to. When none is
// left the entry goes. A commit is merged once everybody was sent to, in the same transaction: it is out, even if a full queue lacks it.
func (a *Account) settle(f *flush, e pendingEntry, outcomes []Outcome) (more bool, err error) {
	stored := make(map[certs.Identity]bool)
	for i, o := range outcomes {
		switch o.Status {
		case schemas.EnqueueStatus_stored, schemas.EnqueueStatus_duplicate:
			stored[e.to[i]] = true
		case schemas.EnqueueStatus_quotaExceeded:
			f.full[e.to[i]] = true
		default:
			return false, protocolErrorf("enqueueMany: status %d", o.Status)
		}
	}
	rec := e.rec
	rec.Recipients = slices.DeleteFunc(slices.Clone(rec.Recipients), func(id certs.Identity) bool { return stored[id] })
	more = len(f.open(&rec)) > 0
	merge := rec.Commit && !more
	rec.Commit = rec.Commit && more
	keep := func(tx *bolt.Tx) error {
		if len(rec.Recipients) == 0 {
			return tx.Bucket(bucketOutbox).Delete(e.key)
		}
		return putJSON(tx.Bucket(bucketOutbox), e.key, rec)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !merge {
		return more, a.state.update(keep)
	}
	return more, a.change(string(rec.GroupBytes), func(tx *bolt.Tx, g *mls.Group) error {
		if err := keep(tx); err != nil {
			return err
		}
		if !g.HasPending() {
			return nil // another's commit won meanwhile
		}
		return g.MergePending()
	})
}

// dropPending removes a group's unsent commit and its Welcomes: another commit won.
func dropPending(tx *bolt.Tx, group string) error {
	b := tx.Bucket(bucketOutbox)
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		var rec outboxRecord
		if _, err := getJSON(b, k, &rec); err != nil {
			return err
		}
		if string(rec.GroupBytes) == group && (rec.Commit || rec.Inbox) {
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Unsent is how many messages wait in the outbox.
func (a *Account) Unsent() (n int, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		n = tx.Bucket(bucketOutbox).Stats().KeyN
		return nil
	})
	return n, err
}
