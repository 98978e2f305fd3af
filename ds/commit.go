package ds

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// identities reads a list of at most store.MaxChange keys, none twice.
func identities(list capnp.DataList, err error) ([]store.Identity, error) {
	if err != nil {
		return nil, malformed(err)
	}
	if list.Len() > store.MaxChange {
		return nil, invalid("%d identities, at most %d allowed", list.Len(), store.MaxChange)
	}
	ids := make([]store.Identity, list.Len())
	seen := make(map[store.Identity]bool, len(ids))
	for i := range ids {
		id, err := identity(list.At(i))
		if err != nil {
			return nil, err
		}
		if seen[id] {
			return nil, invalid("an identity is named twice")
		}
		ids[i], seen[id] = id, true
	}
	return ids, nil
}

// messageID reads what a sender knows a message by.
func messageID(id []byte, err error) (store.MessageID, error) {
	if err != nil {
		return store.MessageID{}, malformed(err)
	}
	if len(id) != len(store.MessageID{}) {
		return store.MessageID{}, invalid("id of %d bytes, want 16", len(id))
	}
	return store.MessageID(id), nil
}

// Commit puts a commit into a group's order, if it is made in the group's epoch (RFC 9420 section 14; requirements 1 and 3).
func (c *server) Commit(ctx context.Context, call schemas.DeliveryService_commit) error {
	if err := c.change(ctx, commitMethod); err != nil {
		return err
	}
	at, err := call.Args().Commit()
	if err != nil {
		return malformed(err)
	}
	m, external, err := c.readCommit(at)
	if err != nil {
		return err
	}
	said, err := c.mayCommit(ctx, m, external, at.Replaces())
	if err != nil {
		return err
	}
	who := racer{m.Group, c.owner}
	if until := c.s.slots.taken(who); !until.IsZero() {
		return c.slotTaken(ctx, call, m.Group, until)
	}
	c.posts.settle(ctx) // proposals come before the commit that names them (requirement 2)
	result, err := c.s.store.Commit(ctx, *m)
	var lost *store.EpochError
	if !errors.As(err, &lost) && said != nil && errors.Is(err, store.ErrNotMember) {
		lost = &store.EpochError{Current: said.last.Epoch} // it was one before the commit, which is not the one that m replaces
	}
	if lost != nil && said != nil && lost.Current == m.Epoch+1 && !said.suffice() {
		return errNoReplacing // right but for the reports
	}
	if err != nil && lost == nil {
		return c.s.groupFailure(err)
	}
	if won := lost == nil && result.Status == store.Stored; won || lost != nil {
		c.s.slots.race(who, won)
		if won {
			c.s.endInvitations(ctx, m)
		}
		if won && at.Replaces() {
			c.replaced(ctx, m, result.Seq, said)
		}
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	out, err := results.NewResult()
	if err != nil {
		return err
	}
	if call.Args().Receipts() && lost == nil {
		if err := c.s.receipt(ctx, c.commitLeaves(ctx, m, result), out.NewReceipt); err != nil {
			return err
		}
	}
	return c.s.setCommitResult(ctx, out, m, result, lost)
}

// slotTaken answers a commit that comes while another member is let first.
func (c *server) slotTaken(ctx context.Context, call schemas.DeliveryService_commit, group string, until time.Time) error {
	g, err := c.s.store.Group(ctx, group)
	if err != nil {
		return c.s.groupFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	out, err := results.NewResult()
	if err != nil {
		return err
	}
	out.SetStatus(schemas.CommitStatus_slotTaken)
	out.SetSeq(g.Last)
	out.SetEpoch(g.Epoch)
	out.SetDeadline(until.UnixMilli())
	return nil
}

var commitStatuses = map[store.Status]schemas.CommitStatus{
	store.Stored: schemas.CommitStatus_accepted, store.Duplicate: schemas.CommitStatus_duplicate, store.QuotaExceeded: schemas.CommitStatus_quotaExceeded,
}

func (s *Service) setCommitResult(ctx context.Context, out schemas.CommitResult, m *store.Commit, r store.Result, lost *store.EpochError) error {
	if lost == nil && r.Status == store.Stored {
		out.SetStatus(schemas.CommitStatus_accepted)
		out.SetSeq(r.Seq)
		out.SetEpoch(m.Epoch + 1)
		return nil
	}
	g, err := s.store.Group(ctx, m.Group)
	if err != nil {
		return s.groupFailure(err)
	}
	out.SetStatus(commitStatuses[r.Status])
	out.SetSeq(r.Seq)
	out.SetEpoch(g.Epoch)
	if lost != nil { // as it was when that was decided; others may have won since
		out.SetStatus(schemas.CommitStatus_wrongEpoch)
		out.SetSeq(g.Last)
		out.SetEpoch(lost.Current)
	}
	return nil
}

// readCommit checks all that a call says against what the commit itself says in the clear. external says that it is a newcomer's (RFC 9420 section 12.4.3.2).
func (c *server) readCommit(at schemas.Commit) (m *store.Commit, external bool, err error) {
	m = &store.Commit{Sender: c.owner, Epoch: at.Epoch()}
	if m.Group, err = groupID(at.GroupId()); err != nil {
		return nil, false, err
	}
	if m.ID, err = messageID(at.Id()); err != nil {
		return nil, false, err
	}
	if m.Payload, err = at.Message_(); err != nil {
		return nil, false, malformed(err)
	}
	if err := c.s.checkPayload(m.Payload); err != nil {
		return nil, false, err
	}
	h, err := readHeader(m.Payload)
	switch {
	case err != nil:
		return nil, false, malformed(err)
	case h.content != commit || string(h.group) != m.Group || h.epoch != m.Epoch:
		return nil, false, invalid("the message is not a commit of this group and epoch %d", m.Epoch)
	case m.Epoch == 1<<64-1:
		return nil, false, invalid("there is no epoch after %d", m.Epoch)
	}
	if m.Info, err = at.GroupInfo(); err != nil {
		return nil, false, malformed(err)
	}
	if err := checkInfo(m.Info, m.Group, m.Epoch+1); err != nil {
		return nil, false, err
	}
	if m.Added, err = identities(at.Added()); err != nil {
		return nil, false, err
	}
	if m.Removed, err = identities(at.Removed()); err != nil {
		return nil, false, err
	}
	if len(m.Added)+len(m.Removed) > store.MaxChange {
		return nil, false, invalid("%d added and removed, at most %d allowed", len(m.Added)+len(m.Removed), store.MaxChange)
	}
	return m, h.newcomer, c.readWelcomes(m, at)
}

// readWelcomes reads the Welcomes of a commit, each for some of those who are added.
func (c *server) readWelcomes(m *store.Commit, at schemas.Commit) error {
	list, err := at.Welcomes()
	if err != nil {
		return malformed(err)
	}
	if list.Len() > len(m.Added) {
		return invalid("%d Welcomes for %d who are added", list.Len(), len(m.Added))
	}
	left := make(map[store.Identity]bool, len(m.Added))
	for _, id := range m.Added {
		left[id] = true
	}
	stored := 0
	for i := range list.Len() {
		payload, err := list.At(i).Payload()
		if err != nil {
			return malformed(err)
		}
		if err := c.s.checkPayload(payload); err != nil {
			return err
		}
		if h, err := readHeader(payload); err != nil || h.format != welcome {
			return invalid("Welcome %d is none", i)
		}
		recipients, err := identities(list.At(i).Recipients())
		if err != nil {
			return err
		}
		if len(recipients) == 0 {
			return invalid("Welcome %d is for nobody", i)
		}
		for _, id := range recipients {
			if !left[id] {
				return invalid("a Welcome for one who is not added, or has one already")
			}
			delete(left, id)
			m.Welcomes = append(m.Welcomes, store.Message{Queue: store.QueueID{Owner: id}, ID: welcomeID(m.ID, id), Payload: payload})
		}
		if stored += len(recipients) * len(payload); stored > c.s.limits.MaxStoredBytes {
			return quicrpc.Errorf(quicrpc.CodeTooLarge, "more than %d bytes of Welcomes, over all recipients", c.s.limits.MaxStoredBytes)
		}
	}
	return nil
}

// welcomeID is the id under which a Welcome lies in an inbox: the same whenever the commit is repeated.
func welcomeID(commit store.MessageID, recipient store.Identity) store.MessageID {
	sum := sha256.Sum256(slices.Concat([]byte("quicnprotochat welcome"), commit[:], recipient[:]))
	return store.MessageID(sum[:16])
}

// mayCommit says whether the caller may make such a commit. Members may all but remove or add themselves; a newcomer's commit adds its sender: who was
// invited, or a member that has lost its way, and replaces itself. What was said of the commit that is replaced comes back.
func (c *server) mayCommit(ctx context.Context, m *store.Commit, external, replaces bool) (said *reports, err error) {
	if replaces {
		r, err := c.mayReplace(ctx, m, external)
		if err != nil {
			return nil, err
		}
		return &r, c.sparesItself(m)
	}
	_, err = c.s.store.Member(ctx, m.Group, c.owner)
	member := err == nil
	if err != nil && !errors.Is(err, store.ErrNotMember) {
		return nil, c.s.groupFailure(err)
	}
	if !external {
		if !member {
			return nil, errStranger
		}
		return nil, c.sparesItself(m)
	}
	if !member {
		if err := c.mayJoin(ctx, m.Group); err != nil {
			return nil, err
		}
	}
	alone := len(m.Added) == 1 && m.Added[0] == c.owner && len(m.Welcomes) == 0
	if member && (len(m.Removed) != 1 || m.Removed[0] != c.owner) || !member && len(m.Removed) != 0 || !alone {
		return nil, invalid("an external commit adds its sender, removes nobody else, and welcomes nobody")
	}
	return nil, nil
}

func (c *server) sparesItself(m *store.Commit) error {
	if slices.Contains(m.Added, c.owner) || slices.Contains(m.Removed, c.owner) {
		return invalid("a member neither adds nor removes itself, but by an external commit")
	}
	return nil
}

// endInvitations removes the invitations that a commit used up, or that are for who was removed. One that a crash leaves ends with the next.
func (s *Service) endInvitations(ctx context.Context, m *store.Commit) {
	for _, id := range slices.Concat(m.Added, m.Removed) {
		if err := s.revoke(context.WithoutCancel(ctx), m.Group, id); err != nil {
			s.log.Warn("ds: ending an invitation", "err", err)
		}
	}
}
