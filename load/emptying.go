package load

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"quicnprotochat/client"
)

var errEmptied = errors.New("all messages are here")

// empty connects the recipients, Config.Parallel at a time, until each has what is stored for it.
func (b *backlog) empty(ctx context.Context, p *progress) error {
	stored := b.r.books.snapshot()
	return b.r.each(ctx, len(b.who), func(ctx context.Context, i int) error {
		v := &visit{b: b, recipient: i, stored: stored, progress: p, trackers: make(map[client.Queue]*tracker), queues: make(map[client.Queue]int)}
		return v.run(ctx)
	})
}

// A visit is a recipient who comes, takes what is there and goes.
type visit struct {
	b         *backlog
	recipient int
	stored    map[string]digest
	progress  *progress
	queues    map[client.Queue]int

	mu       sync.Mutex
	trackers map[client.Queue]*tracker
	waiting  int // queues that are not complete
	over     context.CancelCauseFunc
}

func (v *visit) run(ctx context.Context) error {
	r, per := v.b.r, v.b.r.cfg.PerClient
	who := v.b.client(v.recipient)
	for q := v.recipient * per; q < min((v.recipient+1)*per, r.cfg.Queues); q++ {
		name := v.b.names[q]
		if v.stored[name].Count == 0 {
			continue
		}
		t := newTracker(name, who, &r.faults)
		t.seq = v.b.last[q] // what was taken in the round before does not come again
		v.trackers[v.b.queue(q)], v.queues[v.b.queue(q)] = t, q
		v.waiting++
	}
	if v.waiting == 0 {
		return nil
	}
	s, err := r.dial(ctx, who)
	if err != nil {
		return err
	}
	defer r.hangUp(s)
	start := now()
	limit, cancel := context.WithTimeout(ctx, r.cfg.Drain)
	defer cancel()
	limit, v.over = context.WithCancelCause(limit)
	defer v.over(nil)
	if err := s.Listen(limit, client.ListenOptions{}, v.handle); !errors.Is(err, errEmptied) && (ctx.Err() != nil || limit.Err() == nil) {
		return fmt.Errorf("client %d: %w", who, err)
	}
	if err := v.leave(ctx, s); err != nil {
		return fmt.Errorf("client %d: %w", who, err)
	}
	r.rec.record(who, Drained, start, now(), 1)
	return nil
}

func (v *visit) handle(_ context.Context, q client.Queue, batch []client.Envelope) error {
	r := v.b.r
	t := v.trackers[q]
	if t == nil {
		r.faults.add("client %d: messages in a queue that has none, %q", v.b.client(v.recipient), q.Group)
		return nil
	}
	fresh := 0
	for i := range batch {
		if !t.place(batch[i].Seq) {
			continue
		}
		st, ok := readStamp(batch[i].Payload)
		if !ok {
			r.faults.add("%s: place %d holds no message of ours", t.queue, batch[i].Seq)
			continue
		}
		if !r.intact(batch[i].Payload, st) {
			r.faults.add("%s: the message at place %d is not what was sent", t.queue, batch[i].Seq)
		}
		fresh++
		t.take(st, batch[i].Seq)
		r.countN(now(), &r.bytes, uint64(len(batch[i].Payload)))
	}
	r.countN(now(), &r.delivered, uint64(fresh))
	v.progress.add(fresh)
	if t.done(v.stored[t.queue]) {
		v.complete()
	}
	return nil
}

// complete ends the visit with the last queue. A queue is complete once: nobody sends any more.
func (v *visit) complete() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.waiting--; v.waiting == 0 {
		v.over(errEmptied)
	}
}

// leave compares, and acknowledges by a call, because who hangs up does not know what became of acknowledgements on their way.
func (v *visit) leave(ctx context.Context, s *client.Session) error {
	var cursors []client.Cursor
	for q, t := range v.trackers {
		t.end(v.stored[t.queue])
		v.b.last[v.queues[q]] = t.seq
		cursors = append(cursors, client.Cursor{Queue: q, Seq: t.seq})
	}
	return s.Acknowledge(ctx, cursors)
}
