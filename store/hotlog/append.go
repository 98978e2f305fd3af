package hotlog

import (
	"context"
	"time"

	"quicnprotochat/store"
)

// Append implements store.Groups.
func (s *Store) Append(ctx context.Context, posts []store.Post) ([]store.Result, error) {
	if err := store.CheckPosts(posts); err != nil {
		return nil, err
	}
	if !s.use() {
		return nil, store.ErrClosed
	}
	defer s.life.RUnlock()
	results := make([]store.Result, len(posts))
	for done := 0; done < len(posts); {
		end := s.shareEnd(done, len(posts), func(i int) int { return len(posts[i].Payload) })
		if err := s.append(ctx, posts[done:end], results[done:end]); err != nil {
			return nil, err
		}
		done = end
	}
	return results, nil
}

func (s *Store) append(ctx context.Context, posts []store.Post, results []store.Result) error {
	missing, err := s.holdAll(ctx, len(posts), func(i int) ([]store.BlobID, time.Time) { return posts[i].Blobs, posts[i].Expires })
	if err != nil {
		return err
	}
	o := &appendOp{posts: posts, results: results, missing: missing}
	defer o.release()
	if err := s.finish(ctx, o); err != nil {
		return err
	}
	o.notify(s)
	return nil
}

// appendOp stores posts.
type appendOp struct {
	posts   []store.Post
	results []store.Result
	missing []bool // as in enqueueOp
	targets []target
	bytes   int
	epoch   uint64 // of the ids, when they were looked up
	stale   bool   // as in enqueueOp
}

func (o *appendOp) size() (int, int)    { return o.bytes, len(o.posts) }
func (o *appendOp) needs() (bool, bool) { return true, true }
func (o *appendOp) outdated() bool      { return o.stale }
func (o *appendOp) unpin()              { o.targets = unpinned(o.targets) }
func (o *appendOp) release()            { o.unpin() }

func (o *appendOp) fresh() storing {
	return &appendOp{posts: o.posts, results: o.results, missing: o.missing}
}

func (o *appendOp) prepare(s *Store) error {
	o.bytes, o.stale = 0, false
	o.epoch = s.idEpoch.Load()
	for i := range o.posts {
		p := &o.posts[i]
		object, err := s.pinGroup(p.Group)
		if err != nil {
			return err
		}
		o.targets = append(o.targets, target{object: object, noBlob: o.missing != nil && o.missing[i]})
		if err := s.aim(&o.targets[i], &store.QueueID{Group: p.Group, Shared: true}, &p.ID); err != nil {
			return err
		}
		o.bytes += maxHeader + len(p.Payload)
	}
	return nil
}

// aim fills in what a target with an object still needs.
func (s *Store) aim(t *target, q *store.QueueID, id *store.MessageID) (err error) {
	t.name = s.names.stream(q)
	t.id = s.names.id(&t.name, id)
	t.known, err = s.ids.find(&t.id, s.opts.Clock())
	return err
}

func (o *appendOp) decide(b *batch) {
	if o.epoch < b.d.window.retired {
		o.stale = true
		return
	}
	for i := range o.posts {
		o.results[i] = b.post(&o.posts[i], &o.targets[i])
	}
}

// post decides one post.
func (b *batch) post(p *store.Post, t *target) store.Result {
	o, c := t.object, &b.s.counters
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.group
	if g == nil {
		return store.Result{Status: store.NoGroup}
	}
	if seq := b.duplicate(g.log, t); seq != 0 {
		c.duplicates.Add(1)
		return store.Result{Status: store.Duplicate, Seq: seq}
	}
	switch {
	case !g.isMember(&p.Sender):
		return store.Result{Status: store.NotMember}
	case p.Current && p.Epoch != g.epoch:
		return store.Result{Status: store.WrongEpoch}
	case t.noBlob:
		return store.Result{Status: store.NoBlob}
	case !b.fits(g.log, len(p.Payload)):
		c.quota.Add(1)
		return store.Result{Status: store.QuotaExceeded}
	}
	h := b.header(g.log, len(p.Payload), &p.ID, b.s.expires(b.ms, p.Expires))
	record, pos := b.record(h.size() + len(p.Payload))
	copy(record[len(h.append(record[:0])):], p.Payload)
	b.push(g.log, &h, record, pos, 0, uint32(len(record)))
	b.remember(t.id, h.seq, pos)
	c.stored.Add(1)
	return store.Result{Status: store.Stored, Seq: h.seq}
}

// notify tells the members of each group once.
func (o *appendOp) notify(s *Store) {
	if s.watchers.Load() == 0 {
		return
	}
	told := make(map[*object]bool, 1)
	for i := range o.posts {
		if object := o.targets[i].object; o.results[i].Status == store.Stored && !told[object] {
			told[object] = true
			s.notifyMembers(object)
		}
	}
}

func (o *appendOp) hearers() (n int) {
	for i := range o.targets {
		object := o.targets[i].object
		if i > 0 && object == o.targets[i-1].object {
			continue
		}
		object.mu.Lock()
		if g := object.group; g != nil {
			n += g.members
		}
		object.mu.Unlock()
	}
	return n
}

// notifyMembers tells the members of a group that its log has news.
func (s *Store) notifyMembers(o *object) {
	o.mu.Lock()
	g := o.group
	if g == nil {
		o.mu.Unlock()
		return
	}
	members := g.hearers()
	o.mu.Unlock()
	for _, id := range members {
		s.hub.Notify(store.QueueID{Owner: id, Group: g.id, Shared: true})
	}
}
