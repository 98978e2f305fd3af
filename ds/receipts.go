package ds

import (
	"bytes"
	"context"
	"errors"

	"quicnprotochat/quicrpc"
	"quicnprotochat/receipt"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// receipt answers a call that asked for a receipt, once all its messages are durable. room makes place for it in the answer. Without messages, or on a service that has no signer,
// the receipt stays empty. If it fails the messages are stored all the same: repeating the call is safe.
func (s *Service) receipt(ctx context.Context, leaves []receipt.Leaf, room func() (schemas.Receipt, error)) error {
	if s.receipts == nil || len(leaves) == 0 {
		return nil
	}
	r, err := s.receipts.Sign(ctx, leaves)
	switch {
	case errors.Is(err, receipt.ErrClosed), ctx.Err() != nil:
		return quicrpc.Errorf(quicrpc.CodeUnavailable, "stored, but no receipt was signed")
	case err != nil:
		s.log.Error("ds: signing a receipt", "err", err)
		return quicrpc.Errorf(quicrpc.CodeInternal, "stored, but no receipt was signed")
	}
	out, err := room()
	if err != nil {
		return err
	}
	return setReceipt(out, r)
}

func setReceipt(out schemas.Receipt, r *receipt.Receipt) error {
	out.SetTime(r.Head.Time)
	out.SetSize(r.Head.Size)
	if err := errors.Join(out.SetKey(r.Key[:]), out.SetRoot(r.Head.Root[:]), out.SetSignature(r.Signature[:])); err != nil {
		return err
	}
	list, err := out.NewLeaves(int32(len(r.Leaves)))
	if err != nil {
		return err
	}
	for i, proof := range r.Leaves {
		list.At(i).SetIndex(proof.Index)
		path, err := list.At(i).NewPath(int32(len(proof.Path)))
		if err != nil {
			return err
		}
		for j := range proof.Path {
			if err := path.Set(j, proof.Path[j][:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// messageLeaves are the leaves of messages that are stored. Of a duplicate the service says no more than that its id is known: whether the first one, with this payload, is still in the
// queue would tell its sender what the recipient has acknowledged.
func (c *server) messageLeaves(messages []store.Message, results []store.Result) (leaves []receipt.Leaf) {
	var hash receipt.Hash
	var hashed *byte // the payload that hash is of: the recipients of a submission share it
	for i, r := range results {
		m := &messages[i]
		l := receipt.Leaf{Kind: receipt.Message, Sender: c.owner, Recipient: m.Queue.Owner, Group: m.Queue.Group, ID: m.ID, Seq: r.Seq}
		switch r.Status {
		case store.Stored:
			if hashed != &m.Payload[0] {
				hash, hashed = receipt.HashPayload(m.Payload), &m.Payload[0]
			}
			l.Status, l.Payload = receipt.Accepted, hash
		case store.Duplicate:
			l.Status = receipt.Known
		default:
			continue
		}
		leaves = append(leaves, l)
	}
	return leaves
}

// postLeaves are the leaves of posts that are stored.
func (c *server) postLeaves(ctx context.Context, posts []store.Post, results []store.Result) (leaves []receipt.Leaf) {
	left := maxRoundBytes
	for i, r := range results {
		if p := &posts[i]; r.Status == store.Stored || r.Status == store.Duplicate {
			leaves = append(leaves, c.groupLeaf(ctx, receipt.Leaf{Kind: receipt.Post, Group: p.Group, ID: p.ID, Seq: r.Seq}, p.Payload, r.Status, &left))
		}
	}
	return leaves
}

// commitLeaves are the leaf of a commit, if it is accepted.
func (c *server) commitLeaves(ctx context.Context, m *store.Commit, r store.Result) []receipt.Leaf {
	if r.Status != store.Stored && r.Status != store.Duplicate {
		return nil
	}
	left := maxRoundBytes
	return []receipt.Leaf{c.groupLeaf(ctx, receipt.Leaf{Kind: receipt.Commit, Group: m.Group, ID: m.ID, Seq: r.Seq}, m.Payload, r.Status, &left)}
}

// groupLeaf finishes the leaf of a message in a group's order. A duplicate is compared with the first, as far as the caller may still read that, and left bytes go.
func (c *server) groupLeaf(ctx context.Context, l receipt.Leaf, payload []byte, status store.Status, left *int) receipt.Leaf {
	l.Sender, l.Status = c.owner, receipt.Accepted
	if status == store.Duplicate && (*left <= 0 || !c.same(ctx, &l, payload, left)) {
		l.Status = receipt.Known
		return l
	}
	l.Payload = receipt.HashPayload(payload)
	return l
}

// same says whether the message at l's place in the order has this payload.
func (c *server) same(ctx context.Context, l *receipt.Leaf, payload []byte, left *int) bool {
	page, err := c.s.store.Read(ctx, store.QueueID{Owner: c.owner, Group: l.Group, Shared: true}, l.Seq-1, 1, 1)
	if err != nil {
		c.s.log.Warn("ds: reading what a receipt is for", "err", err)
		return false
	}
	if len(page.Messages) == 0 {
		return false
	}
	first := &page.Messages[0]
	*left -= len(first.Payload)
	return first.Seq == l.Seq && first.ID == l.ID && bytes.Equal(first.Payload, payload)
}
