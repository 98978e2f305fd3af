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
// is done again by a goroutine, and what comes after it waits behind it.
type line struct {
	s *Store

	mu     sync.Mutex
	under  int        // bytes of ops that have not ended
	room   *sync.Cond // of mu: an op has ended
	behind []*lineOp  // to be done again, in order
	again  bool       // a goroutine does: the decider decides nothing of this line meanwhile, but for that
}

// lineOp is one op of a line.
type lineOp struct {
	call  call
	line  *line
	op    storing
	whole *lineCall
	bytes int  // counted in line.under
	put   bool // among those that are behind; of the decider
}

// storing is what enqueueOp and appendOp have in common.
type storing interface {
	op
	prepare(s *Store) error
	outdated() bool
	// notify tells the watchers of what was stored.
	notify(s *Store)
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
	if !l.again {
		o.op.decide(b)
		if !o.op.outdated() {
			return
		}
		l.again = true
		l.s.ended.Go(l.catchUp)
	}
	o.put = true
	l.behind = append(l.behind, &lineOp{line: l, whole: o.whole, op: o.op.fresh(), bytes: o.bytes})
}

// end is called when the decider is through with o.
func (o *lineOp) end(err error) {
	moved := o.put
	if !moved && err == nil {
		o.op.notify(o.line.s)
	}
	o.op.release()
	if moved {
		return
	}
	l := o.line
	l.mu.Lock()
	l.under -= o.bytes
	l.room.Signal()
	l.mu.Unlock()
	o.whole.end(err)
}

// catchUp does what is behind, until nothing is.
func (l *line) catchUp() {
	for {
		l.mu.Lock()
		if len(l.behind) == 0 {
			l.behind, l.again = nil, false
			l.mu.Unlock()
			return
		}
		o := l.behind[0]
		l.behind[0] = nil
		l.behind = l.behind[1:]
		l.mu.Unlock()
		o.end(l.s.finish(context.Background(), o.op))
	}
}
