package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
)

const (
	// maxPayload is what the server takes as one message, bytes (docs/protocol.md).
	maxPayload = 1 << 20
	// MaxText bounds a text message, bytes: what still fits a payload after encryption and padding, which at this size goes in steps of 16 KiB.
	MaxText = maxPayload - 20<<10
)

// Send encrypts texts to a group (by id) and puts them into the outbox in their order, all or none, durable when it returns; Flush sends them. ErrTooLarge above MaxText.
// Several at once cost the disk what one does.
func (a *Account) Send(group string, texts ...[]byte) error {
	for _, text := range texts {
		if len(text) == 0 {
			return fmt.Errorf("%w: empty message", ErrInvalid)
		}
		if len(text) > MaxText {
			return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(text), MaxText)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.change(group, func(tx *bolt.Tx, g *mls.Group) error {
		if err := active(tx, group); err != nil {
			return err
		}
		for _, text := range texts {
			msg, err := g.Protect(text, nil)
			if err != nil {
				return err
			}
			if err := putOutbox(tx, outboxRecord{Kind: outboxPost, Group: []byte(group), Payload: msg}); err != nil {
				return err
			}
		}
		return nil
	})
}

// plan says what a commit is to do, in the epoch that the group is in now.
type plan func(g *mls.Group) (opts mls.CommitOptions, added, removed []certs.Identity, err error)

// Invite adds somebody to a group: takes a KeyPackage of theirs from the server and commits; the server releases the Welcome with the commit. Errors: ErrNoKeyPackage,
// ErrInvalid (a member already, or a KeyPackage that is not theirs), and, here and from Remove and Update: ErrQuota and ErrRace, both with no effect.
func (a *Account) Invite(ctx context.Context, s *Session, group string, who ...certs.Identity) error {
	var adds []mls.Proposal
	for _, id := range who {
		if err := a.checkAbsent(group, id); err != nil {
			return err // before a KeyPackage is taken for nothing
		}
		pkg, _, err := s.FetchValidKeyPackage(ctx, id)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		add, err := mls.Add(pkg)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		adds = append(adds, add)
	}
	return a.commit(ctx, s, group, func(g *mls.Group) (mls.CommitOptions, []certs.Identity, []certs.Identity, error) {
		for _, id := range who {
			if _, ok := findMember(g, id); ok {
				return mls.CommitOptions{}, nil, nil, fmt.Errorf("%w: %s is a member already", ErrInvalid, id)
			}
		}
		return mls.CommitOptions{Proposals: adds}, who, nil, nil
	})
}

// checkAbsent is an error if id is a member as far as is known here, or if the account cannot commit in the group.
func (a *Account) checkAbsent(group string, id certs.Identity) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state.view(func(tx *bolt.Tx) error {
		if err := active(tx, group); err != nil {
			return err
		}
		g, err := a.load(tx, group)
		if err != nil {
			return err
		}
		if _, ok := findMember(g, id); ok {
			return fmt.Errorf("%w: %s is a member already", ErrInvalid, id)
		}
		return nil
	})
}

// Remove commits somebody out of a group. Whoever is removed gets the commit, and nothing after it (requirement 7).
func (a *Account) Remove(ctx context.Context, s *Session, group string, who certs.Identity) error {
	if who == a.id {
		return fmt.Errorf("%w: nobody can commit their own removal (RFC 9420 section 12.4)", ErrInvalid)
	}
	return a.commit(ctx, s, group, func(g *mls.Group) (mls.CommitOptions, []certs.Identity, []certs.Identity, error) {
		leaf, ok := findMember(g, who)
		if !ok {
			return mls.CommitOptions{}, nil, nil, fmt.Errorf("%w: %s", ErrNotMember, who)
		}
		return mls.CommitOptions{Proposals: []mls.Proposal{mls.Remove(leaf)}}, nil, []certs.Identity{who}, nil
	})
}

// Update commits fresh keys for the account's own leaf: what was stolen before is useless after (RFC 9420 section 16.6).
func (a *Account) Update(ctx context.Context, s *Session, group string) error {
	return a.commit(ctx, s, group, renewal)
}

func renewal(*mls.Group) (mls.CommitOptions, []certs.Identity, []certs.Identity, error) {
	return mls.CommitOptions{ForcePath: true}, nil, nil, nil
}

const (
	// maxRaces is how often a commit that lost is made anew, and claimAfter after how many the group's commit slot is claimed (requirement 9).
	maxRaces   = 10
	claimAfter = 3
)

// commit takes in what has come for the group, so that the commit stands on the newest epoch, makes it, and sends it; again and again while others win.
func (a *Account) commit(ctx context.Context, s *Session, group string, p plan) error {
	for races := 0; ; races++ {
		if races >= claimAfter {
			if err := s.ClaimCommit(ctx, group); err != nil {
				a.log.Debug("no commit slot", "err", err)
			}
		}
		// An older commit that lost, or a full queue, is no reason not to commit.
		if err := a.Flush(ctx, s); err != nil && !errors.Is(err, ErrQuota) && !errors.Is(err, ErrRace) {
			return err
		}
		if err := a.syncQueue(ctx, s, Queue{group, true}); err != nil {
			return err
		}
		if err := a.stage(group, p, false); err != nil {
			return err
		}
		if err := a.Flush(ctx, s); !errors.Is(err, ErrRace) || races == maxRaces {
			return err
		}
	}
}

// stage makes a commit, and saves it together with all that goes with it; Flush sends and merges it. One that mends replaces what could not be processed.
func (a *Account) stage(group string, p plan, mends bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.change(group, func(tx *bolt.Tx, g *mls.Group) error {
		if err := active(tx, group); err != nil {
			return err
		}
		if rec, err := groupOf(tx, g); err != nil {
			return err
		} else if mends && rec.Wedged == 0 {
			return errSound
		} else if !mends && rec.Wedged != 0 {
			return ErrWedged
		}
		if g.HasPending() {
			return fmt.Errorf("%w: an earlier commit still waits to be sent", ErrInvalid)
		}
		opts, added, removed, err := p(g)
		if err != nil {
			return err
		}
		opts.GroupInfo = true
		res, err := g.Commit(opts)
		if err != nil {
			return err
		}
		return putOutbox(tx, outboxRecord{Kind: outboxCommit, Group: []byte(group), Epoch: g.Epoch(), Payload: res.Commit,
			Welcome: res.Welcome, Added: added, Removed: removed, Info: res.GroupInfo, Mends: mends})
	})
}

// FetchValidKeyPackage takes a KeyPackage from the server, as FetchKeyPackage does, and checks what the server is not trusted with: that it is well
// signed, that it is owner's and nobody else's, and that it is for the suite of our groups; else ErrInvalid. Its lifetime is checked when it is added.
func (s *Session) FetchValidKeyPackage(ctx context.Context, owner certs.Identity) ([]byte, *mls.KeyPackageInfo, error) {
	pkg, err := s.FetchKeyPackage(ctx, owner)
	if err != nil {
		return nil, nil, err
	}
	info, err := checkKeyPackage(pkg, owner)
	return pkg, info, err
}

func checkKeyPackage(pkg []byte, owner certs.Identity) (*mls.KeyPackageInfo, error) {
	info, err := mls.InspectKeyPackage(pkg)
	if err != nil {
		return nil, fmt.Errorf("%w: KeyPackage from the server: %w", ErrInvalid, err)
	}
	if err := checkCredential(info.Credential, info.SignatureKey); err != nil || !bytes.Equal(info.SignatureKey, owner[:]) {
		return nil, fmt.Errorf("%w: KeyPackage from the server belongs to somebody else", ErrInvalid)
	}
	if info.Suite != suite {
		return nil, fmt.Errorf("%w: KeyPackage for suite %d, want %d", ErrInvalid, info.Suite, suite)
	}
	return info, nil
}

func findMember(g *mls.Group, id certs.Identity) (leaf uint32, ok bool) {
	for _, m := range g.Members() {
		if bytes.Equal(m.Credential.Identity, id[:]) {
			return m.Leaf, true
		}
	}
	return 0, false
}
