package client

import (
	"context"
	"errors"
	"io"
	"sync"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// maxUnanswered is how many frames may be under way on a SUBMIT stream: as many as our server reads before it answers. The next one waits.
const maxUnanswered = 64

// Sizes of a frame's parts beside the payloads and group ids, bytes, at least: a segment that is given does not grow.
const (
	frameOverhead     = 64
	messageOverhead   = 200
	recipientOverhead = 48
	blobOverhead      = 48
)

// A submitter sends frames over a SUBMIT stream; each is answered in its turn. Its reader lives as long as the stream. Safe for concurrent use.
type submitter struct {
	stream *quicrpc.FrameStream
	room   chan struct{} // holds one for each frame that is not answered
	done   chan struct{} // closed when the stream is over; err then says why

	sending chan struct{} // holds one while a frame is put into the line and written: the order of both is the same

	mu      sync.Mutex
	waiting []*sentFrame // in order
	err     error        // why there will be no more answers
}

// sentFrame is a frame that waits for its answer.
type sentFrame struct {
	answered chan struct{}
	answer   schemas.SubmitAnswer
	err      error
}

func newSubmitter(stream *quicrpc.FrameStream) *submitter {
	p := &submitter{stream: stream, room: make(chan struct{}, maxUnanswered), sending: make(chan struct{}, 1), done: make(chan struct{})}
	go p.read()
	return p
}

// send writes a frame, and gives its answer to f. If ctx ends while part of it is written, the stream ends: nothing could come behind that.
func (p *submitter) send(ctx context.Context, f *sentFrame, m *capnp.Message) error {
	if err := p.enter(ctx, p.room); err != nil {
		return err
	}
	if err := p.enter(ctx, p.sending); err != nil {
		<-p.room
		return err
	}
	defer func() { <-p.sending }()
	p.mu.Lock()
	if p.err != nil {
		defer p.mu.Unlock()
		return p.err
	}
	p.waiting = append(p.waiting, f)
	p.mu.Unlock()
	err := p.stream.WriteMessageContext(ctx, m)
	if err == nil || p.stream.Context().Err() != nil {
		return nil // if the stream is over, the reader says so, and why
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.waiting); n > 0 && p.waiting[n-1] == f { // else the stream ended meanwhile, or the server answered what was not sent
		p.waiting = p.waiting[:n-1]
		<-p.room
	}
	return err
}

// enter waits for a place.
func (p *submitter) enter(ctx context.Context, place chan<- struct{}) error {
	select {
	case place <- struct{}{}:
		return nil
	case <-p.done:
		return p.reason()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *submitter) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// read gives answers to those who wait, until the stream ends.
func (p *submitter) read() {
	for {
		m, err := p.stream.ReadMessage()
		if err != nil {
			p.end(err)
			return
		}
		a, err := schemas.ReadRootSubmitAnswer(m)
		if err == nil {
			err = p.answer(a)
		} else {
			err = protocolErrorf("answer to a submission: %v", err)
		}
		if err != nil {
			p.stream.Cancel(quicrpc.StreamErrProtocol)
			p.end(err)
			return
		}
	}
}

func (p *submitter) answer(a schemas.SubmitAnswer) error {
	p.mu.Lock()
	if len(p.waiting) == 0 {
		p.mu.Unlock()
		return protocolErrorf("answer to a submission that was not made")
	}
	f := p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	p.mu.Unlock()
	f.answer = a
	close(f.answered)
	<-p.room
	return nil
}

// end tells those who wait that there will be no answer.
func (p *submitter) end(err error) {
	var ce *quicrpc.ConnError
	switch {
	case errors.As(err, &ce) && !ce.Remote && ce.Code == quicrpc.ConnErrNone: // Session.Close
		err = quicrpc.ErrClosed
	case errors.Is(err, io.EOF):
		err = &quicrpc.StreamError{Code: quicrpc.StreamErrShuttingDown, Remote: true, Text: "the server ended the stream", Err: io.EOF}
	}
	p.mu.Lock()
	waiting := p.waiting
	p.waiting, p.err = nil, err
	p.mu.Unlock()
	for _, f := range waiting {
		f.err = err
		close(f.answered)
	}
	close(p.done)
	_ = p.stream.Close()
}

// submission is a frame under way.
type submission struct {
	frame  sentFrame
	stream *submitter
	shared *shared
}

// startFrame sends what fill puts into a frame. If there is no error, wait must be called once.
func (s *Session) startFrame(ctx context.Context, size int, relaxed bool, fill func(schemas.SubmitFrame) error) (*submission, error) {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(make([]byte, 0, size)))
	if err != nil {
		return nil, err
	}
	frame, err := schemas.NewRootSubmitFrame(seg)
	if err == nil {
		frame.SetRelaxed(relaxed)
		err = fill(frame)
	}
	if err != nil {
		return nil, err
	}
	p, shared, err := share(s, quicrpc.StreamSubmit, func() (*submitter, error) {
		stream, err := s.conn.OpenSubmit(ctx)
		if err != nil {
			return nil, err
		}
		return newSubmitter(stream), nil
	})
	if err != nil {
		return nil, err
	}
	f := &submission{sentFrame{answered: make(chan struct{})}, p, shared}
	if err := p.send(ctx, &f.frame, m); err != nil {
		shared.release()
		return nil, err
	}
	return f, nil
}

// wait returns the outcomes of n messages.
func (f *submission) wait(ctx context.Context, n int) (schemas.Outcome_List, error) {
	defer f.shared.release()
	select {
	case <-f.frame.answered:
	case <-ctx.Done():
		return schemas.Outcome_List{}, context.Cause(ctx)
	}
	if f.frame.err != nil {
		if ctx.Err() != nil { // which may be why
			return schemas.Outcome_List{}, context.Cause(ctx)
		}
		return schemas.Outcome_List{}, f.frame.err
	}
	a := f.frame.answer
	switch a.Which() {
	case schemas.SubmitAnswer_Which_outcomes:
		list, err := a.Outcomes()
		if err != nil || list.Len() != n {
			return list, protocolErrorf("%d outcomes for %d messages: %v", list.Len(), n, err)
		}
		return list, nil
	case schemas.SubmitAnswer_Which_failed:
		reason, err := a.Failed()
		if err != nil {
			return schemas.Outcome_List{}, protocolErrorf("answer to a submission: %v", err)
		}
		return schemas.Outcome_List{}, quicrpc.FromReason(reason)
	default:
		return schemas.Outcome_List{}, protocolErrorf("answer to a submission: kind %d", a.Which())
	}
}

// Done is closed when the stream is over.
func (p *submitter) Done() <-chan struct{} { return p.done }

// Close ends the stream: frames that are not answered fail.
func (p *submitter) Close() error {
	err := p.stream.Close()
	<-p.done
	return err
}
