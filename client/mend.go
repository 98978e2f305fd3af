package client

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/mls"
	"quicnprotochat/schemas"
)

// The server orders commits without being able to look into them, so a member can hand in one that nobody can process. Those who cannot stay in the epoch before it, say so
// to the server (Report), and, when enough did, one of them replaces the commit (Mend).

// errSound says that a group has no commit that this account could not process.
var errSound = fmt.Errorf("%w: every commit of the group could be processed", ErrInvalid)

// unfit says what a message is that the group cannot take: a commit that wedges it, one that took the place of a commit that was processed here, or anything else.
func unfit(tx *bolt.Tx, g *mls.Group, seq uint64, payload []byte, err error) (text string, _ error) {
	info, perr := mls.PeekMessage(payload)
	if perr != nil || info.ContentType != mls.ContentCommit {
		return err.Error(), nil
	}
	switch {
	case info.Epoch == g.Epoch():
		rec, err2 := groupOf(tx, g)
		if err2 != nil {
			return "", err2
		}
		rec.Wedged = seq
		return fmt.Sprintf("a commit cannot be processed (%v): the group stands still until it is replaced; see the commands report and mend", err),
			putJSON(tx.Bucket(bucketGroups), g.GroupID(), rec)
	case info.Epoch+1 == g.Epoch():
		return "the others took back a commit that was processed here: somebody has to remove and add this account anew", nil
	}
	return err.Error(), nil
}

func groupOf(tx *bolt.Tx, g *mls.Group) (rec groupRecord, err error) {
	_, err = getJSON(tx.Bucket(bucketGroups), g.GroupID(), &rec)
	return rec, err
}

// sound notes that a group goes on.
func sound(tx *bolt.Tx, g *mls.Group) error {
	rec, err := groupOf(tx, g)
	if err != nil || rec.Wedged == 0 {
		return err
	}
	rec.Wedged = 0
	return putJSON(tx.Bucket(bucketGroups), g.GroupID(), rec)
}

// merge merges our own commit, which won.
func merge(tx *bolt.Tx, g *mls.Group) error {
	if err := g.MergePending(); err != nil {
		return err
	}
	return sound(tx, g)
}

// Report tells the server that the group's last commit cannot be processed here. said of needed members have done so by now: with that many, or the founder among them, Mend
// works. ErrInvalid if there is no such commit.
func (a *Account) Report(ctx context.Context, s *Session, group string) (said, needed int, err error) {
	if err := a.syncQueue(ctx, s, Queue{group, true}); err != nil {
		return 0, 0, err
	}
	rec, err := a.record(group)
	if err != nil {
		return 0, 0, err
	}
	if rec.Wedged == 0 {
		return 0, 0, errSound
	}
	return s.ReportCommit(ctx, group, rec.Wedged)
}

func (a *Account) record(group string) (rec groupRecord, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		found, err := getJSON(tx.Bucket(bucketGroups), []byte(group), &rec)
		if err == nil && !found {
			err = fmt.Errorf("%w: %x", ErrUnknownGroup, group)
		}
		return err
	})
	return rec, err
}

// Mend puts a commit of ours, that renews our keys, in the place of one that could not be processed. Who had been added by that one is out again, who had been removed
// is in. Errors: ErrInvalid (every commit could be processed), quicrpc.ErrNotAuthorized (too few have reported it), both with no effect.
func (a *Account) Mend(ctx context.Context, s *Session, group string) error {
	before, err := a.record(group)
	if err != nil {
		return err
	}
	for races := 0; ; races++ {
		if err := a.syncQueue(ctx, s, Queue{group, true}); err != nil {
			return err
		}
		switch err := a.stage(group, renewal, true); {
		case errors.Is(err, errSound) && (before.Wedged != 0 || races > 0):
			return nil // somebody else did it
		case err != nil:
			return err
		}
		if err := a.Flush(ctx, s); !errors.Is(err, ErrRace) || races == maxRaces {
			return err
		}
	}
}

// ReportCommit says that the commit at seq, the last one of a group, cannot be processed.
func (s *Session) ReportCommit(ctx context.Context, group string, seq uint64) (said, needed int, err error) {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer rpc.release()
	f, release := ds.ReportCommit(ctx, func(p schemas.DeliveryService_reportCommit_Params) error {
		p.SetSeq(seq)
		return p.SetGroupId([]byte(group))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return 0, 0, rpc.Err(err)
	}
	return int(r.Reports()), int(r.Needed()), nil
}
