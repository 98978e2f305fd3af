package client

import (
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// fakeServer orders groups in memory, in place of the daemon: the account's own steps are what is tested here.
type fakeServer struct {
	groups  map[string]*fakeGroup
	inboxes map[certs.Identity][]Envelope
	full    bool // groups take nothing
	lose    bool // the answer to the next call is lost, as when the connection breaks
	races   int  // commits that lost
}

type fakeGroup struct {
	epoch uint64
	log   []Envelope
	ids   map[MessageID]uint64
	from  map[certs.Identity]uint64 // what a member reads is above this one
}

// fakeSession is what one account sees of a fakeServer.
type fakeSession struct {
	*fakeServer
	id certs.Identity
}

var errLost = errors.New("the connection broke")

func newFakeServer() *fakeServer {
	return &fakeServer{groups: make(map[string]*fakeGroup), inboxes: make(map[certs.Identity][]Envelope)}
}

// answer is how a call ends that was done.
func (f *fakeServer) answer() error {
	if f.lose {
		f.lose = false
		return errLost
	}
	return nil
}

func (f fakeSession) CreateGroup(_ context.Context, group string, epoch uint64, _ []byte) error {
	if f.groups[group] == nil {
		f.groups[group] = &fakeGroup{epoch: epoch, ids: make(map[MessageID]uint64), from: map[certs.Identity]uint64{f.id: 0}}
	}
	return f.answer()
}

func (g *fakeGroup) add(id MessageID, payload []byte) uint64 {
	seq := uint64(len(g.log) + 1)
	g.log = append(g.log, Envelope{Seq: seq, ID: id, Payload: payload, AcceptedAt: time.Now()})
	g.ids[id] = seq
	return seq
}

func (f fakeSession) CommitGroup(_ context.Context, c *GroupCommit) (CommitOutcome, error) {
	g := f.groups[c.Group]
	switch {
	case g == nil:
		return CommitOutcome{}, quicrpc.ErrNotFound
	case g.ids[c.ID] != 0:
		return CommitOutcome{Status: schemas.CommitStatus_duplicate, Seq: g.ids[c.ID], Epoch: g.epoch}, f.answer()
	case g.epoch != c.Epoch:
		f.races++
		return CommitOutcome{Status: schemas.CommitStatus_wrongEpoch, Epoch: g.epoch}, f.answer()
	case f.full:
		return CommitOutcome{Status: schemas.CommitStatus_quotaExceeded, Epoch: g.epoch}, f.answer()
	}
	seq := g.add(c.ID, c.Message)
	g.epoch++
	for _, id := range c.Added {
		g.from[id] = seq
		f.inboxes[id] = append(f.inboxes[id], Envelope{Seq: uint64(len(f.inboxes[id]) + 1), Payload: c.Welcome, AcceptedAt: time.Now()})
	}
	return CommitOutcome{Status: schemas.CommitStatus_accepted, Seq: seq, Epoch: g.epoch}, f.answer()
}

func (f fakeSession) Post(_ context.Context, posts []GroupPost) ([]PostOutcome, error) {
	out := make([]PostOutcome, len(posts))
	for i, p := range posts {
		g := f.groups[p.Group]
		switch {
		case g == nil:
			out[i].Status = schemas.EnqueueStatus_notMember
		case g.ids[p.ID] != 0:
			out[i] = PostOutcome{Status: schemas.EnqueueStatus_duplicate, Seq: g.ids[p.ID]}
		case f.full:
			out[i].Status = schemas.EnqueueStatus_quotaExceeded
		default:
			out[i] = PostOutcome{Status: schemas.EnqueueStatus_stored, Seq: g.add(p.ID, p.Payload)}
		}
	}
	return out, f.answer()
}

// flush does what Account.Flush does; lost says that the first answer is lost.
func (f *fakeServer) flush(t fataler, a *Account, lost bool) {
	f.lose = lost
	err := a.flush(context.Background(), fakeSession{f, a.id})
	if err != nil && !errors.Is(err, errLost) && !(f.full && errors.Is(err, ErrQuota)) {
		t.Fatalf("flush: %v", err)
	}
	f.lose = false
}

// deliver hands an account all that it has not taken, from an arbitrary earlier place on: redelivery is normal.
func (f *fakeServer) deliver(t fataler, a *Account, from int) {
	f.deliverQueue(t, a, Queue{}, f.inboxes[a.id], from)
	for id, g := range f.groups {
		if first, member := g.from[a.id]; member {
			f.deliverQueue(t, a, Queue{id, true}, g.log[first:], from)
		}
	}
}

func (f *fakeServer) deliverQueue(t fataler, a *Account, q Queue, all []Envelope, from int) {
	start := 0
	if err := a.state.view(func(tx *bolt.Tx) error {
		cursor := getCursor(tx, q)
		for start < len(all) && start < from && all[start].Seq <= cursor {
			start++
		}
		return nil
	}); err != nil {
		t.Fatalf("%v", err)
	}
	if err := a.take(q, all[start:]); err != nil && !errors.Is(err, ErrLater) {
		t.Fatalf("take: %v", err)
	}
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func newAccount(t fataler, dir string) *Account {
	if _, err := Create(dir, "127.0.0.1:7000", nil); err != nil {
		t.Fatalf("create: %v", err)
	}
	a, err := Open(dir, nil)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return fast(a)
}

// fast spares the disk: what a process's death leaves is the same, and that is what these tests are about.
func fast(a *Account) *Account {
	a.state.db.NoSync = true
	return a
}

// package1 makes one KeyPackage of a, as PublishKeyPackages does, without a server.
func package1(t fataler, a *Account, opts mls.KeyPackageOptions) (public []byte) {
	if err := a.state.update(func(tx *bolt.Tx) (err error) {
		_, public, err = a.newKeyPackage(tx, opts)
		return err
	}); err != nil {
		t.Fatalf("%v", err)
	}
	return public
}

func invite(t fataler, f *fakeServer, a *Account, group string, who *Account) {
	inviteBy(t, f, a, group, who, package1(t, who, mls.KeyPackageOptions{}))
}

// inviteBy invites who by a KeyPackage of theirs.
func inviteBy(t fataler, f *fakeServer, a *Account, group string, who *Account, public []byte) {
	if err := a.stage(group, addingBy(t, who, public), false); err != nil {
		t.Fatalf("stage: %v", err)
	}
	f.flush(t, a, false)
}

// adding is what Invite plans.
func adding(t fataler, who *Account) plan {
	return addingBy(t, who, package1(t, who, mls.KeyPackageOptions{}))
}

func addingBy(t fataler, who *Account, public []byte) plan {
	add, err := mls.Add(public)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return func(*mls.Group) (mls.CommitOptions, []certs.Identity, []certs.Identity, error) {
		return mls.CommitOptions{Proposals: []mls.Proposal{add}}, []certs.Identity{who.id}, nil, nil
	}
}

func texts(t fataler, a *Account) (out []string) {
	if err := a.Unread("", func(m Message) error {
		if m.Kind == KindProblem {
			t.Fatalf("%s: %s", a.id.Short(), m.Text)
		}
		if m.Kind == KindText {
			out = append(out, string(m.Text))
		}
		return nil
	}); err != nil {
		t.Fatalf("unread: %v", err)
	}
	return out
}
