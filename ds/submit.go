package ds

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// SubmitStream is one SUBMIT stream of a caller; *quicrpc.SubmitStream is one.
type SubmitStream interface {
	ReadRequest() (m *capnp.Message, held int64, err error)
	Release(held int64)
	WriteMessage(*capnp.Message) error
	CloseWrite() error
	Cancel(quicrpc.StreamErrorCode)
}

// maxUnanswered is how many frames of a stream may be read and not answered; the next one waits, and QUIC's flow control holds its sender up.
const maxUnanswered = 64

// Submit serves a SUBMIT stream of session until it is over and nothing that came on it is under way.
func (s *Service) Submit(session Session, stream SubmitStream) {
	p := &submitter{
		s: s, owner: session.Peer(), session: session, stream: stream, line: s.store.NewLine(),
		news: make(chan struct{}, 1), room: make(chan struct{}, 1), timer: time.NewTimer(answerPause),
	}
	p.timer.Stop()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		p.answer()
	}()
	err := p.read()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	wake(p.news)
	<-answered
	if errors.Is(err, io.EOF) {
		_ = stream.CloseWrite() // fails when the stream is over
	}
}

// submitter stores what comes on one SUBMIT stream, in order. Its reader hands each frame to the store and does not wait for the disk; its writer answers.
type submitter struct {
	s       *Service
	owner   store.Identity
	session Session
	stream  SubmitStream
	line    store.Line
	timer   *time.Timer // of the writer

	mu      sync.Mutex
	waiting []*submitted  // read and not answered, in order
	writing int           // taken from waiting by the writer, some of them not answered
	ended   bool          // nothing more is read
	settled int           // of those that wait; how many can be answered, but for their order
	gathers bool          // the writer waits for others to answer with those that are settled
	next    time.Time     // when the writer answers at the latest, while it gathers
	news    chan struct{} // wakes the writer
	room    chan struct{} // wakes the reader
}

// submitted is a frame that was read.
type submitted struct {
	held    int64
	relaxed bool // as in schemas.SubmitFrame
	kind    framed

	done    bool // guarded by submitter.mu; with it
	results []store.Result
	err     error
}

// framed is what a frame holds, admitted or refused by the sender's part of each queue.
type framed interface {
	// settle makes the results of what was admitted, if stored, those of all. It lets go of what the answer does not need: that may be many times what the frame took
	// on the wire, and the sender decides how long the answer waits to be read.
	settle(results []store.Result, stored bool) []store.Result
	// failure says to the caller what the store said.
	failure(error) error
	// outcome writes what became of message i.
	outcome(ctx context.Context, i int, r store.Result, to schemas.Outcome) error
}

// read takes frames until there are no more.
func (p *submitter) read() error {
	for {
		if err := p.waitRoom(); err != nil {
			return err
		}
		m, held, err := p.stream.ReadRequest()
		if err != nil {
			return err
		}
		frame, err := schemas.ReadRootSubmitFrame(m)
		if err != nil {
			p.stream.Release(held)
			p.stream.Cancel(quicrpc.StreamErrProtocol)
			return err
		}
		r := &submitted{held: held, relaxed: frame.Relaxed()}
		p.mu.Lock()
		p.waiting = append(p.waiting, r)
		p.mu.Unlock()
		if err := p.store(r, frame); err != nil {
			p.settle(r, nil, err)
		}
	}
}

// waitRoom waits while too much is not answered.
func (p *submitter) waitRoom() error {
	for {
		p.mu.Lock()
		n := len(p.waiting) + p.writing
		p.mu.Unlock()
		if n < maxUnanswered {
			return nil
		}
		select {
		case <-p.room:
		case <-p.session.Context().Done():
			return context.Cause(p.session.Context())
		}
	}
}

// store hands a frame to the store, which will settle it. An error is the caller's fault, or the service's state: the frame has no effect.
func (p *submitter) store(r *submitted, frame schemas.SubmitFrame) error {
	if err := p.s.begin(submitMethod); err != nil {
		return err
	}
	ctx := p.session.Context()
	if err := p.session.WaitHandshake(ctx); err != nil {
		return err
	}
	done := func(results []store.Result, err error) { p.settle(r, results, err) }
	switch frame.Which() {
	case schemas.SubmitFrame_Which_submissions:
		list, err := frame.Submissions()
		if err != nil {
			return malformed(err)
		}
		messages, _, err := p.s.submissions(list)
		if err != nil {
			return err
		}
		a, err := admit(ctx, p.s, messages, p.s.sendingOf(p.owner))
		if err != nil {
			return p.s.failure(err)
		}
		r.kind = &submittedMessages{a}
		handOver(a.allowed, p.line.Enqueue, done)
	case schemas.SubmitFrame_Which_posts:
		list, err := frame.Posts()
		if err != nil {
			return malformed(err)
		}
		posts, err := p.s.readPosts(p.owner, list)
		if err != nil {
			return err
		}
		a, err := admit(ctx, p.s, posts, p.s.postingOf(p.owner))
		if err != nil {
			return p.s.groupFailure(err)
		}
		r.kind = &submittedPosts{admitted: a}
		handOver(a.allowed, p.line.Append, done)
	default:
		return quicrpc.Errorf(quicrpc.CodeUnimplemented, "unknown frame")
	}
	return nil
}

// handOver begins to store what was admitted, if anything was.
func handOver[T any](allowed []T, put func([]T, func([]store.Result, error)), done func([]store.Result, error)) {
	if len(allowed) == 0 {
		done(nil, nil)
		return
	}
	put(allowed, done)
}

// settle tells what became of a frame. It does not block.
func (p *submitter) settle(r *submitted, results []store.Result, err error) {
	if r.kind != nil {
		results = r.kind.settle(results, err == nil)
	}
	p.mu.Lock()
	r.done, r.results, r.err = true, results, err
	p.settled++
	news := !r.relaxed || !p.gathers || p.settled >= maxGathered
	p.mu.Unlock()
	if news {
		wake(p.news)
	}
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
