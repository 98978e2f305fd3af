package hotlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quicnprotochat/store"
)

// Commit implements store.Groups. All of it must fit in a quarter of a segment of the log, else it is ErrTooLarge. A Welcome that its queue holds or held
// already is left out.
func (s *Store) Commit(ctx context.Context, c store.Commit) (store.Result, error) {
	if err := store.CheckCommit(&c); err != nil {
		return store.Result{}, err
	}
	if !s.use() {
		return store.Result{}, store.ErrClosed
	}
	defer s.life.RUnlock()
	missing, err := s.holdAll(ctx, len(c.Welcomes), func(i int) ([]store.BlobID, time.Time) { return c.Welcomes[i].Blobs, c.Welcomes[i].Expires })
	if err != nil {
		return store.Result{}, err
	}
	for {
		o := &commitOp{c: &c, noBlob: slices.Contains(missing, true)}
		err := o.prepare(s)
		if err == nil {
			err = s.do(ctx, o)
		}
		if err == nil && !o.stale && o.result.Status == store.Stored {
			o.notify(s)
		}
		o.release()
		switch {
		case err != nil:
			return store.Result{}, err
		case o.err != nil:
			return store.Result{}, o.err
		case !o.stale:
			return o.result, nil
		}
	}
}

// commitOp does a commit.
type commitOp struct {
	c        *store.Commit
	target   target // the group
	changes  []change
	last     *store.Change // that is replaced; nil if none is, or it is not known
	noBlob   bool          // a blob of a Welcome is not there
	welcomes []target
	tree     changes // that were made before: the GroupInfo
	bytes    int
	epoch    uint64 // of the ids, when they were looked up
	stale    bool   // as in enqueueOp
	result   store.Result
	err      error
}

func (o *commitOp) size() (int, int)    { return o.bytes, 2 }
func (o *commitOp) needs() (bool, bool) { return true, true }

func (o *commitOp) release() {
	if o.target.object != nil {
		o.target.object.unpin()
	}
	for i := range o.changes {
		o.changes[i].owner.unpin()
	}
	for i := range o.welcomes {
		o.welcomes[i].object.unpin()
	}
}

func (o *commitOp) prepare(s *Store) (err error) {
	c := o.c
	o.epoch = s.idEpoch.Load()
	if o.target.object, err = s.pinGroup(c.Group); err != nil {
		return err
	}
	if err := s.aim(&o.target, &store.QueueID{Group: c.Group, Shared: true}, &c.ID); err != nil {
		return err
	}
	if err := o.prepareChanges(s); err != nil {
		return err
	}
	n := len(c.Payload)
	for i := range c.Welcomes {
		w := &c.Welcomes[i]
		object, err := s.pin(objectKey{id: w.Queue.Owner})
		if err != nil {
			return err
		}
		o.welcomes = append(o.welcomes, target{object: object})
		if err := s.aim(&o.welcomes[i], &w.Queue, &w.ID); err != nil {
			return err
		}
		n += len(w.Payload)
	}
	s.saveInfo(&o.tree, o.target.object, c.Epoch+1, c.Info)
	n += 1 + len(o.tree) + s.groupChange() + 3 + 17 + 3 + s.tree.seal.size(changeSize(c)) + len(o.changes)*s.readerChange()
	o.bytes = maxForget + manySize(2+len(c.Welcomes), n)
	return nil
}

// maxFormers is how many of those that were removed long ago one commit clears away.
const maxFormers = 64

// prepareChanges pins those whom the commit concerns, each once.
func (o *commitOp) prepareChanges(s *Store) error {
	if o.c.Replaces != 0 {
		last, err := s.lastChange(o.target.object)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && last.Seq == o.c.Replaces {
			o.last = &last
		}
	}
	pin := func(what change) (err error) {
		if what.owner, err = s.pin(objectKey{id: what.ID}); err == nil {
			o.changes = append(o.changes, what)
		}
		return err
	}
	concerned := make(map[store.Identity]bool)
	for _, f := range o.c.Fates(o.last) {
		concerned[f.ID] = true
		if err := pin(change{Fate: f}); err != nil {
			return err
		}
	}
	for _, id := range o.target.object.formers() {
		if concerned[id] {
			continue
		}
		if err := pin(change{Fate: store.Fate{ID: id}, former: true}); err != nil {
			return err
		}
	}
	return nil
}

// formers are some of those that read a group no more and have nothing left to read.
func (o *object) formers() (ids []store.Identity) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.group == nil {
		return nil
	}
	for _, m := range o.group.slowest { // they are at its top, or below another of them
		if m.until != 0 && m.until <= o.group.log.acked {
			if ids = append(ids, m.id); len(ids) == maxFormers {
				break
			}
		}
	}
	return ids
}

func (o *commitOp) decide(b *batch) {
	if o.epoch < b.d.window.retired {
		o.stale = true
		return
	}
	g := o.target.object.group
	if g == nil {
		o.err = fmt.Errorf("%w: group %x", store.ErrNotFound, o.c.Group)
		return
	}
	if seq := b.duplicate(g.log, &o.target); seq != 0 {
		b.s.counters.duplicates.Add(1)
		o.result = store.Result{Status: store.Duplicate, Seq: seq}
		return
	}
	if o.c.Replaces != 0 && o.last == nil && o.c.Replaces == g.changed { // it was not in the tree yet
		o.stale = true
		return
	}
	if o.err = o.check(b, g); o.err != nil {
		return
	}
	if o.noBlob {
		o.result = store.Result{Status: store.NoBlob}
		return
	}
	parts, ok := o.messages(b, g)
	if !ok {
		b.s.counters.quota.Add(1)
		o.result = store.Result{Status: store.QuotaExceeded}
		return
	}
	o.do(b, g, parts)
}

// check returns why a commit is not to be done, but for what a full queue would say.
func (o *commitOp) check(b *batch, g *group) error {
	c, quota := o.c, &b.s.opts.Quota
	if !o.wasMember(g, c.Sender) && !slices.Contains(c.Added, c.Sender) {
		return fmt.Errorf("%w: the sender of a commit", store.ErrNotMember)
	}
	if c.Replaces == 0 && c.Epoch != g.epoch || c.Replaces != 0 && (c.Epoch+1 != g.epoch || g.changed != c.Replaces) {
		return &store.EpochError{Current: g.epoch}
	}
	members, before := g.members, g.members
	for i := range o.changes {
		what := &o.changes[i]
		m := g.readers[what.ID]
		isMember := m != nil && m.until == 0
		switch {
		case what.former:
		case what.counts(m):
			if members++; what.Added && what.owner.memberships >= quota.Groups {
				return fmt.Errorf("%w: one who is added is in %d groups", store.ErrQuota, what.owner.memberships)
			}
		case what.Removed && isMember:
			members--
		case what.Removed && !what.Restored:
			return fmt.Errorf("%w: one to be removed is no member", store.ErrInvalid)
		}
	}
	if o.last != nil {
		before += len(o.last.Removed)
	}
	if members > max(quota.Members, before) {
		return fmt.Errorf("%w: the group would have %d members", store.ErrQuota, members)
	}
	return nil
}

// wasMember says whether somebody was a member before this commit, and before what it replaces.
func (o *commitOp) wasMember(g *group, id store.Identity) bool {
	last := o.last
	if last != nil && last.Seq != g.changed {
		last = nil
	}
	return o.c.WasMember(id, last, g.isMember(&id))
}

// do writes a commit, after which nothing can refuse it.
func (o *commitOp) do(b *batch, g *group, parts []part) {
	object := o.target.object
	seq := parts[0].header.seq
	durable := b.s.durable.Load()
	kept := o.c.Change(seq, func(id store.Identity) bool { return o.wasMember(g, id) })
	b.s.saveChange(&o.tree, object, &kept)
	object.mu.Lock()
	g.epoch, g.changed = kept.Epoch, seq
	for i := range o.changes {
		o.changes[i].apply(&o.tree, b, object, seq, durable)
	}
	object.mu.Unlock()
	b.s.saveGroup(&o.tree, object, g)
	text := append(make([]byte, 0, 1+len(o.tree)), recordTree)
	parts = append(parts, part{text: append(text, o.tree...)})
	b.many(parts)
	b.change(o.tree)
	b.s.counters.stored.Add(uint64(len(parts) - 1))
	o.result = store.Result{Status: store.Stored, Seq: seq}
}

// notify tells all members, those who were removed, and those who got a Welcome.
func (o *commitOp) notify(s *Store) {
	if s.watchers.Load() == 0 {
		return
	}
	s.notifyMembers(o.target.object)
	for i := range o.changes {
		if what := &o.changes[i]; what.Removed {
			s.hub.Notify(store.QueueID{Owner: what.ID, Group: o.c.Group, Shared: true})
		}
	}
	for i := range o.c.Welcomes {
		s.hub.Notify(o.c.Welcomes[i].Queue)
	}
}
