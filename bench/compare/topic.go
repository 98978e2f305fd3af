package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A topic is one sender and its recipients: a closed loop.
type topic struct {
	r         *run
	id        int
	pub       publisher
	receivers []*receiver

	sent uint64 // of the goroutine in send, and read after it
	// left counts, for each message in the window, the recipients that do not have it yet, and one more until it is acknowledged.
	left  []atomic.Int32
	room  atomic.Int64 // in the window
	news  chan struct{}
	acked uint64 // of the broker's goroutine
}

// A receiver is one recipient. Its broker calls deliver for one message after another.
type receiver struct {
	t       *topic
	last    uint64 // number of the last message
	count   uint64 // that came in the measured time
	latency *hdrhistogram.Histogram
}

func newTopic(r *run, id, members int) *topic {
	t := &topic{r: r, id: id, left: make([]atomic.Int32, r.cfg.window), news: make(chan struct{}, 1)}
	t.room.Store(int64(r.cfg.window))
	for range members {
		t.receivers = append(t.receivers, &receiver{t: t, latency: newHistogram()})
	}
	return t
}

// send sends whenever there is room, until the measured time is over, and waits until the window is empty. A message is meant to be sent when there
// is room for it.
func (t *topic) send(ctx context.Context) error {
	end := time.NewTimer(time.Duration(t.r.to - t.r.now()))
	defer end.Stop()
	for {
		if n := int(t.room.Load()); n > 0 && t.r.now() < t.r.to {
			t.room.Add(int64(-n))
			if err := t.pub.publish(t.compose(n)); err != nil {
				return err
			}
			continue
		}
		select {
		case <-t.news:
		case <-end.C:
			return t.empty(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (t *topic) compose(n int) [][]byte {
	size := t.r.cfg.size
	batch, all, at := make([][]byte, n), make([]byte, n*size), t.r.now()
	for i := range batch {
		batch[i] = all[i*size : (i+1)*size : (i+1)*size]
		t.sent++
		t.left[t.sent%uint64(len(t.left))].Store(int32(len(t.receivers) + 1))
		stamp{uint32(t.id), t.sent, at}.put(batch[i])
	}
	return batch
}

// empty waits until every message is acknowledged and delivered.
func (t *topic) empty(ctx context.Context) error {
	limit := time.NewTimer(t.r.cfg.drain)
	defer limit.Stop()
	for t.room.Load() < int64(len(t.left)) {
		select {
		case <-t.news:
		case <-limit.C:
			return fmt.Errorf("%w: %d messages of topic %d were not acknowledged or not delivered to all in %v",
				errViolation, int64(len(t.left))-t.room.Load(), t.id, t.r.cfg.drain)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// acknowledged is told that the server has n more messages.
func (t *topic) acknowledged(n int) {
	if at := t.r.now(); at >= t.r.from && at < t.r.to {
		t.r.acked.Add(uint64(n))
	}
	for range n {
		t.acked++
		t.done(t.acked)
	}
}

// done is told that a message is acknowledged, or that one more recipient has it. All are in order, so messages leave the window in order.
func (t *topic) done(number uint64) {
	if t.left[number%uint64(len(t.left))].Add(-1) > 0 {
		return
	}
	t.room.Add(1)
	select {
	case t.news <- struct{}{}:
	default:
	}
}

func (v *receiver) deliver(payload []byte) {
	at := v.t.r.now()
	st, ok := readStamp(payload)
	if !ok || len(payload) != v.t.r.cfg.size || st.topic != uint32(v.t.id) || st.number != v.last+1 {
		v.t.r.failed(fmt.Errorf("%w: topic %d: message %d of topic %d, %d bytes, after message %d", errViolation, v.t.id, st.number, st.topic, len(payload), v.last))
		return
	}
	v.last++
	if at >= v.t.r.from && at < v.t.r.to {
		v.count++
	}
	if st.intended >= v.t.r.from && st.intended < v.t.r.to {
		_ = v.latency.RecordValue(min(max(1, (at-st.intended)/1000), v.latency.HighestTrackableValue()))
	}
	v.t.done(st.number)
}
