package ds

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// The service cannot read a commit, so a member can wedge its group with one that nobody can process (requirement 5). Those who were members before it say so; when the founder,
// or more than half of them, did, another commit made in the same epoch may take its place. Records tell who said it:
//
//	ds/report/GROUP/IDENTITY -> place of the commit (8), ms since 1970 (8), which is the last that this member reported
//	ds/replaced/GROUP/SEQ    -> what took the place of the commit SEQ (8), ms since 1970 (8), who sent it (32), and who had reported (32 each)

const (
	// maxReporters is how many who reported are kept of one commit that was replaced, and how many reports of commits of before are kept of a group.
	maxReporters = 1024
	// maxReplaced is how many replaced commits are remembered of a group.
	maxReplaced = 64
)

func reportPrefix(group string) string   { return fmt.Sprintf("ds/report/%x/", group) }
func replacedPrefix(group string) string { return fmt.Sprintf("ds/replaced/%x/", group) }

// errNoReplacing is what one hears who may not replace a commit yet.
var errNoReplacing = quicrpc.Errorf(quicrpc.CodeNotAuthorized, "the commit was not reported by the group's founder, nor by more than half of its members")

// reports are what was said of a group's last commit.
type reports struct {
	last    store.Change
	roster  int  // members before it, without its sender
	founder bool // has reported it
	by      []store.Identity
}

// needed is how many have to report.
func (r *reports) needed() int {
	if r.founder {
		return 1
	}
	return r.roster/2 + 1
}

func (r *reports) suffice() bool {
	said := len(r.by)
	if !r.founder && slices.Contains(r.by, r.last.Sender) {
		said--
	}
	return said >= r.needed()
}

// ReportCommit takes a member's word that a commit cannot be processed.
func (c *server) ReportCommit(ctx context.Context, call schemas.DeliveryService_reportCommit) error {
	if err := c.change(ctx, reportCommit); err != nil {
		return err
	}
	args := call.Args()
	id, err := groupID(args.GroupId())
	if err != nil {
		return err
	}
	last, err := c.s.lastCommit(ctx, id, c.owner)
	if err != nil {
		return err
	}
	if args.Seq() != last.Seq {
		return invalid("%d is not the commit that led to epoch %d", args.Seq(), last.Epoch)
	}
	if err := c.s.report(ctx, id, c.owner, last.Seq); err != nil {
		return err
	}
	said, err := c.s.reports(ctx, id, last)
	if err != nil {
		return err
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetReports(uint32(len(said.by)))
	results.SetNeeded(uint32(said.needed()))
	return nil
}

// lastCommit is the last commit of a group, for one who was a member before it, and may not be any more.
func (s *Service) lastCommit(ctx context.Context, group string, who store.Identity) (store.Change, error) {
	_, err := s.store.Member(ctx, group, who)
	member := err == nil
	if err != nil && !errors.Is(err, store.ErrNotMember) {
		return store.Change{}, s.groupFailure(err)
	}
	last, err := s.store.LastCommit(ctx, group)
	switch {
	case errors.Is(err, store.ErrNotFound) && member:
		return last, invalid("there is no commit to speak of")
	case err != nil:
		return last, s.groupFailure(err)
	case slices.Contains(last.Added, who):
		return last, quicrpc.Errorf(quicrpc.CodeNotAuthorized, "only for who was a member before that commit")
	case !member && !slices.Contains(last.Removed, who):
		return last, errStranger
	}
	return last, nil
}

// report writes down that somebody reported a commit.
func (s *Service) report(ctx context.Context, group string, who store.Identity, seq uint64) error {
	key := fmt.Sprintf("%s%x", reportPrefix(group), who)
	value := binary.BigEndian.AppendUint64(nil, seq)
	value = binary.BigEndian.AppendUint64(value, uint64(time.Now().UnixMilli()))
	for {
		r, err := s.store.GetRecord(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return s.failure(err)
		}
		if err == nil && len(r.Value) == len(value) && binary.BigEndian.Uint64(r.Value) >= seq {
			return nil // said before
		}
		_, err = s.store.PutRecord(ctx, key, value, r.Version)
		if errors.Is(err, store.ErrChanged) {
			continue
		}
		if err != nil {
			return s.failure(err)
		}
		s.log.Warn("ds: a commit was reported", "group", fmt.Sprintf("%x", group), "seq", seq, "by", fmt.Sprintf("%x", who))
		return nil
	}
}

// reports counts who reported the last commit of a group.
func (s *Service) reports(ctx context.Context, group string, last store.Change) (said reports, err error) {
	g, err := s.store.Group(ctx, group)
	if err != nil {
		return said, s.groupFailure(err)
	}
	said = reports{last: last, roster: g.Members - len(last.Added) + len(last.Removed)}
	if !slices.Contains(last.Added, last.Sender) {
		said.roster--
	}
	// Whom the founder removes may say what it likes, and does not count: else the other one of two would undo its own removal, alone.
	expelled := last.Sender == g.Founder
	if expelled {
		said.roster -= len(last.Removed)
	}
	prefix := reportPrefix(group)
	var old []store.Record
	err = s.eachRecord(ctx, prefix, func(r store.Record) {
		who, err := hex.DecodeString(r.Key[len(prefix):])
		if err != nil || len(who) != len(g.Founder) || len(r.Value) != 16 {
			return
		}
		if binary.BigEndian.Uint64(r.Value) != last.Seq {
			old = append(old, store.Record{Key: r.Key, Version: r.Version})
			return
		}
		if expelled && slices.Contains(last.Removed, store.Identity(who)) {
			return
		}
		said.by = append(said.by, store.Identity(who))
		said.founder = said.founder || store.Identity(who) == g.Founder
	})
	if len(old) > maxReporters {
		s.forget(ctx, old[maxReporters:])
	}
	return said, err
}

// forget removes records that are kept for whoever wants to look into what was. An error is only logged.
func (s *Service) forget(ctx context.Context, records []store.Record) {
	for _, r := range records {
		if _, err := s.store.PutRecord(ctx, r.Key, nil, r.Version); err != nil && !errors.Is(err, store.ErrChanged) {
			s.log.Warn("ds: forgetting a report", "err", err)
			return
		}
	}
}

// eachRecord calls f with the records under a prefix.
func (s *Service) eachRecord(ctx context.Context, prefix string, f func(store.Record)) error {
	for from := prefix; ; {
		page, more, err := s.store.ListRecords(ctx, prefix, from, 256)
		if err != nil {
			return s.failure(err)
		}
		for _, r := range page {
			f(r)
			from = r.Key + "\x00"
		}
		if !more {
			return nil
		}
	}
}

// mayReplace says whether the caller may replace the last commit of a group by m, and says in m which that is. It returns who reported it.
func (c *server) mayReplace(ctx context.Context, m *store.Commit, external bool) (said reports, err error) {
	if external {
		return said, invalid("a newcomer's commit replaces none")
	}
	last, err := c.s.lastCommit(ctx, m.Group, c.owner)
	if err != nil {
		return said, err
	}
	if said, err = c.s.reports(ctx, m.Group, last); err != nil {
		return said, err
	}
	if m.Replaces = last.Seq; !said.suffice() {
		m.Replaces = math.MaxUint64 // so that it is answered if it is the repetition of one that won, and refused if not
	}
	return said, nil
}

// replaced writes down that a commit took the place of another, and forgets what is too long ago. It was done: an error is only logged.
func (c *server) replaced(ctx context.Context, m *store.Commit, seq uint64, said *reports) {
	ctx = context.WithoutCancel(ctx)
	c.s.log.Warn("ds: a commit was replaced", "group", fmt.Sprintf("%x", m.Group), "seq", m.Replaces, "of", fmt.Sprintf("%x", said.last.Sender),
		"by", fmt.Sprintf("%x", c.owner), "reports", len(said.by))
	prefix := replacedPrefix(m.Group)
	value := binary.BigEndian.AppendUint64(nil, seq)
	value = binary.BigEndian.AppendUint64(value, uint64(time.Now().UnixMilli()))
	value = append(value, c.owner[:]...)
	for i := range said.by[:min(len(said.by), maxReporters)] {
		value = append(value, said.by[i][:]...)
	}
	_, err := c.s.store.PutRecord(ctx, fmt.Sprintf("%s%016x", prefix, m.Replaces), value, 0)
	if err != nil && !errors.Is(err, store.ErrChanged) {
		c.s.log.Warn("ds: writing down a replaced commit", "err", err)
	}
	var all []store.Record
	if err := c.s.eachRecord(ctx, prefix, func(r store.Record) { all = append(all, store.Record{Key: r.Key, Version: r.Version}) }); err != nil {
		return
	}
	if len(all) > maxReplaced {
		c.s.forget(ctx, all[:len(all)-maxReplaced])
	}
}
