package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

// A message is one that a sender has under way.
type message struct {
	id       client.MessageID
	number   uint64
	intended int64
	to       int    // what the sender's route chose
	queue    string // as in books
	payload  []byte
}

// outcome is what became of a message.
type outcome struct {
	status schemas.EnqueueStatus
	seq    uint64
}

// storedAt is that of a message that got a place.
func storedAt(seq uint64) outcome { return outcome{schemas.EnqueueStatus_stored, seq} }

// transmit hands a batch to the service and returns before the answer, for which wait waits.
type transmit func(ctx context.Context, batch []message) (wait func() ([]outcome, error), err error)

// A sender sends to one queue, or to those that its route chooses, at its pace. Its calls are under way side by side; they are started, and so served, in order.
type sender struct {
	r     *run
	who   int
	queue string // as in books
	send  transmit
	pace  pace
	head  func() []byte // what comes before the stamp; may be nil
	// route, if not nil, chooses for each message in turn where it goes, and names that queue as in books.
	route func() (to int, queue string)

	size   Size
	rng    *rand.Rand
	ids    ids
	number uint64
	// left counts, for each message in the window, at its number modulo the window, the receivers that do not have it yet; nil: it leaves the window when it is stored.
	left  []atomic.Int32
	needs int32
}

// newSender makes a sender to a queue that `receivers` of this process read.
func (r *run) newSender(who int, queue string, receivers, senders int, send transmit) *sender {
	s := &sender{r: r, who: who, queue: queue, send: send, size: r.size, rng: r.cfg.rng(who), ids: r.cfg.newIDs(who), needs: int32(receivers)}
	if r.cfg.Rate > 0 {
		o := newOpen(r.start, r.cfg.Rate/float64(senders), r.cfg.Poisson, r.cfg.rng(who))
		o.end, o.pause = r.to.Load(), int64(r.cfg.Gap)
		s.pace = o
	} else {
		s.pace = newClosed(r.cfg.Window)
		if r.cfg.Received && receivers > 0 {
			s.left = make([]atomic.Int32, r.cfg.Window)
		}
	}
	r.senders.Store(uint32(who), s)
	return s
}

// run sends until ctx or the pace is over, and then waits for the calls under way, which end with calls.
func (s *sender) run(ctx, calls context.Context) error {
	slots := make(chan struct{}, s.r.cfg.Calls)
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	over := func() error {
		wg.Wait()
		select {
		case err := <-failed:
			return err
		default:
			return nil
		}
	}
	for {
		select {
		case slots <- struct{}{}:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return over()
		}
		due := s.pace.next(ctx, s.r.cfg.Batch)
		if len(due) == 0 {
			return over()
		}
		for batch, first := s.compose(due), true; len(batch) > 0; first = false {
			if !first {
				slots <- struct{}{}
			}
			n := fitting(batch)
			if err := s.begin(calls, batch[:n:n], &wg, slots, failed); err != nil {
				return err
			}
			batch = batch[n:]
		}
	}
}

// begin makes a call, and has its answer taken, which gives the slot back.
func (s *sender) begin(calls context.Context, batch []message, wg *sync.WaitGroup, slots <-chan struct{}, failed chan<- error) error {
	wait, err := s.send(calls, batch)
	if err != nil {
		return fmt.Errorf("sender %d: %w", s.who, err)
	}
	wg.Go(func() {
		defer func() { <-slots }()
		if err := s.finish(batch, wait); err != nil {
			select {
			case failed <- fmt.Errorf("sender %d: %w", s.who, err):
			default:
			}
		}
	})
	return nil
}

// callBytes is how much payload goes into one call: half of what a message of the protocol may hold, for encryption pads.
const callBytes = 512 << 10

// fitting is how many messages go into one call, at least one.
func fitting(batch []message) int {
	n, bytes := 0, 0
	for n < len(batch) && (n == 0 || bytes+len(batch[n].payload) <= callBytes) {
		bytes += len(batch[n].payload)
		n++
	}
	return n
}

// compose makes the messages that are due.
func (s *sender) compose(due []int64) []message {
	batch := make([]message, len(due))
	at := now()
	for i, intended := range due {
		s.next()
		var head []byte
		if s.head != nil {
			head = s.head()
		}
		size := s.size(s.rng)
		b := make([]byte, len(head)+size)
		copy(b, head)
		body := b[len(head):]
		s.r.fill(body[stampSize:], s.number)
		stamp{uint32(s.who), s.number, intended}.put(body)
		batch[i] = message{id: s.ids.next(), number: s.number, intended: intended, queue: s.queue, payload: b}
		if s.route != nil {
			batch[i].to, batch[i].queue = s.route()
		}
		if s.r.measured(intended) {
			s.r.rec.record(s.who, Late, intended, at, 1)
		}
	}
	s.r.sent.Add(uint64(len(batch)))
	return batch
}

// next chooses the next message's number: in a window one whose place is not taken. Messages that were refused leave early, so numbers can come round to one that is
// still under way; there are never more of these than places.
func (s *sender) next() {
	s.number++
	if s.left == nil {
		return
	}
	for s.place(s.number).Load() != 0 {
		s.number++
	}
	s.place(s.number).Store(s.needs)
}

func (s *sender) place(number uint64) *atomic.Int32 { return &s.left[number%uint64(len(s.left))] }

// finish takes the answer to a call.
func (s *sender) finish(batch []message, wait func() ([]outcome, error)) error {
	out, err := wait()
	if err != nil {
		return err
	}
	if len(out) != len(batch) {
		return errors.New("another number of outcomes than of messages")
	}
	at, back := now(), 0
	for i, o := range out {
		m := &batch[i]
		switch o.status {
		case schemas.EnqueueStatus_stored, schemas.EnqueueStatus_duplicate:
			s.r.books.stored(m.queue, uint32(s.who), m.number, o.seq)
			s.r.count(at, &s.r.stored) // now: when it was meant to be sent says nothing of what the service can do
			if s.r.measured(m.intended) {
				s.r.rec.record(s.who, Stored, m.intended, at, 1)
			}
			if s.left == nil {
				back++
			}
		default:
			s.r.refuse(o.status)
			if s.left != nil {
				s.place(m.number).Store(0)
			}
			back++
		}
	}
	s.pace.free(back)
	return nil
}

// received tells that one receiver has a message.
func (s *sender) received(number uint64) {
	if s.left != nil && s.place(number).Add(-1) == 0 {
		s.pace.free(1)
	}
}

// toInbox submits to the recipients' inboxes.
func toInbox(session func() *client.Session, to ...certs.Identity) transmit {
	return toQueues(session, func(int) (string, []certs.Identity) { return "", to })
}

// toQueues submits each message to the queues that of gives for what the sender's route chose: of that name, empty for inboxes, and of those recipients.
func toQueues(session func() *client.Session, of func(to int) (group string, who []certs.Identity)) transmit {
	return func(ctx context.Context, batch []message) (func() ([]outcome, error), error) {
		subs := make([]client.Submission, len(batch))
		for i := range batch {
			subs[i] = client.Submission{ID: batch[i].id, Payload: batch[i].payload}
			subs[i].Group, subs[i].Recipients = of(batch[i].to)
		}
		wait, err := session().StartSubmit(ctx, subs)
		if err != nil {
			return nil, err
		}
		return func() ([]outcome, error) {
			res, err := wait()
			out := make([]outcome, len(res))
			for i := range res {
				out[i] = outcome{res[i][0].Status, res[i][0].Seq}
			}
			return out, err
		}, nil
	}
}

// toGroup posts to a group.
func toGroup(session func() *client.Session, group string) transmit {
	return func(ctx context.Context, batch []message) (func() ([]outcome, error), error) {
		posts := make([]client.GroupPost, len(batch))
		for i := range batch {
			posts[i] = client.GroupPost{Group: group, ID: batch[i].id, Payload: batch[i].payload}
		}
		wait, err := session().StartPost(ctx, posts)
		if err != nil {
			return nil, err
		}
		return func() ([]outcome, error) {
			res, err := wait()
			out := make([]outcome, len(res))
			for i := range res {
				out[i] = outcome{res[i].Status, res[i].Seq}
			}
			return out, err
		}, nil
	}
}
