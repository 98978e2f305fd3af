package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

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

// putOutbox appends a message to the outbox.
func putOutbox(tx *bolt.Tx, r outboxRecord) error {
	if _, err := rand.Read(r.ID[:]); err != nil {
		return err
	}
	return appendJSON(tx.Bucket(bucketOutbox), r)
}

// pendingEntry is an outbox entry and its number.
type pendingEntry struct {
	key []byte
	rec outboxRecord
}

// Flush sends what stands in the outbox, oldest first, and returns when the server has all of it on disk, or at the first failure.
// Calling it again goes on where it stopped.
func (a *Account) Flush(ctx context.Context, s *Session) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	for {
		batch, err := a.nextBatch()
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := a.flushBatch(ctx, s, batch); err != nil {
			return err
		}
	}
}

// nextBatch reads the head of the outbox. A commit ends a batch: it is merged before anything later goes.
func (a *Account) nextBatch() (batch []pendingEntry, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		b, bytes, recipients, stored := tx.Bucket(bucketOutbox), 0, 0, 0
		c := b.Cursor()
		for k, _ := c.First(); k != nil && len(batch) < maxFlush; k, _ = c.Next() {
			e := pendingEntry{key: append([]byte(nil), k...)}
			if _, err := getJSON(b, k, &e.rec); err != nil {
				return err
			}
			bytes += len(e.rec.Payload)
			recipients += len(e.rec.Recipients)
			stored += len(e.rec.Recipients) * len(e.rec.Payload)
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
func (a *Account) flushBatch(ctx context.Context, s *Session, batch []pendingEntry) error {
	var subs []Submission
	for _, e := range batch {
		if len(e.rec.Recipients) > 0 {
			n := min(len(e.rec.Recipients), maxRecipients, maxStored/max(1, len(e.rec.Payload)))
			subs = append(subs, Submission{ID: e.rec.ID, Group: e.rec.queue(), Payload: e.rec.Payload, Recipients: e.rec.Recipients[:n]})
		}
	}
	var outcomes [][]Outcome
	if len(subs) > 0 {
		var err error
		if outcomes, err = s.Submit(ctx, subs); err != nil {
			return err
		}
	}
	var full error
	for _, e := range batch {
		var got []Outcome
		if len(e.rec.Recipients) > 0 {
			got, outcomes = outcomes[0], outcomes[1:]
		}
		if err := a.settle(e, got); err != nil {
			if !errors.Is(err, ErrQuota) {
				return err
			}
			full = err
		}
	}
	return full
}

// settle takes those recipients off an entry that the server has stored it for; when none is left the entry goes, and a commit
// among them is merged, all in one transaction.
func (a *Account) settle(e pendingEntry, outcomes []Outcome) error {
	var left []certs.Identity
	var full []certs.Identity
	for i, r := range e.rec.Recipients {
		switch {
		case i >= len(outcomes):
			left = append(left, r)
		case outcomes[i].Status == schemas.EnqueueStatus_stored || outcomes[i].Status == schemas.EnqueueStatus_duplicate:
		case outcomes[i].Status == schemas.EnqueueStatus_quotaExceeded:
			left, full = append(left, r), append(full, r)
		default:
			return protocolErrorf("enqueueMany: status %d", outcomes[i].Status)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	group := string(e.rec.GroupBytes)
	if len(left) == 0 && e.rec.Commit {
		return a.change(group, func(tx *bolt.Tx, g *mls.Group) error {
			if err := tx.Bucket(bucketOutbox).Delete(e.key); err != nil {
				return err
			}
			if !g.HasPending() {
				return nil // another's commit won meanwhile
			}
			return g.MergePending()
		})
	}
	err := a.state.update(func(tx *bolt.Tx) error {
		if len(left) == 0 {
			return tx.Bucket(bucketOutbox).Delete(e.key)
		}
		rec := e.rec
		rec.Recipients = left
		return putJSON(tx.Bucket(bucketOutbox), e.key, rec)
	})
	if err == nil && len(full) > 0 {
		return fmt.Errorf("%w: %s", ErrQuota, full[0])
	}
	return err
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
