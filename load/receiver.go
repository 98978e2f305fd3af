package load

import (
	"context"
	"sync"

	"quicnprotochat/client"
)

// A receiver takes what is pushed to one client, checks it, and measures when it came.
type receiver struct {
	r   *run
	who int
	// queue names a queue as in books; empty: what comes there is not of the run.
	queue func(client.Queue) string
	// unseal finds the stamped part of an envelope; false: it carries no message of ours (a commit, say).
	unseal func(client.Queue, client.Envelope) (body []byte, ok bool, err error)
	late   bool

	mu       sync.Mutex
	trackers map[client.Queue]*tracker
	waiting  map[client.Queue][]int64 // intended times of what is to be acknowledged
}

func (r *run) newReceiver(who int, queue func(client.Queue) string) *receiver {
	return &receiver{r: r, who: who, queue: queue, unseal: opaque, trackers: make(map[client.Queue]*tracker), waiting: make(map[client.Queue][]int64)}
}

// opaque is unseal for payloads that are no real MLS.
func opaque(q client.Queue, e client.Envelope) ([]byte, bool, error) {
	if !q.Shared {
		return e.Payload, true, nil
	}
	content, body, ok := unframe(e.Payload)
	return body, ok && content == contentApplication, nil
}

// expect makes the tracker of a queue that must be complete, even if nothing comes.
func (v *receiver) expect(q client.Queue) *tracker {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.trackers[q]
	if t == nil {
		t = newTracker(v.queue(q), v.who, &v.r.faults)
		t.late = v.late
		v.trackers[q] = t
		v.r.track(t)
	}
	return t
}

// listen takes what is pushed until ctx or the session ends, and returns why. What an earlier session has brought and not acknowledged may come once more.
func (v *receiver) listen(ctx context.Context, s *client.Session, started func()) error {
	var cursors []client.Cursor
	v.mu.Lock()
	for q, t := range v.trackers {
		if seq := t.reconnected(); seq > 0 {
			cursors = append(cursors, client.Cursor{Queue: q, Seq: seq})
		}
	}
	v.mu.Unlock()
	return s.Listen(ctx, client.ListenOptions{Cursors: cursors, Started: started, Acknowledged: v.acknowledged}, v.handle)
}

func (v *receiver) handle(_ context.Context, q client.Queue, batch []client.Envelope) error {
	if v.queue(q) == "" {
		return nil
	}
	t := v.expect(q)
	var intended []int64
	for i := range batch {
		if !t.place(batch[i].Seq) {
			v.r.redelivered.Add(1)
			continue
		}
		body, ok, err := v.unseal(q, batch[i])
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		st, ok := readStamp(body)
		if !ok {
			v.r.faults.add("%s, receiver %d: place %d holds no message of ours", t.queue, v.who, batch[i].Seq)
			continue
		}
		if !v.r.intact(body, st) {
			v.r.faults.add("%s, receiver %d: the message at place %d is not what was sent", t.queue, v.who, batch[i].Seq)
		}
		t.take(st, batch[i].Seq)
		v.r.arrived(v.who, st, len(batch[i].Payload))
		if v.r.measured(st.intended) && st.sender != uint32(v.who) {
			intended = append(intended, st.intended)
		}
	}
	v.mu.Lock()
	v.waiting[q] = append(v.waiting[q], intended...)
	v.mu.Unlock()
	return nil
}

func (v *receiver) acknowledged(q client.Queue, upTo uint64) {
	v.mu.Lock()
	if t := v.trackers[q]; t != nil {
		t.acknowledged(upTo)
	}
	intended := v.waiting[q]
	delete(v.waiting, q)
	v.mu.Unlock()
	at := now()
	for _, t := range intended {
		v.r.rec.record(v.who, Acked, t, at, 1)
	}
}
