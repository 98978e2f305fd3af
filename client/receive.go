package client

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
)

// Kind says what a received Message is.
type Kind string

const (
	KindText    Kind = "text"    // somebody wrote Text
	KindEvent   Kind = "event"   // the group changed: Text says how, in English
	KindProblem Kind = "problem" // something could not be read: Text says why
)

// Message is something received and not yet read.
type Message struct {
	Group  []byte         `json:"group"`
	Name   string         `json:"name"` // the group's local name
	Kind   Kind           `json:"kind"`
	Sender certs.Identity `json:"sender"` // zero if unknown
	Text   []byte         `json:"text"`
	At     time.Time      `json:"at"` // when the server accepted it
}

const (
	// maxInvites bounds the Welcomes kept for a decision; the oldest goes first.
	maxInvites = 256
	// maxHeld bounds the messages kept, over all groups, that are ahead of their epoch (requirement 21).
	maxHeld = 1024
)

// heldRecord is a message from an epoch that has not begun here: it is tried again after the next commit.
type heldRecord struct {
	Group []byte    `json:"group"`
	Seq   uint64    `json:"seq"`
	Bytes []byte    `json:"bytes"`
	At    time.Time `json:"at"`
}

// take stores a batch of one queue: everything in it, and the queue's cursor, in one transaction. After it, the batch may be acknowledged.
// ErrLater: the group is not known (yet).
func (a *Account) take(queue Queue, batch []Envelope) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if queue == (Queue{}) {
		return a.state.update(func(tx *bolt.Tx) error {
			return eachNew(tx, queue, batch, func(e Envelope) error { return keepInvite(tx, e) })
		})
	}
	if known, err := a.knows(queue); err != nil {
		return err
	} else if !known {
		return ErrLater
	}
	return a.change(queue.Group, func(tx *bolt.Tx, g *mls.Group) error {
		return eachNew(tx, queue, batch, func(e Envelope) error {
			if ours, err := own(tx, g, e.ID); ours || err != nil {
				return err
			}
			return a.process(tx, g, e.Seq, e.Payload, e.AcceptedAt)
		})
	})
}

// knows says whether a queue is one that take can take from: the inbox, or that of a group of the account's.
func (a *Account) knows(queue Queue) (known bool, err error) {
	if !queue.Shared {
		return queue.Group == "", nil // nothing of ours is sent to another queue
	}
	err = a.state.view(func(tx *bolt.Tx) error {
		known = tx.Bucket(bucketGroups).Get([]byte(queue.Group)) != nil
		return nil
	})
	return known, err
}

// eachNew calls f for the envelopes above the queue's cursor, and moves the cursor.
func eachNew(tx *bolt.Tx, queue Queue, batch []Envelope, f func(Envelope) error) error {
	cursor := getCursor(tx, queue)
	for _, e := range batch {
		if e.Seq <= cursor {
			continue // redelivered: its acknowledgement was lost
		}
		if err := f(e); err != nil {
			return err
		}
		cursor = e.Seq
	}
	return putCursor(tx, queue, cursor)
}

// keepInvite keeps a Welcome for Join. What is no Welcome for a KeyPackage of ours is dropped: nobody could ever use it.
func keepInvite(tx *bolt.Tx, e Envelope) error {
	refs, err := mls.WelcomeRefs(e.Payload)
	if err != nil {
		return nil
	}
	ours := false
	for _, ref := range refs {
		ours = ours || tx.Bucket(bucketKeyPackages).Get(ref) != nil
	}
	if !ours {
		return nil
	}
	b := tx.Bucket(bucketInvites)
	if countKeys(b) >= maxInvites {
		if k, _ := b.Cursor().First(); k != nil {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
	}
	n, err := b.NextSequence()
	if err != nil {
		return err
	}
	return b.Put(number(n), e.Payload)
}

// process feeds one message to a group and records what came of it. A message that cannot be read is recorded as such and does not stop
// the queue; only the state's own failure is an error.
func (a *Account) process(tx *bolt.Tx, g *mls.Group, seq uint64, payload []byte, at time.Time) error {
	res, err := g.Process(payload)
	if errors.Is(err, mls.ErrFutureEpoch) {
		return hold(tx, g, seq, payload, at)
	}
	m := Message{Group: g.GroupID(), At: at.UTC()}
	if err != nil {
		text, err := unfit(tx, g, seq, payload, err)
		if err != nil {
			return err
		}
		m.Kind, m.Text = KindProblem, []byte(text)
		return putUnread(tx, m)
	}
	m.Sender, _ = certs.IdentityFromBytes(res.SenderCredential.Identity)
	switch res.Kind {
	case mls.KindApplication:
		m.Kind, m.Text = KindText, res.Plaintext
		return putUnread(tx, m)
	case mls.KindCommit:
		return a.committed(tx, g, res, m)
	default:
		return nil // a proposal: it shows when it is committed
	}
}

// committed records what a commit of somebody else changed, drops our own that lost to it, and tries what was held for the new epoch.
func (a *Account) committed(tx *bolt.Tx, g *mls.Group, res *mls.Processed, m Message) error {
	if err := dropPending(tx, string(g.GroupID())); err != nil {
		return err
	}
	if err := sound(tx, g); err != nil {
		return err
	}
	m.Kind = KindEvent
	for _, text := range changes(res, m.Sender) {
		m.Text = []byte(text)
		if err := putUnread(tx, m); err != nil {
			return err
		}
	}
	if res.SelfRemoved {
		b := tx.Bucket(bucketGroups)
		var rec groupRecord
		if _, err := getJSON(b, g.GroupID(), &rec); err != nil {
			return err
		}
		rec.Removed = true
		return putJSON(b, g.GroupID(), rec)
	}
	return a.retryHeld(tx, g)
}

// changes tells in English what a commit did.
func changes(res *mls.Processed, by certs.Identity) (out []string) {
	name := func(m mls.Member) string {
		id, err := certs.IdentityFromBytes(m.Credential.Identity)
		if err != nil {
			return "somebody"
		}
		return id.String()
	}
	for _, m := range res.Added {
		out = append(out, fmt.Sprintf("%s added %s", by, name(m)))
	}
	for _, m := range res.Removed {
		out = append(out, fmt.Sprintf("%s removed %s", by, name(m)))
	}
	if len(out) == 0 {
		out = append(out, fmt.Sprintf("%s renewed keys", by))
	}
	return out
}

func hold(tx *bolt.Tx, g *mls.Group, seq uint64, payload []byte, at time.Time) error {
	b := tx.Bucket(bucketHeld)
	if countKeys(b) >= maxHeld {
		return putUnread(tx, Message{Group: g.GroupID(), Kind: KindProblem, At: at.UTC(),
			Text: []byte("a message is ahead of its epoch, and too many are waiting already")})
	}
	_, err := appendJSON(b, heldRecord{Group: g.GroupID(), Seq: seq, Bytes: payload, At: at})
	return err
}

// retryHeld processes what was held for g, each at most once for a commit.
func (a *Account) retryHeld(tx *bolt.Tx, g *mls.Group) error {
	var ready []heldRecord
	c := tx.Bucket(bucketHeld).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		var rec heldRecord
		if _, err := getJSON(tx.Bucket(bucketHeld), k, &rec); err != nil {
			return err
		}
		if bytes.Equal(rec.Group, g.GroupID()) {
			ready = append(ready, rec)
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	for _, rec := range ready {
		if err := a.process(tx, g, rec.Seq, rec.Bytes, rec.At); err != nil {
			return err
		}
	}
	return nil
}
