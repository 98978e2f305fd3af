package client

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"quicnprotochat/receipt"
	"quicnprotochat/schemas"
)

// Receipt proves to anybody who has the server's key that it accepted Messages: receipt.Verify(key, &Receipt, Messages).
type Receipt struct {
	receipt.Receipt
	Messages []receipt.Leaf // those that were stored or duplicates, in order
}

// maxReceiptPath bounds what is read of a proof: there are no larger trees.
const maxReceiptPath = 64

// readReceipt reads and checks a receipt for these messages. Of a duplicate the server may say that it has this payload, or only that it knows the id: the receipt's
// Messages then say which. Without messages it is nil. Errors: ErrReceipt.
func readReceipt(at schemas.Receipt, key ed25519.PublicKey, messages []receipt.Leaf) (*Receipt, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	r, err := copyReceipt(at, len(messages))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	for i := range messages {
		m := messages[i]
		if m.Status == receipt.Known {
			known := m
			if known.Payload = (receipt.Hash{}); r.Proves(i, &known) {
				m = known
			} else {
				m.Status = receipt.Accepted
			}
		}
		r.Messages = append(r.Messages, m)
	}
	if err := receipt.Verify(key, &r.Receipt, r.Messages); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return r, nil
}

// copyReceipt reads a receipt for n messages.
func copyReceipt(at schemas.Receipt, n int) (*Receipt, error) {
	r := &Receipt{Receipt: receipt.Receipt{Head: receipt.Head{Time: at.Time(), Size: at.Size()}}}
	for _, f := range []struct {
		read func() ([]byte, error)
		to   []byte
	}{{at.Key, r.Key[:]}, {at.Root, r.Head.Root[:]}, {at.Signature, r.Signature[:]}} {
		b, err := f.read()
		if err != nil || len(b) != len(f.to) {
			return nil, fmt.Errorf("a field of %d bytes, want %d: %v", len(b), len(f.to), err)
		}
		copy(f.to, b)
	}
	list, err := at.Leaves()
	if err != nil || list.Len() != n {
		return nil, fmt.Errorf("%d leaves for %d messages: %v", list.Len(), n, err)
	}
	r.Leaves = make([]receipt.Proof, n)
	for i := range r.Leaves {
		path, err := list.At(i).Path()
		if err != nil || path.Len() > maxReceiptPath {
			return nil, fmt.Errorf("proof of %d hashes: %v", path.Len(), err)
		}
		p := receipt.Proof{Index: list.At(i).Index(), Path: make([]receipt.Hash, path.Len())}
		for j := range p.Path {
			b, err := path.At(j)
			if err != nil || len(b) != len(p.Path[j]) {
				return nil, fmt.Errorf("hash of %d bytes: %v", len(b), err)
			}
			p.Path[j] = receipt.Hash(b)
		}
		r.Leaves[i] = p
	}
	return r, nil
}

// checkReceipt passes on the receipt of an answer.
func checkReceipt(read func() (schemas.Receipt, error), check func(schemas.Receipt) error) error {
	at, err := read()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return check(at)
}

// SubmitWithReceipt is Submit, and asks for a receipt signed with key: what ServerInfo tells, best kept from the first time. The receipt is nil if nothing was stored. If it is
// wrong the error is ErrReceipt, and the outcomes are returned as well.
func (s *Session) SubmitWithReceipt(ctx context.Context, key ed25519.PublicKey, subs []Submission) (out [][]Outcome, r *Receipt, err error) {
	out, err = s.submit(ctx, subs, func(at schemas.Receipt, out [][]Outcome) (err error) {
		var leaves []receipt.Leaf
		for i := range subs {
			for j, to := range subs[i].Recipients {
				l := receipt.Leaf{Kind: receipt.Message, Recipient: to, Group: subs[i].Group}
				leaves = s.appendLeaf(leaves, l, subs[i].ID, subs[i].Payload, out[i][j].Status, out[i][j].Seq)
			}
		}
		r, err = readReceipt(at, key, leaves)
		return err
	})
	return out, r, err
}

// PostWithReceipt is Post, with a receipt as in SubmitWithReceipt.
func (s *Session) PostWithReceipt(ctx context.Context, key ed25519.PublicKey, posts []GroupPost) (out []PostOutcome, r *Receipt, err error) {
	out, err = s.post(ctx, posts, func(at schemas.Receipt, out []PostOutcome) (err error) {
		var leaves []receipt.Leaf
		for i, p := range posts {
			leaves = s.appendLeaf(leaves, receipt.Leaf{Kind: receipt.Post, Group: p.Group}, p.ID, p.Payload, out[i].Status, out[i].Seq)
		}
		r, err = readReceipt(at, key, leaves)
		return err
	})
	return out, r, err
}

// CommitGroupWithReceipt is CommitGroup, with a receipt as in SubmitWithReceipt: nil if the commit lost.
func (s *Session) CommitGroupWithReceipt(ctx context.Context, key ed25519.PublicKey, c *GroupCommit) (out CommitOutcome, r *Receipt, err error) {
	out, err = s.commitGroup(ctx, c, func(at schemas.Receipt, out CommitOutcome) (err error) {
		status := map[schemas.CommitStatus]schemas.EnqueueStatus{
			schemas.CommitStatus_accepted: schemas.EnqueueStatus_stored, schemas.CommitStatus_duplicate: schemas.EnqueueStatus_duplicate}[out.Status]
		r, err = readReceipt(at, key, s.appendLeaf(nil, receipt.Leaf{Kind: receipt.Commit, Group: c.Group}, c.ID, c.Message, status, out.Seq))
		return err
	})
	return out, r, err
}

// appendLeaf appends the leaf that a receipt must have for a message, if it was stored or is a duplicate.
func (s *Session) appendLeaf(leaves []receipt.Leaf, l receipt.Leaf, id MessageID, payload []byte, status schemas.EnqueueStatus, seq uint64) []receipt.Leaf {
	switch status {
	case schemas.EnqueueStatus_stored:
		l.Status = receipt.Accepted
	case schemas.EnqueueStatus_duplicate:
		l.Status = receipt.Known
	default:
		return leaves
	}
	l.Sender, l.ID, l.Payload, l.Seq = s.self, id, receipt.HashPayload(payload), seq
	return append(leaves, l)
}
