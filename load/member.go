package load

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/mls"
)

// A member is one client of a group with real MLS. Its state is in memory only: a member that ends has no next life.
type member struct {
	r     *run
	who   int
	queue client.Queue
	name  string // of the queue, as in books
	id    certs.Identity
	mls   *mls.Identity
	link  *link
	// late is set for one that comes and goes: it must miss nothing while it is a member.
	late bool

	mu       sync.Mutex
	group    *mls.Group // nil: it is not a member
	since    uint64     // the epoch that it became a member with
	changed  chan struct{}
	packages []*mls.KeyPackageBundle
	own      map[client.MessageID]stamp // posted, and not come back yet
	commits  map[client.MessageID]bool  // handed in, and not come back yet
	pending  client.MessageID           // the commit that group has staged
	inbox    uint64                     // the last place of the inbox that was taken
	order    uint64                     // and of the group's order
	acked    uint64                     // that was acknowledged of it
	again    repeats                    // of it
	tracker  *tracker                   // of the present membership, or of the last one
	waiting  []int64                    // intended times of what is to be acknowledged
}

const (
	suite = mls.X25519_AES128GCM_SHA256_Ed25519
	// pastEpochs is for how many past epochs a message is readable. A busy group has many a second, and what is sent in one may be stored some later.
	pastEpochs = 16
)

func policy() mls.Policy {
	return mls.Policy{PastEpochs: pastEpochs, Validate: func(c mls.Credential, ctx mls.CredentialContext) error {
		if c.Type != mls.CredentialBasic || !bytes.Equal(c.Identity, ctx.SignatureKey) {
			return mls.ErrCredential
		}
		return nil
	}}
}

// newMember makes client `who`, to be a member of group g.
func (r *run) newMember(who, g int, late bool) (*member, error) {
	key, id := r.cfg.identity(who), r.cfg.identityOf(who)
	identity, err := mls.NewBasicIdentity(suite, key, id[:])
	if err != nil {
		return nil, err
	}
	m := &member{
		r: r, who: who, queue: client.Queue{Group: r.cfg.group(g), Shared: true}, name: groupName(g), id: id, mls: identity, late: late,
		changed: make(chan struct{}), own: make(map[client.MessageID]stamp), commits: make(map[client.MessageID]bool),
	}
	m.link = &link{who: who, listen: m.listen}
	return m, nil
}

// listen takes what is pushed until the connection ends.
func (m *member) listen(ctx context.Context, s *client.Session, started func()) error {
	m.mu.Lock()
	var cursors []client.Cursor
	if m.inbox > 0 {
		cursors = append(cursors, client.Cursor{Seq: m.inbox})
	}
	m.again = repeats{}
	if m.order > 0 && m.group != nil {
		cursors = append(cursors, client.Cursor{Queue: m.queue, Seq: m.order})
	} else { // who is no member any more has no cursor to give
		m.again = repeats{m.acked + 1, m.order}
	}
	m.mu.Unlock()
	return s.Listen(ctx, client.ListenOptions{Cursors: cursors, Started: started, Acknowledged: m.acknowledged}, m.handle)
}

// change tells those who wait that something about the member is new. The caller holds mu.
func (m *member) change() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// await waits until cond, which is called with mu held, is true.
func (m *member) await(ctx context.Context, cond func() bool) error {
	for {
		m.mu.Lock()
		ok, changed := cond(), m.changed
		m.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (m *member) isIn() bool  { return m.group != nil }
func (m *member) isOut() bool { return m.group == nil }

// found makes the group, with the member as its only one.
func (m *member) found(ctx context.Context) error {
	g, err := mls.NewGroup([]byte(m.queue.Group), m.mls, mls.GroupOptions{Policy: policy()})
	if err != nil {
		return err
	}
	info, err := g.GroupInfo(mls.GroupInfoOptions{})
	if err != nil {
		return err
	}
	m.enter(g)
	return m.link.retry(ctx, func(ctx context.Context, s *client.Session) error {
		return s.CreateGroup(ctx, m.queue.Group, g.Epoch(), info)
	})
}

// enter begins a membership.
func (m *member) enter(g *mls.Group) {
	g.Saved()
	t := newTracker(m.name, m.who, &m.r.faults)
	t.late = m.late
	m.mu.Lock()
	m.group, m.tracker, m.since = g, t, g.Epoch()
	m.change()
	m.mu.Unlock()
	m.r.track(t)
}

// publish hands a fresh KeyPackage to the service. An attempt whose answer was lost leaves one that nobody may ever use.
func (m *member) publish(ctx context.Context) error {
	return m.link.retry(ctx, func(ctx context.Context, s *client.Session) error {
		b, err := mls.NewKeyPackage(m.mls, mls.KeyPackageOptions{})
		if err != nil {
			return err
		}
		m.mu.Lock()
		m.packages = append(m.packages, b)
		m.mu.Unlock()
		_, err = s.UploadKeyPackages(ctx, [][]byte{b.Public()})
		return err
	})
}

// join uses a Welcome, if it is for one of the member's KeyPackages.
func (m *member) join(welcome []byte) error {
	refs, err := mls.WelcomeRefs(welcome)
	if err != nil {
		return err
	}
	m.mu.Lock()
	var bundle *mls.KeyPackageBundle
	for i, b := range m.packages {
		for _, ref := range refs {
			if bytes.Equal(b.Ref(), ref) {
				bundle = b
				m.packages = append(m.packages[:i:i], m.packages[i+1:]...)
				break
			}
		}
		if bundle != nil {
			break
		}
	}
	m.mu.Unlock()
	if bundle == nil {
		return fmt.Errorf("a Welcome for no KeyPackage of client %d", m.who)
	}
	g, err := mls.Join(welcome, bundle, m.mls, mls.JoinOptions{Policy: policy()})
	bundle.Wipe()
	if err != nil {
		return err
	}
	m.enter(g)
	return nil
}

// leafOf finds somebody in the group; the caller holds mu.
func (m *member) leafOf(id certs.Identity) (leaf uint32, ok bool) {
	if m.group == nil {
		return 0, false
	}
	for _, x := range m.group.Members() {
		if bytes.Equal(x.Credential.Identity, id[:]) {
			return x.Leaf, true
		}
	}
	return 0, false
}
