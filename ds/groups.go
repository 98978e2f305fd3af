package ds

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// minGroupID is the shortest id of an ordered group, bytes: long enough that nobody guesses one.
const minGroupID = 16

// groupID reads the id of an ordered group.
func groupID(id []byte, err error) (string, error) {
	if err != nil {
		return "", malformed(err)
	}
	if len(id) < minGroupID || len(id) > store.MaxGroup {
		return "", invalid("group id of %d bytes, want %d to %d", len(id), minGroupID, store.MaxGroup)
	}
	return string(id), nil
}

// identity reads the key of somebody.
func identity(key []byte, err error) (store.Identity, error) {
	if err != nil {
		return store.Identity{}, malformed(err)
	}
	if len(key) != len(store.Identity{}) {
		return store.Identity{}, invalid("identity of %d bytes, want 32", len(key))
	}
	return store.Identity(key), nil
}

// errStranger is all that one who is not in a group hears of it, whether it is there or not (requirement 28).
var errStranger = quicrpc.Errorf(quicrpc.CodeNotFound, "no such group")

// groupFailure says to the caller what the store said of a group.
func (s *Service) groupFailure(err error) error {
	var said *quicrpc.RPCError
	switch {
	case errors.As(err, &said):
		return err
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNotMember):
		return errStranger
	case errors.Is(err, store.ErrQuota):
		return quicrpc.Errorf(quicrpc.CodeQuotaExceeded, "the group, or one of its members, is at a limit")
	case errors.Is(err, store.ErrInvalid):
		return invalid("%v", err)
	case errors.Is(err, store.ErrTooLarge):
		return quicrpc.Errorf(quicrpc.CodeTooLarge, "%v", err)
	}
	return s.failure(err)
}

// member returns errStranger unless the caller is a member.
func (c *server) member(ctx context.Context, group string) error {
	if _, err := c.s.store.Member(ctx, group, c.owner); err != nil {
		return c.s.groupFailure(err)
	}
	return nil
}

// checkInfo checks a GroupInfo against what it must be of (RFC 9420 section 12.4.3.1).
func checkInfo(info []byte, group string, epoch uint64) error {
	if len(info) == 0 {
		return nil
	}
	if len(info) > store.MaxInfo {
		return quicrpc.Errorf(quicrpc.CodeTooLarge, "GroupInfo of %d bytes, at most %d allowed", len(info), store.MaxInfo)
	}
	h, err := readHeader(info)
	switch {
	case err != nil:
		return malformed(err)
	case h.format != groupInfo || string(h.group) != group || h.epoch != epoch:
		return invalid("the GroupInfo is not of this group and epoch %d", epoch)
	}
	return nil
}

// CreateGroup makes an ordered group.
func (c *server) CreateGroup(ctx context.Context, call schemas.DeliveryService_createGroup) error {
	if err := c.change(ctx, createGroup); err != nil {
		return err
	}
	args := call.Args()
	group, err := groupID(args.GroupId())
	if err != nil {
		return err
	}
	info, err := args.GroupInfo()
	if err != nil {
		return malformed(err)
	}
	if err := checkInfo(info, group, args.Epoch()); err != nil {
		return err
	}
	n := store.NewGroup{ID: group, Founder: c.owner, Epoch: args.Epoch(), Info: info}
	err = c.s.store.CreateGroup(ctx, n)
	if errors.Is(err, store.ErrExists) {
		err = c.createdBefore(ctx, &n)
	}
	if err != nil {
		return c.s.groupFailure(err)
	}
	_, err = call.AllocResults()
	return err
}

// createdBefore returns nil if the group is as n would make it: the call was repeated because its answer was lost.
func (c *server) createdBefore(ctx context.Context, n *store.NewGroup) error {
	g, err := c.s.store.Group(ctx, n.ID)
	if err != nil {
		return err
	}
	if g.Founder != n.Founder || g.Epoch != n.Epoch || g.Members != 1 || g.Last != 0 || !bytes.Equal(g.Info, n.Info) {
		return quicrpc.Errorf(quicrpc.CodeExists, "there is such a group")
	}
	_, err = c.s.store.Member(ctx, n.ID, c.owner)
	return err
}

// Group tells a member of its group.
func (c *server) Group(ctx context.Context, call schemas.DeliveryService_group) error {
	if err := c.s.begin(group); err != nil {
		return err
	}
	id, err := groupID(call.Args().GroupId())
	if err != nil {
		return err
	}
	m, err := c.s.store.Member(ctx, id, c.owner)
	if err != nil {
		return c.s.groupFailure(err)
	}
	g, err := c.s.store.Group(ctx, id)
	if err != nil {
		return c.s.groupFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	status, err := results.NewStatus()
	if err != nil {
		return err
	}
	status.SetEpoch(g.Epoch)
	status.SetMembers(uint32(g.Members))
	status.SetLast(g.Last)
	status.SetAcknowledged(m.Acknowledged)
	return status.SetFounder(g.Founder[:])
}

// Members lists the roster for members.
func (c *server) Members(ctx context.Context, call schemas.DeliveryService_members) error {
	if err := c.s.begin(members); err != nil {
		return err
	}
	args := call.Args()
	id, err := groupID(args.GroupId())
	if err != nil {
		return err
	}
	var from store.Identity
	if key, err := args.From(); err != nil || len(key) > 0 {
		if from, err = identity(key, err); err != nil {
			return err
		}
	}
	if err := c.member(ctx, id); err != nil {
		return err
	}
	found, more, err := c.s.store.Members(ctx, id, from, limit(args.Max(), maxMembers))
	if err != nil {
		return c.s.groupFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetMore(more)
	list, err := results.NewMembers(int32(len(found)))
	if err != nil {
		return err
	}
	for i := range found {
		if err := list.Set(i, found[i].Identity[:]); err != nil {
			return err
		}
	}
	return nil
}

// GroupInfo hands out the GroupInfo of the current epoch, to members and to who was invited (requirement 30).
func (c *server) GroupInfo(ctx context.Context, call schemas.DeliveryService_groupInfo) error {
	if err := c.s.begin(groupInformation); err != nil {
		return err
	}
	id, err := groupID(call.Args().GroupId())
	if err != nil {
		return err
	}
	if err := c.mayJoin(ctx, id); err != nil {
		return err
	}
	g, err := c.s.store.Group(ctx, id)
	if err != nil {
		return c.s.groupFailure(err)
	}
	if len(g.Info) == 0 {
		return quicrpc.Errorf(quicrpc.CodeNotFound, "epoch %d has no GroupInfo", g.Epoch)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetEpoch(g.Epoch)
	return results.SetGroupInfo(g.Info)
}

// change begins a call that changes something: it must not be a replay of 0-RTT data.
func (c *server) change(ctx context.Context, m method) error {
	if err := c.s.begin(m); err != nil {
		return err
	}
	return c.session.WaitHandshake(ctx)
}

// mayJoin returns errStranger unless the caller is a member, or was invited.
func (c *server) mayJoin(ctx context.Context, group string) error {
	_, err := c.s.store.Member(ctx, group, c.owner)
	if errors.Is(err, store.ErrNotMember) {
		_, err = c.s.store.GetRecord(ctx, inviteKey(group, c.owner))
	}
	if err != nil {
		return c.s.groupFailure(err)
	}
	return nil
}

// inviteKey is the key of the record of an invitation.
func inviteKey(group string, id store.Identity) string {
	return fmt.Sprintf("%s%x", invitePrefix(group), id)
}

func invitePrefix(group string) string { return fmt.Sprintf("ds/invite/%x/", group) }

// Invite lets somebody join by an external commit, or no longer.
func (c *server) Invite(ctx context.Context, call schemas.DeliveryService_invite) error {
	if err := c.change(ctx, invite); err != nil {
		return err
	}
	args := call.Args()
	id, err := groupID(args.GroupId())
	if err != nil {
		return err
	}
	invited, err := identities(args.Invited())
	if err != nil {
		return err
	}
	revoked, err := identities(args.Revoked())
	if err != nil {
		return err
	}
	if len(invited)+len(revoked) > maxInvite {
		return invalid("%d identities, at most %d in a call", len(invited)+len(revoked), maxInvite)
	}
	if err := c.member(ctx, id); err != nil {
		return err
	}
	if err := c.s.invite(ctx, id, invited, revoked, c.owner); err != nil {
		return err
	}
	_, err = call.AllocResults()
	return err
}

// invite changes the invitations to a group.
func (s *Service) invite(ctx context.Context, group string, invited, revoked []store.Identity, by store.Identity) error {
	s.inviting.Lock() // so that two cannot fill the last place
	defer s.inviting.Unlock()
	for _, id := range revoked {
		if err := s.revoke(ctx, group, id); err != nil {
			return s.failure(err)
		}
	}
	if len(invited) == 0 {
		return nil
	}
	prefix := invitePrefix(group)
	found, _, err := s.store.ListRecords(ctx, prefix, prefix, maxInvited)
	if err != nil {
		return s.failure(err)
	}
	there := make(map[string]bool, len(found))
	for _, r := range found {
		there[r.Key] = true
	}
	fresh := invited[:0]
	for _, id := range invited {
		if key := inviteKey(group, id); !there[key] {
			there[key] = true
			fresh = append(fresh, id)
		}
	}
	if len(there) > maxInvited {
		return quicrpc.Errorf(quicrpc.CodeQuotaExceeded, "more than %d are invited", maxInvited)
	}
	for _, id := range fresh {
		if _, err := s.store.PutRecord(ctx, inviteKey(group, id), by[:], 0); err != nil && !errors.Is(err, store.ErrChanged) {
			return s.failure(err)
		}
	}
	return nil
}

// revoke removes an invitation, if there is one.
func (s *Service) revoke(ctx context.Context, group string, id store.Identity) error {
	r, err := s.store.GetRecord(ctx, inviteKey(group, id))
	if err == nil {
		_, err = s.store.PutRecord(ctx, r.Key, nil, r.Version)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrChanged) {
		return nil // somebody else did
	}
	return err
}
