package ds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
)

// ending says why a turn is over.
type ending uint8

const (
	endIdle  ending = iota // nothing more to push for now
	endYield               // there is more, but others wait
	endCut                 // the stream is broken: slow, hostile, refused, or the store failed
)

// Urgencies of streams, RFC 9218: the inbox goes before all, what is large after.
const (
	urgencyInbox  = 1
	urgencyNormal = 3
	urgencyLarge  = 5
	largeFrame    = 64 << 10 // bytes
)

// push is one turn of a queue on an open stream. Only its goroutine uses it, but for what mu guards.
type push struct {
	l      *listener
	q      *queue
	id     store.QueueID
	stream PushStream
	next   uint64           // everything below was sent, or needs no sending
	large  bool             // the last frame was
	first  []store.Delivery // read before there was a stream, and not sent yet
	timer  *time.Timer      // of wait; nil: none yet

	mu       sync.Mutex
	sent     uint64 // highest seq that went out on this stream
	acked    uint64
	inFlight []sentMessage // ascending, above acked
	bytes    uint64        // payload in flight
	eager    bool          // an acknowledgement is news for who sends
	ended    error         // why the reader has ended
}

// firstBytes bounds what is read of a queue before there is a stream for it: most queues hold less, and who never takes a stream makes us hold no more.
const firstBytes = 16 << 10

// serve pushes q, if there is something, over a stream that it opens for it.
func (l *listener) serve(q *queue) ending {
	id := q.key.id(l.owner)
	start := l.acks.last(q.key)
	first, cursor, some, err := l.peek(id, start)
	if err != nil {
		return l.broken(q, "read", err)
	}
	if !some && !l.hasNotice(q) {
		return endIdle
	}
	stream, err := l.openStream()
	if err != nil {
		return l.broken(q, "open", err)
	}
	start = max(start, cursor)
	p := &push{l: l, q: q, id: id, stream: stream, next: start + 1, acked: start, sent: start, first: first}
	l.s.counts.streams.Add(1)
	l.s.counts.opened.Add(1)
	defer l.s.counts.streams.Add(^uint64(0))
	return p.run()
}

// peek looks whether there is something to push above start, and returns what is worth keeping until there is a stream for it. What is large is read again then, and so is
// a group's order, whose frames are made for all members at once.
func (l *listener) peek(id store.QueueID, start uint64) (first []store.Delivery, cursor uint64, some bool, err error) {
	messages, bytes := 1, 1
	if !id.Shared {
		messages, bytes = min(int(l.window.messages), maxPage), min(int(l.window.bytes), firstBytes)
	}
	page, err := l.s.store.Read(l.ctx, id, start, messages, bytes)
	if err == nil && !id.Shared && payloads(page.Messages) <= firstBytes {
		first = page.Messages
	}
	return first, page.Acknowledged, len(page.Messages) > 0, err
}

// broken logs what ended a turn, unless the connection is over.
func (l *listener) broken(q *queue, what string, err error) ending {
	if l.ctx.Err() != nil {
		return endIdle
	}
	l.s.counts.cut.Add(1)
	level := slog.LevelInfo
	if se := (*quicrpc.StreamError)(nil); errors.Is(err, io.EOF) || errors.As(err, &se) && se.Remote && se.Code == quicrpc.StreamErrNone {
		level = slog.LevelDebug // a client that has enough, or is about to go
	}
	l.s.log.Log(l.ctx, level, "ds: push interrupted", "what", what, "inbox", q.key.inbox(), "err", err)
	return endCut
}

// run serves the stream to its end, and ends it.
func (p *push) run() ending {
	stop := context.AfterFunc(p.l.ctx, func() { p.stream.Cancel(quicrpc.StreamErrShuttingDown) })
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.read()
	}()
	end, err := p.send(ended)
	if err != nil {
		p.stream.Cancel(quicrpc.StreamErrInternal)
		end = p.l.broken(p.q, "send", p.reason(err))
	} else {
		_ = p.stream.Close()
	}
	<-ended
	return end
}

// reason prefers what the reader found to what a write that it cut short returns.
func (p *push) reason(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(p.ended, errAck) {
		return p.ended
	}
	return err
}

// read takes the peer's acknowledgements until the stream ends.
func (p *push) read() {
	for {
		m, err := p.stream.ReadMessage()
		if err == nil {
			err = p.acknowledged(m)
		}
		if err != nil {
			p.mu.Lock()
			p.ended = err
			p.mu.Unlock()
			return
		}
		if p.wants() {
			p.q.wake()
		}
	}
}

// wants says whether who sends waits for acknowledgements. Waking it for nothing is a good part of what a message costs.
func (p *push) wants() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.eager
}

func (p *push) setEager(eager bool) {
	p.mu.Lock()
	p.eager = eager
	p.mu.Unlock()
}

// errAck says that a peer acknowledged what it was not sent.
var errAck = errors.New("ds: acknowledgement above what was delivered")

func (p *push) acknowledged(m *capnp.Message) error {
	upTo, err := readAck(m)
	if err == nil {
		p.mu.Lock()
		if upTo > p.sent {
			err = fmt.Errorf("%w: %d above %d", errAck, upTo, p.sent)
		}
		news := max(upTo, p.acked) - p.acked
		if err == nil {
			p.forget(upTo)
		}
		p.mu.Unlock()
		if err == nil {
			p.l.s.counts.acks.Add(1)
			if news > 0 {
				p.l.acks.add(p.q.key, upTo, news)
				p.l.progress(p.q)
			}
			return nil
		}
	}
	p.stream.Cancel(quicrpc.StreamErrProtocol)
	return err
}

// send pushes until the turn is over. ended is closed when the reader has ended.
func (p *push) send(ended <-chan struct{}) (ending, error) {
	if p.q.key.inbox() {
		p.stream.SetUrgency(urgencyInbox)
	}
	m, err := openFrame(p.q.key, p.next-1, p.l.window)
	if err == nil {
		err = p.stream.WriteMessage(m)
	}
	if err != nil {
		return endCut, err
	}
	turnEnds := time.Now().Add(p.l.limits().Turn)
	leaving := false // for another queue, once what is in flight is acknowledged
	for p.l.ctx.Err() == nil {
		p.setEager(true) // both before it looks, so that what comes later is not missed
		p.l.takeNews(p.q)
		leaving = leaving || time.Now().After(turnEnds) && p.l.leave(p.q)
		sent, empty := false, false
		if !leaving {
			noticed, err := p.notify()
			if err != nil {
				return endCut, err
			}
			if sent, empty, err = p.sendSome(); err != nil {
				return endCut, err
			}
			sent = sent || noticed
		}
		if sent && !empty {
			continue
		}
		idle, contested := p.unacknowledged() == 0, leaving || p.l.contested()
		switch {
		case leaving && (idle || time.Now().After(turnEnds.Add(p.l.limits().Turn))):
			return endYield, nil
		case idle && empty && p.l.leave(p.q):
			return endIdle, nil
		}
		p.setEager(contested || !empty)
		if done, err := p.wait(ended, p.patience(empty, contested, turnEnds)); done {
			return endIdle, err
		}
	}
	return endIdle, nil
}

// patience is how long to wait for something to happen; 0: for ever, that is, for an acknowledgement.
func (p *push) patience(empty, contested bool, turnEnds time.Time) time.Duration {
	turn := p.l.limits().Turn
	switch left := time.Until(turnEnds); {
	case empty && !contested:
		return p.l.limits().Idle
	case !contested:
		return 0
	case left > 0:
		return left
	default:
		return max(left+turn, time.Millisecond)
	}
}

// wait returns done if the turn is over: nothing came for the idle time, or the stream has ended.
func (p *push) wait(ended <-chan struct{}, patience time.Duration) (done bool, err error) {
	var expired <-chan time.Time
	if patience > 0 {
		if p.timer == nil {
			p.timer = time.NewTimer(patience)
		} else {
			p.timer.Reset(patience)
		}
		defer p.timer.Stop()
		expired = p.timer.C
	}
	select {
	case <-p.q.poke:
		return false, nil
	case <-p.l.ctx.Done():
		return true, nil
	case <-expired:
		return patience == p.l.limits().Idle && p.unacknowledged() == 0, nil
	case <-ended:
		p.mu.Lock()
		defer p.mu.Unlock()
		return true, p.ended
	}
}
