package client

import (
	"sync"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/schemas"
)

// ackPause is the least time between two acknowledgements of one queue. An acknowledgement costs the server as much as a message, and each stands for all before it.
const ackPause = 20 * time.Millisecond

// What makes acknowledgements go before their time, or half of the window that the server grants, should that be less: it is never to wait for them.
const (
	ackMessages = 256
	ackBytes    = 1 << 20
)

// acker acknowledges what one stream brought: at once what comes after a pause, together what comes in a stream. Safe for concurrent use.
type acker struct {
	stream pushStream
	queue  Queue
	done   func(q Queue, upTo uint64) // ListenOptions.Acknowledged

	most, mostBytes int // that gather

	mu       sync.Mutex
	msg      *capnp.Message // reused
	ack      schemas.PushAck
	upTo     uint64
	messages int // not acknowledged yet
	bytes    int
	next     time.Time   // when the next one may go
	timer    *time.Timer // nil: none yet
	err      error       // of the last write
}

func newAcker(stream pushStream, open *opened, done func(Queue, uint64)) *acker {
	return &acker{stream: stream, queue: open.queue, done: done, most: int(min(ackMessages, open.messages/2)), mostBytes: int(min(ackBytes, open.bytes/2))}
}

// add notes that a batch was taken. Its error is that of an earlier acknowledgement, too.
func (a *acker) add(batch []Envelope) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	waiting := a.messages > 0
	a.upTo = batch[len(batch)-1].Seq
	a.messages += len(batch)
	for i := range batch {
		a.bytes += len(batch[i].Payload)
	}
	left := time.Until(a.next)
	switch {
	case left <= 0 || a.messages >= a.most || a.bytes >= a.mostBytes:
		a.send()
	case waiting: // for the timer
	case a.timer == nil:
		a.timer = time.AfterFunc(left, a.flush)
	default:
		a.timer.Reset(left)
	}
	return a.err
}

// flush acknowledges what has gathered.
func (a *acker) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send()
}

// stop flushes, if the stream still can, and ends the timer.
func (a *acker) stop() {
	a.flush()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
}

// send writes what has gathered. a.mu is held.
func (a *acker) send() {
	if a.messages == 0 || a.err != nil {
		return
	}
	if a.msg == nil {
		if a.err = a.make(); a.err != nil {
			return
		}
	}
	a.ack.SetUpTo(a.upTo)
	if a.err = a.stream.WriteMessage(a.msg); a.err != nil {
		return
	}
	a.messages, a.bytes, a.next = 0, 0, time.Now().Add(ackPause)
	if a.done != nil {
		a.done(a.queue, a.upTo)
	}
}

func (a *acker) make() error {
	msg, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return err
	}
	if a.ack, err = schemas.NewRootPushAck(seg); err != nil {
		return err
	}
	a.msg = msg
	return nil
}
