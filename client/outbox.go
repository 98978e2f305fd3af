package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

const (
	// maxFlush bounds what goes into one call: messages, and bytes of payload.
	maxFlush      = 64
	maxFlushBytes = 512 << 10
)

// outboxKind says what an entry of the outbox is.
type outboxKind string

const (
	outboxCreate outboxKind = "create" // a group
	outboxPost   outboxKind = "post"   // a message
	outboxCommit outboxKind = "commit" // with all that happens if it wins
)

// outboxRecord is something that was decided upon, and perhaps not yet accepted by the server. Its id stays the same however often it is sent.
type outboxRecord struct {
	Kind    outboxKind       `json:"kind"`
	ID      MessageID        `json:"id"`
	Group   []byte           `json:"group"`
	Epoch   uint64           `json:"epoch,omitempty"`   // create: of the group; commit: that it was made in
	Payload []byte           `json:"payload,omitempty"` // MLSMessage
	Welcome []byte           `json:"welcome,omitempty"`
	Added   []certs.Identity `json:"added,omitempty"`
	Removed []certs.Identity `json:"removed,omitempty"`
	Info    []byte           `json:"info,omitempty"` // GroupInfo of the epoch that begins
	Mends   bool             `json:"mends,omitempty"`
}

// putOutbox appends to the outbox, under a fresh id by which our own message is known when the server delivers it to us as to all members. What the server would refuse
// for its size does not get there (ErrTooLarge): it would stand in the way of all that comes after it, for ever.
func putOutbox(tx *bolt.Tx, r outboxRecord) error {
	for _, part := range [][]byte{r.Payload, r.Welcome} {
		if len(part) > maxPayload {
			return fmt.Errorf("%w: %d bytes after encryption, at most %d", ErrTooLarge, len(part), maxPayload)
		}
	}
	if len(r.Payload)+len(r.Welcome)+len(r.Info) > maxPayload {
		r.Info = nil // joining by an external commit has to wait for the next epoch
	}
	if len(r.Payload)+len(r.Welcome) > maxPayload {
		return fmt.Errorf("%w: commit and Welcome have %d bytes, at most %d", ErrTooLarge, len(r.Payload)+len(r.Welcome), maxPayload)
	}
	if _, err := rand.Read(r.ID[:]); err != nil {
		return err
	}
	key, err := appendJSON(tx.Bucket(bucketOutbox), r)
	if err != nil || r.Kind == outboxCreate {
		return err
	}
	return tx.Bucket(bucketSent).Put(r.ID[:], key)
}

// pendingEntry is an outbox entry and its number.
type pendingEntry struct {
	key []byte
	rec outboxRecord
}

// groupServer is what Flush needs of a Session.
type groupServer interface {
	CreateGroup(ctx context.Context, group string, epoch uint64, info []byte) error
	CommitGroup(ctx context.Context, c *GroupCommit) (CommitOutcome, error)
	Post(ctx context.Context, posts []GroupPost) ([]PostOutcome, error)
}

// Flush sends what stands in the outbox, oldest first, and returns when the server has all of it on disk, or at the first failure.
// Calling it again goes on where it stopped. A group whose order is full keeps no other waiting: what is for it stays, in its order, and Flush ends with
// ErrQuota. A commit that lost the race for its epoch is dropped (ErrRace).
func (a *Account) Flush(ctx context.Context, s *Session) error {
	if err := a.atHome(s); err != nil {
		return err
	}
	return a.flush(ctx, s)
}

func (a *Account) flush(ctx context.Context, s groupServer) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	f := flush{stuck: make(map[string]error)}
	for {
		batch, err := a.nextBatch(&f)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			return f.err()
		}
		if err := a.flushBatch(ctx, s, &f, batch); err != nil {
			return err
		}
		f.after = batch[len(batch)-1].key
	}
}

// flush is the state of one Flush.
type flush struct {
	after []byte           // entries up to this key are settled, as far as they can be
	stuck map[string]error // groups that take nothing more for now
	lost  []error          // what did not come about
}

func (f *flush) err() error {
	all := f.lost
	for _, err := range f.stuck {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// nextBatch reads the next entries of the outbox: some messages, or one of something else.
func (a *Account) nextBatch(f *flush) (batch []pendingEntry, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		b, bytes := tx.Bucket(bucketOutbox), 0
		c := b.Cursor()
		for k, _ := c.Seek(append(f.after[:len(f.after):len(f.after)], 0)); k != nil && len(batch) < maxFlush; k, _ = c.Next() {
			e := pendingEntry{key: append([]byte(nil), k...)}
			if _, err := getJSON(b, k, &e.rec); err != nil {
				return err
			}
			if f.stuck[string(e.rec.Group)] != nil {
				continue
			}
			bytes += len(e.rec.Payload)
			if len(batch) > 0 && (bytes > maxFlushBytes || e.rec.Kind != outboxPost) {
				return nil
			}
			if batch = append(batch, e); e.rec.Kind != outboxPost {
				return nil
			}
		}
		return nil
	})
	return batch, err
}

// flushBatch sends entries, and settles each by what the server says.
func (a *Account) flushBatch(ctx context.Context, s groupServer, f *flush, batch []pendingEntry) error {
	e := &batch[0]
	group := string(e.rec.Group)
	switch e.rec.Kind {
	case outboxCreate:
		err := s.CreateGroup(ctx, group, e.rec.Epoch, e.rec.Info)
		if errors.Is(err, quicrpc.ErrQuotaExceeded) {
			f.stuck[group] = fmt.Errorf("%w: this account is in too many groups", ErrQuota)
			return nil
		}
		if err != nil {
			return err
		}
		return a.state.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketOutbox).Delete(e.key) })
	case outboxCommit:
		out, err := s.CommitGroup(ctx, &GroupCommit{
			Group: group, Epoch: e.rec.Epoch, ID: e.rec.ID, Message: e.rec.Payload, Welcome: e.rec.Welcome,
			Added: e.rec.Added, Removed: e.rec.Removed, GroupInfo: e.rec.Info, Replaces: e.rec.Mends,
		})
		return a.settleCommit(f, e, out, err)
	default:
		posts := make([]GroupPost, len(batch))
		for i := range batch {
			r := &batch[i].rec
			posts[i] = GroupPost{Group: string(r.Group), ID: r.ID, Payload: r.Payload}
		}
		out, err := s.Post(ctx, posts)
		if err != nil {
			return err
		}
		return a.settlePosts(f, batch, out)
	}
}

// settlePosts takes from the outbox what the server has stored, and what it never will.
func (a *Account) settlePosts(f *flush, batch []pendingEntry, out []PostOutcome) error {
	return a.state.update(func(tx *bolt.Tx) error {
		for i := range batch {
			r := &batch[i].rec
			switch out[i].Status {
			case schemas.EnqueueStatus_stored, schemas.EnqueueStatus_duplicate:
			case schemas.EnqueueStatus_quotaExceeded:
				f.stuck[string(r.Group)] = fmt.Errorf("%w: group %x", ErrQuota, r.Group)
				continue
			case schemas.EnqueueStatus_notMember, schemas.EnqueueStatus_wrongEpoch:
				f.lost = append(f.lost, fmt.Errorf("%w: a message was not sent", ErrRemoved))
				if err := tx.Bucket(bucketSent).Delete(r.ID[:]); err != nil {
					return err
				}
			default:
				return protocolErrorf("post: status %d", out[i].Status)
			}
			if err := tx.Bucket(bucketOutbox).Delete(batch[i].key); err != nil {
				return err
			}
		}
		return nil
	})
}

// errors of a commit that will never be accepted, whatever their cause.
var commitRefused = []error{quicrpc.ErrNotFound, quicrpc.ErrInvalidArgument, quicrpc.ErrTooLarge, quicrpc.ErrQuotaExceeded, quicrpc.ErrNotAuthorized}

// settleCommit merges a commit that won, and drops one that did not (requirement 4).
func (a *Account) settleCommit(f *flush, e *pendingEntry, out CommitOutcome, failed error) error {
	var lost error
	switch {
	case failed != nil:
		for _, never := range commitRefused {
			if errors.Is(failed, never) {
				lost = fmt.Errorf("the commit was refused: %w", failed)
			}
		}
		if lost == nil {
			return failed
		}
	case out.Status == schemas.CommitStatus_accepted || out.Status == schemas.CommitStatus_duplicate:
	case out.Status == schemas.CommitStatus_wrongEpoch || out.Status == schemas.CommitStatus_slotTaken:
		lost = ErrRace
	case out.Status == schemas.CommitStatus_quotaExceeded:
		lost = ErrQuota
	default:
		return protocolErrorf("commit: status %d", out.Status)
	}
	if lost != nil {
		f.lost = append(f.lost, lost)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.change(string(e.rec.Group), func(tx *bolt.Tx, g *mls.Group) error {
		if tx.Bucket(bucketOutbox).Get(e.key) == nil {
			return nil // it was settled when it, or another's commit, was delivered
		}
		if lost != nil {
			if g.HasPending() {
				g.DiscardPending()
			}
			return dropPending(tx, string(e.rec.Group))
		}
		if err := tx.Bucket(bucketOutbox).Delete(e.key); err != nil {
			return err
		}
		return merge(tx, g)
	})
}

// dropPending removes a group's unsent commit: another's won, or it was refused.
func dropPending(tx *bolt.Tx, group string) error {
	b := tx.Bucket(bucketOutbox)
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		var rec outboxRecord
		if _, err := getJSON(b, k, &rec); err != nil {
			return err
		}
		if string(rec.Group) == group && rec.Kind == outboxCommit {
			if err := tx.Bucket(bucketSent).Delete(rec.ID[:]); err != nil {
				return err
			}
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	return nil
}

// own says whether a delivered message is one of ours, and settles it in the outbox if the server's answer was lost: a commit of ours is merged in
// its place of the order.
func own(tx *bolt.Tx, g *mls.Group, id MessageID) (bool, error) {
	sent := tx.Bucket(bucketSent)
	key := sent.Get(id[:])
	if key == nil {
		return false, nil
	}
	outbox := tx.Bucket(bucketOutbox)
	var rec outboxRecord
	waits, err := getJSON(outbox, key, &rec)
	waits = waits && rec.ID == id
	if err == nil && waits {
		err = outbox.Delete(key)
	}
	if err == nil {
		err = sent.Delete(id[:])
	}
	if err == nil && waits && rec.Kind == outboxCommit {
		err = merge(tx, g)
	}
	return true, err
}

// Unsent is how many entries wait in the outbox.
func (a *Account) Unsent() (n int, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		n = tx.Bucket(bucketOutbox).Stats().KeyN
		return nil
	})
	return n, err
}
