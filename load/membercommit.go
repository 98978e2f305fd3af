package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/mls"
	"quicnprotochat/schemas"
)

// errNotYet says that a member has not seen yet what a commit is to stand on: who was added a moment ago is not in its tree, say.
var errNotYet = errors.New("the member has not come that far")

// errFull says that the service has no room for a commit.
var errFull = errors.New("the group's order is full")

// A plan says what to commit. It is called with the member's mu held, once for each attempt.
type plan func(m *member) (opts mls.CommitOptions, added, removed []certs.Identity, err error)

func update(*member) (opts mls.CommitOptions, added, removed []certs.Identity, err error) {
	return mls.CommitOptions{ForcePath: true}, nil, nil, nil
}

func removal(who certs.Identity) plan {
	return func(m *member) (opts mls.CommitOptions, added, removed []certs.Identity, err error) {
		leaf, ok := m.leafOf(who)
		if !ok {
			return opts, nil, nil, errNotYet
		}
		return mls.CommitOptions{Proposals: []mls.Proposal{mls.Remove(leaf)}}, nil, []certs.Identity{who}, nil
	}
}

func addition(who []certs.Identity, packages [][]byte) plan {
	return func(m *member) (opts mls.CommitOptions, added, removed []certs.Identity, err error) {
		for i, p := range packages {
			if _, ok := m.leafOf(who[i]); ok {
				return opts, nil, nil, errNotYet
			}
			add, err := mls.Add(p)
			if err != nil {
				return opts, nil, nil, err
			}
			opts.Proposals = append(opts.Proposals, add)
		}
		return opts, who, nil, nil
	}
}

// Of commits that lose a race, as in package client.
const (
	claimAfter = 3
	// winnerPatience is how long a member that lost waits for the winner's commit before it tries again.
	winnerPatience = time.Second
)

// commit makes a commit and hands it in, again and again while others win. It returns the commit's place, and the races that it lost.
func (m *member) commit(ctx context.Context, p plan) (seq uint64, races int, err error) {
	for ; ; races++ {
		c, err := m.stage(p)
		for ; errors.Is(err, errNotYet); c, err = m.stage(p) {
			if err := m.newer(ctx, m.epoch()); err != nil {
				return 0, races, err
			}
		}
		if err != nil {
			return 0, races, err
		}
		out, err := m.link.commit(ctx, c)
		if err != nil {
			m.drop(c.ID)
			return 0, races, fmt.Errorf("%s, member %d: commit: %w", m.name, m.who, err)
		}
		switch out.Status {
		case schemas.CommitStatus_accepted, schemas.CommitStatus_duplicate:
			m.mu.Lock()
			m.merge(c.ID)
			m.mu.Unlock()
			return out.Seq, races, nil
		case schemas.CommitStatus_wrongEpoch, schemas.CommitStatus_slotTaken:
			m.drop(c.ID)
		case schemas.CommitStatus_quotaExceeded:
			m.drop(c.ID)
			return 0, races, errFull
		default:
			return 0, races, fmt.Errorf("%s, member %d: commit: status %v", m.name, m.who, out.Status)
		}
		if err := m.newer(ctx, c.Epoch); err != nil {
			return 0, races, err
		}
		if races >= claimAfter-1 {
			err := m.link.retry(ctx, func(ctx context.Context, s *client.Session) error { return s.ClaimCommit(ctx, m.queue.Group) })
			if ctx.Err() != nil {
				return 0, races, err // else the slot is a help, and no more: without it there is a race again
			}
		}
	}
}

// stage makes a commit on the group's present epoch.
func (m *member) stage(p plan) (*client.GroupCommit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.group == nil {
		return nil, fmt.Errorf("%s: client %d is no member", m.name, m.who)
	}
	if m.group.HasPending() {
		return nil, errNotYet
	}
	opts, added, removed, err := p(m)
	if err != nil {
		return nil, err
	}
	opts.GroupInfo = true
	res, err := m.group.Commit(opts)
	if err != nil {
		return nil, err
	}
	m.group.Saved()
	c := &client.GroupCommit{
		Group: m.queue.Group, Epoch: m.group.Epoch(), ID: m.r.commitID(), Message: res.Commit, Welcome: res.Welcome, GroupInfo: res.GroupInfo,
		Added: added, Removed: removed,
	}
	m.commits[c.ID], m.pending = true, c.ID
	return c, nil
}

// drop forgets a commit that did not come about.
func (m *member) drop(id client.MessageID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.commits, id)
	if m.pending != id || m.group == nil {
		return
	}
	m.pending = client.MessageID{}
	m.group.DiscardPending()
	m.group.Saved()
	m.change()
}

func (m *member) epoch() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.group == nil {
		return 0
	}
	return m.group.Epoch()
}

// newer waits until the group is in a later epoch, for a time: another member may have been let first, and not have used it.
func (m *member) newer(ctx context.Context, epoch uint64) error {
	limit, cancel := context.WithTimeout(ctx, winnerPatience)
	defer cancel()
	err := m.await(limit, func() bool { return m.group == nil || m.group.Epoch() > epoch })
	if err != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// commitID is a message id that no other commit of the run has.
func (r *run) commitID() client.MessageID {
	id := r.cfg.derive("commit", r.commits.Add(1)<<16|uint64(r.cfg.Worker))
	return client.MessageID(id[:16])
}

// claim takes a KeyPackage of each of some clients from the service.
func (m *member) claim(ctx context.Context, who []certs.Identity) ([][]byte, error) {
	packages := make([][]byte, len(who))
	for i, id := range who {
		err := m.link.retry(ctx, func(ctx context.Context, s *client.Session) (err error) {
			packages[i], _, err = s.FetchValidKeyPackage(ctx, id)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("a KeyPackage of %s: %w", id, err)
		}
	}
	return packages, nil
}
