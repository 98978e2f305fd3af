package quicrpc

import (
	"bufio"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	readBuffer = 4 << 10  // bytes of each stream; larger reads go past it
	writeChunk = 64 << 10 // bytes that a peer must take within Limits.StallTimeout
)

// A stream wraps a QUIC stream so that ending it always ends both directions and wakes who is blocked in it; quic-go's own Close does neither.
// One goroutine may read while others write and end it.
type stream struct {
	q     *quic.Stream
	r     *bufio.Reader
	stall time.Duration
	typ   StreamType // set before the stream is used

	ended       atomic.Bool // close or abort was called
	interrupted atomic.Bool // by interrupt

	wmu sync.Mutex // held while a message is being written
	// broken: a message was sent in part (or the stream aborted), so that no further one can follow. Guarded by wmu.
	broken bool
	begun  bool // some of the message that is being written was taken. Guarded by wmu.
	fin    bool // guarded by wmu
}

func newStream(q *quic.Stream, stall time.Duration) *stream {
	return &stream{q: q, r: bufio.NewReaderSize(q, readBuffer), stall: stall}
}

// newOpened wraps a stream that this side has opened, and sends its header.
func newOpened(q *quic.Stream, t StreamType, stall time.Duration) (*stream, error) {
	s := newStream(q, stall)
	s.typ = t
	s.wmu.Lock()
	err := s.write(appendHeader(nil, t))
	s.wmu.Unlock()
	if err != nil {
		s.abort(StreamErrNone)
		return nil, err
	}
	return s, nil
}

// newDecoder returns a decoder of the stream's messages that gives the peer stall to go on with a message that it began.
func (s *stream) newDecoder(maxBytes int) *decoder {
	return &decoder{
		r:        s.r,
		maxBytes: maxBytes,
		began:    func() { _ = s.q.SetReadDeadline(time.Now().Add(s.stall)) },
		ended:    func() { _ = s.q.SetReadDeadline(time.Time{}) },
	}
}

// readFailure words what a read returned; a deadline there means a message that does not go on.
func (s *stream) readFailure(err error) error {
	switch {
	case err == io.EOF:
		return err
	case s.ended.Load():
		return ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &StreamError{Code: StreamErrSlowWriter, Text: "a message began and did not go on for " + s.stall.String()}
	}
	return streamFailure(err)
}

// write sends p, in chunks that each must be taken within the stall timeout. The caller holds wmu. After an error the stream is broken.
func (s *stream) write(p []byte) error {
	if s.broken || s.fin {
		return ErrClosed
	}
	for len(p) > 0 {
		n := min(len(p), writeChunk)
		_ = s.q.SetWriteDeadline(time.Now().Add(s.stall))
		if s.ended.Load() { // close sets its own deadline after this flag: one of the two is seen
			s.broken = true
			return ErrClosed
		}
		if s.interrupted.Load() { // in the same way
			s.broken = s.begun
			return errInterrupted
		}
		taken, err := s.q.Write(p[:n])
		s.begun = s.begun || taken > 0
		if err != nil {
			interrupted := errors.Is(err, os.ErrDeadlineExceeded) && s.interrupted.Load()
			s.broken = s.begun || !interrupted
			switch {
			case s.ended.Load():
				s.broken = true
				return ErrClosed
			case interrupted:
				return errInterrupted
			case errors.Is(err, os.ErrDeadlineExceeded):
				return &StreamError{Code: StreamErrSlowReader, Text: "the peer took less than 64 KiB in " + s.stall.String()}
			}
			return streamFailure(err)
		}
		p = p[n:]
	}
	return nil
}

// errInterrupted is what a write returns that interrupt has ended.
var errInterrupted = errors.New("quicrpc: interrupted")

// interrupt ends a write that waits for the peer, and lets none begin until interrupted is false again.
func (s *stream) interrupt() {
	s.interrupted.Store(true)
	_ = s.q.SetWriteDeadline(time.Unix(1, 0))
}

// finish ends the sending direction after what was written, waiting for a write under way.
func (s *stream) finish() error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.fin {
		return nil
	}
	if s.broken {
		return ErrClosed
	}
	s.fin = true
	return s.q.Close()
}

// close ends both directions: what was written still arrives, unless a write was under way, which fails.
func (s *stream) close() {
	s.ended.Store(true)
	_ = s.q.SetWriteDeadline(time.Unix(1, 0))
	if s.finish() != nil {
		s.q.CancelWrite(quic.StreamErrorCode(StreamErrNone))
	}
	s.q.CancelRead(quic.StreamErrorCode(StreamErrNone))
}

// abort ends both directions at once and tells the peer code.
func (s *stream) abort(code StreamErrorCode) {
	s.ended.Store(true)
	s.q.CancelWrite(quic.StreamErrorCode(code))
	s.q.CancelRead(quic.StreamErrorCode(code))
}

// acceptHeader reads the header of a stream that the peer opened, within timeout, and keeps its type in s.typ. If that is none of want, or
// the header fails, the result says why, and the caller must refuse the stream.
func (s *stream) acceptHeader(timeout time.Duration, want ...StreamType) *StreamError {
	_ = s.q.SetReadDeadline(time.Now().Add(timeout))
	t, err := readHeader(s.r)
	_ = s.q.SetReadDeadline(time.Time{})
	var se *StreamError
	switch {
	case err == nil && slices.Contains(want, t):
		s.typ = t
		return nil
	case err == nil:
		se = &StreamError{Code: StreamErrUnknownType, Text: "stream of " + t.String()}
	case errors.Is(err, os.ErrDeadlineExceeded):
		se = &StreamError{Code: StreamErrHeaderTimeout, Text: "no stream header in " + timeout.String(), Err: err}
	case !errors.As(streamFailure(err), &se):
		se = &StreamError{Code: StreamErrNone, Remote: true, Err: err} // the connection is gone
	}
	return se
}

// refuse aborts the stream for se. cut, which logs it, comes first, so that who sees the end finds the record.
func (s *stream) refuse(se *StreamError, cut func(*StreamError)) {
	if se.Remote {
		s.abort(StreamErrNone)
		return
	}
	cut(se)
	s.abort(se.Code)
}
