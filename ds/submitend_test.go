package ds

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
)

func one(n int) submission { return submission{id16(n), nil, []byte("p"), [][]byte{key(3)}} }

// gated is a service whose store tells of nothing until gate is closed.
func gated() (f *fixture, gate chan struct{}) {
	f, gate = start(Limits{}), make(chan struct{})
	f.Service.store = &lineStore{Store: f.store, gate: gate}
	return f, gate
}

// TestSubmitReadsAhead: while the disk is slow, or nobody reads the answers, no more than maxUnanswered frames are read; then all are answered in order.
func TestSubmitReadsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, gate := gated()
		defer f.Close()
		stream, over := f.submitting(newConn(2))
		const frames = 5 * maxUnanswered
		for n := range frames {
			stream.submit(t, one(n))
		}
		synctest.Wait()
		if read, held := stream.counts(); read != maxUnanswered || held != maxUnanswered {
			t.Errorf("the disk is slow: %d frames are read, %d held", read, held)
		}
		close(gate)
		synctest.Wait()
		if read, held := stream.counts(); held > maxUnanswered || read > maxUnanswered+cap(stream.answers) {
			t.Errorf("nobody reads the answers: %d frames are read, %d held", read, held)
		}
		for n := range frames {
			stream.wantStored(t, 1, uint64(n)+1)
		}
		close(stream.frames)
		stream.wantOver(t, over)
	})
}

// TestSubmitBroken: a stream, or its connection, that ends while frames wait for the disk, or an answer for its reader, is over once they were stored.
func TestSubmitBroken(t *testing.T) {
	for name, end := range map[string]func(*submitStream){
		"stream":     func(s *submitStream) { s.Cancel(quicrpc.StreamErrNone) },
		"connection": func(s *submitStream) { s.c.cancel() },
	} {
		for _, frames := range []int{1, maxUnanswered / 2, 3 * maxUnanswered} {
			for _, open := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					f, gate := gated()
					defer f.Close()
					stream, over := f.submitting(newConn(2))
					for n := range frames {
						stream.submit(t, one(n))
					}
					if open {
						close(gate)
					}
					synctest.Wait()
					end(stream)
					synctest.Wait()
					if !open {
						if len(over) != 0 {
							t.Errorf("%s: over while the disk works", name)
						}
						close(gate)
					}
					stream.wantOver(t, over)
					if n := f.store.Stats().Stored; n == 0 || stream.fin {
						t.Errorf("%s: %d stored, ended in good order: %v", name, n, stream.fin)
					}
				})
			}
		}
	}
}

// TestSubmitBrokenCounts: duplicates on a stream whose answers nobody hears do not count as the sender's part of the queue.
func TestSubmitBrokenCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const part = 10
		f := start(Limits{SenderMessages: part})
		defer f.Close()
		line := &lineStore{Store: f.store}
		f.Service.store = line
		send := func(from byte, seq uint64, messages ...submission) {
			t.Helper()
			stream, over := f.submitting(newConn(from))
			stream.submit(t, messages...)
			stream.wantStored(t, len(messages), seq)
			close(stream.frames)
			stream.wantOver(t, over)
		}
		send(4, 1, some(100, part)...)
		send(5, part+1, one(200)) // no sender's part is given anew any more
		send(2, part+2, one(1))

		line.gate = make(chan struct{})
		stream, over := f.submitting(newConn(2))
		for range part - 2 {
			stream.submit(t, one(1))
		}
		synctest.Wait()
		stream.Cancel(quicrpc.StreamErrNone)
		close(line.gate)
		stream.wantOver(t, over)

		send(2, part+3, some(2, part-1)...)
	})
}

// some are n messages with ids from first on.
func some(first, n int) (messages []submission) {
	for i := range n {
		messages = append(messages, one(first+i))
	}
	return messages
}

// TestSubmitStoreErrors: what the store says reaches the sender as a code, without its text; the stream goes on.
func TestSubmitStoreErrors(t *testing.T) {
	f := start(Limits{})
	broken := &lineStore{Store: f.store}
	f.Service.store = broken
	founder := f.caller(t, 2)
	founder.want(founder.create(testGroup, 0, nil), nil)
	p := posting{testGroup, id16(1), mlsHeader(privateMessage, testGroup, 0, application)}
	stream, over := f.submitting(newConn(2))
	for err, want := range map[error]error{
		store.ErrFull: quicrpc.ErrUnavailable, store.ErrFailed: quicrpc.ErrUnavailable, store.ErrClosed: quicrpc.ErrUnavailable, store.ErrCorrupt: quicrpc.ErrInternal,
	} {
		broken.err = fmt.Errorf("/secret/path: %w", err)
		stream.submit(t, one(1))
		stream.post(t, p)
		for range 2 {
			_, got := stream.answer(t)
			if !errors.Is(got, want) || fmt.Sprint(got) == fmt.Sprint(broken.err) {
				t.Errorf("%v: %v", err, got)
			}
		}
	}
	broken.err = nil
	stream.submit(t, one(1))
	stream.wantStored(t, 1, 1)
	f.Close()
	stream.submit(t, one(2))
	stream.post(t, p)
	for range 2 {
		if _, err := stream.answer(t); !errors.Is(err, quicrpc.ErrUnavailable) {
			t.Errorf("after Close: %v", err)
		}
	}
	close(stream.frames)
	stream.wantOver(t, over)
}
