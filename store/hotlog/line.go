package hotlog

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"quicnprotochat/store"
)

// NewLine implements store.Lines.
func (s *Store) NewLine() store.Line {
	l := &line{s: s}
	l.room = sync.NewCond(&l.mu)
	return l
}

// maxLine is how many bytes of one line's ops may wait for the decider and the disk, if there is more than one op: what a line is given beyond that waits, or a sender of
// much would be served before all others.
const maxLine = 2 * share

// A line hands ops to the decider and does not wait for them. The decider keeps them in order. One that it cannot decide, because ids left the log after they were looked up,
// is done again, and so is what comes after it: all that the decider has seen by then is handed to it once more, in rounds, until one of them leaves nothing.
type line struct {
	s *Store

	mu     sync.Mutex
	under  int        // bytes of ops that have not ended
	room   *sync.Cond // of mu: an op has ended
	behind []*lineOp  // for the next round, in order
	again  bool       // there are rounds: the decider decides nothing of this line meanwhile, but for them
	left   int        // ops of the round that the decider has not seen
	failed []*lineOp  // of the round, outdated once more, or behind one that is: they come before the others
}

// lineOp is one op of a line.
type lineOp struct {
	call  call
	line  *line
	op    storing
	whole *lineCall
	bytes int  // counted in line.under
	round bool // of a round, and counted in line.left
	put   bool // for the next round; of the decider
}

// storing is what enqueueOp and appendOp have in common.
type storing interface {
	op
	prepare(s *Store) error
	outdated() bool
	// notify tells the watchers of what was stored.
	notify(s *Store)
	// hearers is about how many that are, at most.
	hearers() int
	unpin()
	release() // unpins, and forgets the rest
	// fresh is the same op anew, while the decider still holds this one.
	fresh() storing
}

// lineCall is what was handed to a line at once.
type lineCall struct {
	s       *Store
	results []store.Result
	left    atomic.Int32 // ops, and one while they are handed over
	failed  atomic.Pointer[error]
	done    func([]store.Result, error)
}

// Enqueue implements store.Line.
func (l *line) Enqueue(messages []store.Message, done func([]store.Result, error)) {
	if err := store.CheckMessages(messages); err != nil {
		done(nil, err)
		return
	}
	l.start(len(messages), done,
		func(i int) int { return len(messages[i].Payload) },
		func(i int) ([]store.BlobID, time.Time) { return messages[i].Blobs, messages[i].Expires },
		func(from, to int, results []store.Result, missing []bool) storing {
			return &enqueueOp{messages: messages[from:to], results: results, missing: missing}
		})
}

// Append implements store.Line.
func (l *line) Append(posts []store.Post, done func([]store.Result, error)) {
	if err := store.CheckPosts(posts); err != nil {
		done(nil, err)
		return
	}
	l.start(len(posts), done,
		func(i int) int { return len(posts[i].Payload) },
		func(i int) ([]store.BlobID, time.Time) { return posts[i].Blobs, posts[i].Expires },
		func(from, to int, results []store.Result, missing []bool) storing {
			return &appendOp{posts: posts[from:to], results: results, missing: missing}
		})
}

// start hands over n messages, in ops of a share each.
func (l *line) start(n int, done func([]store.Result, error), size func(int) int, blobs func(int) ([]store.BlobID, time.Time),
	make func(from, to int, results []store.Result, missing []bool) storing) {
	s := l.s
	if !s.use() {
		done(nil, store.ErrClosed)
		return
	}
	c := newLineCall(s, n, done)
	defer c.end(nil)
	for from := 0; from < n && c.failed.Load() == nil; {
		to := s.shareEnd(from, n, size)
		missing, err := s.holdAll(context.Background(), to-from, func(i int) ([]store.BlobID, time.Time) { return blobs(from + i) })
		if err != nil {
			c.fail(err)
			return
		}
		o := &lineOp{line: l, whole: c, op: make(from, to, c.results[from:to:to], missing)}
		o.call.op, o.call.line = o, o
		for i := from; i < to; i++ {
			o.bytes += size(i) + maxHeader
		}
		c.left.Add(1)
		l.begin(o.bytes) // first: what is looked up gets old
		if err = o.op.prepare(s); err == nil {
			err = s.submit(&o.call)
		}
		if err != nil {
			o.end(err)
			return
		}
		from = to
	}
}

// begin waits until there is room for an op of n bytes.
func (l *line) begin(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.under > 0 && l.under+n > maxLine {
		l.room.Wait()
	}
	l.under += n
}

func newLineCall(s *Store, n int, done func([]store.Result, error)) *lineCall {
	c := &lineCall{s: s, results: make([]store.Result, n), done: done}
	c.left.Store(1)
	return c
}

func (c *lineCall) fail(err error) { c.failed.CompareAndSwap(nil, &err) }

// end tells of the end of one of the parts of c.
func (c *lineCall) end(err error) {
	if err != nil {
		c.fail(err)
	}
	if c.left.Add(-1) > 0 {
		return
	}
	defer c.s.life.RUnlock()
	if err := c.failed.Load(); err != nil {
		c.done(nil, *err)
		return
	}
	c.done(c.results, nil)
}

func (o *lineOp) size() (int, int)    { return o.op.size() }
func (o *lineOp) needs() (bool, bool) { return o.op.needs() }

func (o *lineOp) decide(b *batch) {
	l := o.line
	l.mu.Lock()
	defer l.mu.Unlock()
	list := &l.behind
	if o.round {
		list = &l.failed
		defer l.seen(o)
	}
	if o.round && len(l.failed) == 0 || !l.again {
		o.op.decide(b)
		if !o.op.outdated() {
			return
		}
	}
	o.put = true
	*list = append(*list, &lineOp{line: l, whole: o.whole, op: o.op.fresh(), bytes: o.bytes})
	if !l.again {
		l.again = true
		l.s.ended.Go(l.catchUp)
	}
}

// seen notes that an op of the round needs the decider no more; after the last one comes the next round, if there is something for it. l.mu is held.
func (l *line) seen(o *lineOp) {
	o.round = false
	if l.left--; l.left > 0 {
		return
	}
	l.behind, l.failed = append(l.failed, l.behind...), nil
	if l.again = len(l.behind) > 0; l.again {
		l.s.ended.Go(l.catchUp)
	}
}

// fewHearers are told of news by the decider itself; to tell more would hold up everybody.
const fewHearers = 32

// end is called when the decider is through with o.
func (o *lineOp) end(err error) {
	s := o.line.s
	switch {
	case o.put:
		o.op.release()
	case err == nil && s.watchers.Load() > 0 && o.op.hearers() > fewHearers:
		s.ended.Go(func() { o.tell(nil) })
	default:
		o.tell(err)
	}
}

// tell tells of the end of o.
func (o *lineOp) tell(err error) {
	l := o.line
	if err == nil {
		o.op.notify(l.s)
	}
	o.op.release()
	l.mu.Lock()
	if o.round { // the decider has not even looked at it
		l.seen(o)
	}
	l.under -= o.bytes
	l.room.Signal()
	l.mu.Unlock()
	o.whole.end(err)
}

// catchUp hands over a round.
func (l *line) catchUp() {
	l.mu.Lock()
	round := l.behind
	l.behind, l.left = nil, len(round)
	l.mu.Unlock()
	for _, o := range round {
		o.call.op, o.call.line, o.round = o, o, true
		err := o.op.prepare(l.s)
		if err == nil {
			err = l.s.submit(&o.call)
		}
		if err != nil {
			o.end(err)
		}
	}
}
