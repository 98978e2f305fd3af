package ds

import (
	"context"
	"errors"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// expiry is the time that a caller gives in milliseconds, 0 for none.
func expiry(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// blobIDs reads the hashes of the blobs that a message holds on to.
func blobIDs(list capnp.DataList, err error) ([]store.BlobID, error) {
	if err != nil {
		return nil, malformed(err)
	}
	if list.Len() == 0 {
		return nil, nil
	}
	if list.Len() > store.MaxBlobs {
		return nil, invalid("%d blobs, at most %d allowed", list.Len(), store.MaxBlobs)
	}
	ids := make([]store.BlobID, list.Len())
	for i := range ids {
		if ids[i], err = blobID(list.At(i)); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// Post stores messages of groups, each once for all members.
func (c *server) Post(ctx context.Context, call schemas.DeliveryService_post) error {
	if err := c.change(ctx, post); err != nil {
		return err
	}
	list, err := call.Args().Posts()
	if err != nil {
		return malformed(err)
	}
	posts, err := c.s.readPosts(c.owner, list)
	if err != nil {
		return err
	}
	job := c.posts.add(posts)
	call.Go()
	results, err := c.posts.wait(ctx, job)
	if err != nil {
		return c.s.groupFailure(err)
	}
	answer, err := call.AllocResults()
	if err != nil {
		return err
	}
	if call.Args().Receipts() {
		if err := c.s.receipt(ctx, c.postLeaves(ctx, posts, results), answer.NewReceipt); err != nil {
			return err
		}
	}
	out, err := answer.NewResults(int32(len(results)))
	if err != nil {
		return err
	}
	for i, r := range results {
		if err := c.s.setPostResult(ctx, out.At(i), posts[i].Group, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) setPostResult(ctx context.Context, out schemas.PostResult, group string, r store.Result) error {
	out.SetStatus(statuses[r.Status])
	out.SetSeq(r.Seq)
	epoch, err := s.epochOf(ctx, group, r)
	out.SetEpoch(epoch)
	return err
}

// epochOf is the group's epoch if r says that a post was of another one, else 0; also if there is no group any more.
func (s *Service) epochOf(ctx context.Context, group string, r store.Result) (uint64, error) {
	if r.Status != store.WrongEpoch {
		return 0, nil
	}
	g, err := s.store.Group(ctx, group)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, s.groupFailure(err)
	}
	return g.Epoch, nil
}

func (s *Service) readPosts(from store.Identity, list schemas.Post_List) ([]store.Post, error) {
	if n := list.Len(); n < 1 || n > s.limits.MaxBatch {
		return nil, invalid("%d posts, want 1 to %d", n, s.limits.MaxBatch)
	}
	posts := make([]store.Post, list.Len())
	stored := 0
	for i := range posts {
		posts[i].Sender = from
		if err := s.readPost(&posts[i], list.At(i)); err != nil {
			return nil, err
		}
		if stored += len(posts[i].Payload); stored > s.limits.MaxStoredBytes {
			return nil, quicrpc.Errorf(quicrpc.CodeTooLarge, "more than %d bytes to store", s.limits.MaxStoredBytes)
		}
	}
	return posts, nil
}

// readPost checks what a call says of a message against what the message itself says in the clear.
func (s *Service) readPost(p *store.Post, at schemas.Post) (err error) {
	if p.Group, err = groupID(at.GroupId()); err != nil {
		return err
	}
	if p.ID, err = messageID(at.Id()); err != nil {
		return err
	}
	if p.Payload, err = at.Payload(); err != nil {
		return malformed(err)
	}
	if err := s.checkPayload(p.Payload); err != nil {
		return err
	}
	h, err := readHeader(p.Payload)
	switch {
	case err != nil:
		return malformed(err)
	case string(h.group) != p.Group:
		return invalid("the message is not of this group")
	case h.content == proposal && !h.newcomer:
		p.Current = true
	case h.content != application || h.format != privateMessage: // RFC 9420 section 6: application data is always encrypted
		return invalid("the message is neither application data nor a member's proposal")
	}
	p.Epoch, p.Expires = h.epoch, expiry(at.Expires())
	p.Blobs, err = blobIDs(at.Blobs())
	return err
}
