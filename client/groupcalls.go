package client

import (
	"context"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/certs"
	"quicnprotochat/schemas"
)

// GroupCommit is a commit with all that happens if it wins its epoch; see schemas/delivery.capnp.
type GroupCommit struct {
	Group          string
	Epoch          uint64 // that it was made in
	ID             MessageID
	Message        []byte
	Welcome        []byte // for all of Added; may be empty
	Added, Removed []certs.Identity
	GroupInfo      []byte // of the next epoch; may be empty
	Replaces       bool   // the commit that led to the current epoch, which was reported
}

// CommitOutcome is what became of a commit. Seq and Epoch are as in schemas.CommitResult.
type CommitOutcome struct {
	Status     schemas.CommitStatus
	Seq, Epoch uint64
}

// GroupPost is a message for all members of a group.
type GroupPost struct {
	Group   string
	ID      MessageID
	Payload []byte
	Blobs   [][32]byte // as in Submission
}

// PostOutcome is what became of a post.
type PostOutcome struct {
	Status     schemas.EnqueueStatus
	Seq, Epoch uint64
}

// CreateGroup makes an ordered group on the server, of which the caller is the only member. Repeating it is safe.
func (s *Session) CreateGroup(ctx context.Context, group string, epoch uint64, info []byte) error {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return err
	}
	defer rpc.release()
	f, release := ds.CreateGroup(ctx, func(p schemas.DeliveryService_createGroup_Params) error {
		p.SetEpoch(epoch)
		if err := p.SetGroupId([]byte(group)); err != nil {
			return err
		}
		return p.SetGroupInfo(info)
	})
	defer release()
	if _, err := f.Struct(); err != nil {
		return rpc.Err(err)
	}
	return nil
}

// CommitGroup hands in a commit. A lost race is an outcome, not an error. Repeating it with the same id is safe.
func (s *Session) CommitGroup(ctx context.Context, c *GroupCommit) (CommitOutcome, error) {
	return s.commitGroup(ctx, c, nil)
}

// commitGroup is as submit.
func (s *Session) commitGroup(ctx context.Context, c *GroupCommit, check func(schemas.Receipt, CommitOutcome) error) (out CommitOutcome, err error) {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return out, err
	}
	defer rpc.release()
	f, release := ds.Commit(ctx, func(p schemas.DeliveryService_commit_Params) error {
		p.SetReceipts(check != nil)
		m, err := p.NewCommit()
		if err != nil {
			return err
		}
		return c.put(m)
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return out, rpc.Err(err)
	}
	r, err := res.Result()
	if err != nil {
		return out, protocolErrorf("commit: %v", err)
	}
	out = CommitOutcome{Status: r.Status(), Seq: r.Seq(), Epoch: r.Epoch()}
	if check == nil {
		return out, nil
	}
	return out, checkReceipt(r.Receipt, func(at schemas.Receipt) error { return check(at, out) })
}

func (c *GroupCommit) put(m schemas.Commit) error {
	m.SetEpoch(c.Epoch)
	m.SetReplaces(c.Replaces)
	if err := m.SetGroupId([]byte(c.Group)); err != nil {
		return err
	}
	if err := m.SetId(c.ID[:]); err != nil {
		return err
	}
	if err := m.SetMessage_(c.Message); err != nil {
		return err
	}
	if err := m.SetGroupInfo(c.GroupInfo); err != nil {
		return err
	}
	if err := putIdentities(m.NewAdded, c.Added); err != nil {
		return err
	}
	if err := putIdentities(m.NewRemoved, c.Removed); err != nil {
		return err
	}
	if len(c.Welcome) == 0 {
		return nil
	}
	list, err := m.NewWelcomes(1)
	if err != nil {
		return err
	}
	if err := putIdentities(list.At(0).NewRecipients, c.Added); err != nil {
		return err
	}
	return list.At(0).SetPayload(c.Welcome)
}

func putIdentities(make func(int32) (capnp.DataList, error), ids []certs.Identity) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := make(int32(len(ids)))
	if err != nil {
		return err
	}
	for i := range ids {
		if err := list.Set(i, ids[i][:]); err != nil {
			return err
		}
	}
	return nil
}

func putBlobs(make func(int32) (capnp.DataList, error), hashes [][32]byte) error {
	if len(hashes) == 0 {
		return nil
	}
	list, err := make(int32(len(hashes)))
	if err != nil {
		return err
	}
	for i := range hashes {
		if err := list.Set(i, hashes[i][:]); err != nil {
			return err
		}
	}
	return nil
}

// Post stores messages of groups, in order, each once for all members. What it reports as stored or duplicate is on the server's disk. Repeating a failed Post
// with the same ids is safe.
func (s *Session) Post(ctx context.Context, posts []GroupPost) ([]PostOutcome, error) {
	return s.post(ctx, posts, nil)
}

// post is as submit.
func (s *Session) post(ctx context.Context, posts []GroupPost, check func(schemas.Receipt, []PostOutcome) error) ([]PostOutcome, error) {
	if check != nil {
		return s.postForReceipt(ctx, posts, check)
	}
	wait, err := s.startPost(ctx, posts, false)
	if err != nil {
		return nil, err
	}
	return wait()
}

// StartPost is Post in two steps, as StartSubmit is Submit.
func (s *Session) StartPost(ctx context.Context, posts []GroupPost) (wait func() ([]PostOutcome, error), err error) {
	return s.startPost(ctx, posts, true)
}

func (s *Session) startPost(ctx context.Context, posts []GroupPost, relaxed bool) (func() ([]PostOutcome, error), error) {
	size := frameOverhead
	for i := range posts {
		size += messageOverhead + len(posts[i].Group) + len(posts[i].Payload) + blobOverhead*len(posts[i].Blobs)
	}
	f, err := s.startFrame(ctx, size, relaxed, func(to schemas.SubmitFrame) error { return putPosts(to.NewPosts, posts) })
	if err != nil {
		return nil, err
	}
	return func() ([]PostOutcome, error) {
		list, err := f.wait(ctx, len(posts))
		if err != nil {
			return nil, err
		}
		out := make([]PostOutcome, len(posts))
		for i := range out {
			o := list.At(i)
			out[i] = PostOutcome{Status: o.Status(), Seq: o.Seq(), Epoch: o.Epoch()}
		}
		return out, nil
	}, nil
}

// postForReceipt posts by the call that gives receipts.
func (s *Session) postForReceipt(ctx context.Context, posts []GroupPost, check func(schemas.Receipt, []PostOutcome) error) ([]PostOutcome, error) {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return nil, err
	}
	defer rpc.release()
	f, release := ds.Post(ctx, func(p schemas.DeliveryService_post_Params) error {
		p.SetReceipts(true)
		return putPosts(p.NewPosts, posts)
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, rpc.Err(err)
	}
	out, err := readPostOutcomes(res, len(posts))
	if err != nil {
		return nil, err
	}
	return out, checkReceipt(res.Receipt, func(r schemas.Receipt) error { return check(r, out) })
}

func putPosts(make func(int32) (schemas.Post_List, error), posts []GroupPost) error {
	list, err := make(int32(len(posts)))
	if err != nil {
		return err
	}
	for i := range posts {
		m := list.At(i)
		if err := m.SetGroupId([]byte(posts[i].Group)); err != nil {
			return err
		}
		if err := m.SetId(posts[i].ID[:]); err != nil {
			return err
		}
		if err := m.SetPayload(posts[i].Payload); err != nil {
			return err
		}
		if err := putBlobs(m.NewBlobs, posts[i].Blobs); err != nil {
			return err
		}
	}
	return nil
}

func readPostOutcomes(res schemas.DeliveryService_post_Results, posts int) ([]PostOutcome, error) {
	list, err := res.Results()
	if err != nil || list.Len() != posts {
		return nil, protocolErrorf("post: %d results for %d posts: %v", list.Len(), posts, err)
	}
	out := make([]PostOutcome, list.Len())
	for i := range out {
		r := list.At(i)
		out[i] = PostOutcome{Status: r.Status(), Seq: r.Seq(), Epoch: r.Epoch()}
	}
	return out, nil
}

// maxSlot is longer than a server lets anybody have a group's commit slot, and wait for it.
const maxSlot = time.Minute

// ClaimCommit waits for a group's commit slot: until it ends, only the caller's commits are accepted in the group. It ends with the next commit.
func (s *Session) ClaimCommit(ctx context.Context, group string) error {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return err
	}
	f, release := ds.ClaimCommit(ctx, func(p schemas.DeliveryService_claimCommit_Params) error { return p.SetGroupId([]byte(group)) })
	defer release()
	if _, err := f.Struct(); err != nil {
		defer rpc.release()
		return rpc.Err(err)
	}
	time.AfterFunc(maxSlot, rpc.release) // the slot ends with the stream that it was claimed on
	return nil
}
