package ds

import (
	"context"
	"sync"
	"time"

	"quicnprotochat/store"
)

// window is how much a stream may have under way that is not acknowledged.
type window struct{ messages, bytes uint32 }

// listener pushes one owner's queues to one connection. While there is nothing to push it has no goroutine: the store's hints decide which queues have a turn; a queue that
// has one has a goroutine of its own (turn), and a second one that reads its acknowledgements.
type listener struct {
	s       *Service
	session Session
	owner   store.Identity
	open    Opener
	window  window
	watcher store.Watcher
	acks    acks

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // it has ended, or will never begin
	turns  sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	queues  map[queueKey]*queue // those that wait, have a turn, or are paused
	waiting []*queue            // who waited longest comes first, but the inbox before all
	active  int                 // turns
	leaving int                 // of these, that are about to end for one that waits
	starved int                 // of these, that the client gives no stream
	notice  *PoolLow            // to be sent on the stream of the inbox
}

// queueKey names a queue among its owner's.
type queueKey struct {
	group  string
	shared bool // the order of the group that all its members read
}

func keyOf(q store.QueueID) queueKey { return queueKey{q.Group, q.Shared} }

func (k queueKey) id(owner store.Identity) store.QueueID {
	return store.QueueID{Owner: owner, Group: k.group, Shared: k.shared}
}

func (k queueKey) inbox() bool { return k == queueKey{} }

// queue is what a listener knows of one queue that has something to push. Its fields belong to listener.mu, but for poke.
type queue struct {
	key     queueKey
	state   state
	news    bool          // came since the turn last looked
	leaving bool          // the turn is about to end for another queue
	poke    chan struct{} // wakes the turn
	pause   *time.Timer   // ends the pause
	backoff time.Duration // of the next pause
}

type state uint8

const (
	waiting state = iota
	active
	paused
)

// newListener subscribes to the owner's hints; begin or discard must follow.
func newListener(s *Service, session Session, owner store.Identity, open Opener, w window) (*listener, error) {
	watcher, err := s.store.Watch(owner)
	if err != nil {
		return nil, err
	}
	l := &listener{
		s: s, session: session, owner: owner, open: open, window: w, watcher: watcher,
		done: make(chan struct{}), queues: make(map[queueKey]*queue),
	}
	l.acks.init(s, owner)
	l.ctx, l.cancel = context.WithCancel(session.Context())
	return l, nil
}

// discard undoes newListener.
func (l *listener) discard() {
	l.cancel()
	l.finish()
}

// stop ends the listener and waits for it.
func (l *listener) stop() {
	l.cancel()
	<-l.done
}

func (l *listener) finish() {
	l.watcher.Close()
	l.s.mu.Lock()
	if l.s.listeners[l.session] == l {
		delete(l.s.listeners, l.session)
	}
	l.s.mu.Unlock()
	close(l.done)
}

// begin pushes what there is, and then what the store has news of, until the listener's context ends.
func (l *listener) begin() {
	context.AfterFunc(l.ctx, l.end)
	l.watcher.Call(l.hear)
	l.do(l.wakeAll)
}

// do runs f beside the turns, unless the listener has ended.
func (l *listener) do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.turns.Go(f)
	}
}

// hear takes the store's hints, in the goroutine of who caused them.
func (l *listener) hear() {
	queues, all := l.watcher.Take()
	if all {
		l.do(l.wakeAll)
	}
	for _, q := range queues {
		l.wake(keyOf(q))
	}
}

// end stops all turns, waits for them, and hands in what was acknowledged.
func (l *listener) end() {
	l.cancel()
	l.mu.Lock()
	l.ended = true
	l.waiting = nil
	for _, q := range l.queues {
		if q.pause != nil {
			q.pause.Stop()
		}
	}
	l.mu.Unlock()
	l.turns.Wait()
	l.acks.close()
	l.finish()
}

// wakeAll wakes every queue of the owner that holds something. If the store fails it tries again later.
func (l *listener) wakeAll() {
	from := store.QueueID{Owner: l.owner}
	for more := true; more; {
		queues, m, err := l.s.store.Queues(l.ctx, from, maxQueues)
		if err != nil {
			if l.ctx.Err() == nil {
				l.s.log.Error("ds: listing queues", "err", err)
				time.AfterFunc(l.limits().RetryMax, func() { l.do(l.wakeAll) })
			}
			return
		}
		for _, q := range queues {
			k := queueKey{q.Group, q.Shared}
			l.wake(k)
			from = k.id(l.owner).Next()
		}
		more = m
	}
}

// wake says that a queue may have something to push.
func (l *listener) wake(k queueKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	q := l.queues[k]
	switch {
	case q == nil:
		q = &queue{key: k, poke: make(chan struct{}, 1)}
		l.queues[k] = q
		l.line(q)
		l.dispatch()
	case q.state == active:
		q.news = true
		q.wake()
	}
}

func (q *queue) wake() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// line puts q at the end of the line, the inbox at its head. l.mu is held.
func (l *listener) line(q *queue) {
	q.state = waiting
	if q.key.inbox() {
		l.waiting = append([]*queue{q}, l.waiting...)
	} else {
		l.waiting = append(l.waiting, q)
	}
}

// dispatch gives turns to those that wait, as far as there is room; if some are left it wakes those that have one, so that
// who is idle makes room. l.mu is held.
func (l *listener) dispatch() {
	for len(l.waiting) > 0 && l.active < l.s.limits.MaxStreams {
		q := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		q.state, q.news = active, false
		l.active++
		l.turns.Go(func() { l.turn(q) })
	}
	if len(l.waiting) > 0 {
		l.nudge()
	}
}

// nudge wakes those that have a turn. l.mu is held.
func (l *listener) nudge() {
	for _, q := range l.queues {
		if q.state == active {
			q.wake()
		}
	}
}

// starveAfter is how long a turn waits for a stream before others make room.
const starveAfter = 100 * time.Millisecond

// openStream opens a stream. A client may allow fewer than MaxStreams: then who is idle closes its own.
func (l *listener) openStream() (PushStream, error) {
	opened, starved := false, false
	timer := time.AfterFunc(starveAfter, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !opened {
			starved = true
			l.starved++
			l.nudge()
		}
	})
	defer timer.Stop()
	s, err := l.open(l.ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	opened = true
	if starved {
		l.starved--
	}
	return s, err
}

func (l *listener) limits() *Limits { return &l.s.limits }

// contested says whether a queue waits for whose turn no other has promised to end.
func (l *listener) contested() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)+l.starved > l.leaving
}

// leave promises to end q's turn for a queue that waits, if there is one for whom nobody else does.
func (l *listener) leave(q *queue) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting)+l.starved <= l.leaving {
		return false
	}
	q.leaving = true
	l.leaving++
	return true
}

// takeNews says whether q had news since the last time.
func (l *listener) takeNews(q *queue) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := q.news
	q.news = false
	return news
}

// progress says that q's reader is alive: the next pause is a short one.
func (l *listener) progress(q *queue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q.backoff = 0
}

// turn serves q until its queue is empty, others want its place, or the stream is over.
func (l *listener) turn(q *queue) {
	end := l.serve(q)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
	if q.leaving {
		q.leaving = false
		l.leaving--
	}
	switch {
	case l.ended:
	case end == endCut:
		l.rest(q)
	case end == endYield || q.news:
		l.line(q)
	default:
		delete(l.queues, q.key)
	}
	if !l.ended {
		l.dispatch()
	}
}

// rest leaves q alone for a while, twice as long each time. l.mu is held.
func (l *listener) rest(q *queue) {
	limits := &l.s.limits
	q.state = paused
	q.backoff = min(max(2*q.backoff, limits.RetryMin), limits.RetryMax)
	q.pause = time.AfterFunc(q.backoff, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		q.pause = nil
		if !l.ended {
			l.line(q)
			l.dispatch()
		}
	})
}
