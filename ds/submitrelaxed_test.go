package ds

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// relaxed submits without a wait for the answer.
func (s *submitStream) relaxed(t testing.TB, sub submission) {
	t.Helper()
	s.put(t, func(f schemas.SubmitFrame) error {
		f.SetRelaxed(true)
		return fillSubmissions(f.NewSubmissions, []submission{sub})
	})
}

// TestSubmitRelaxed: answers that nobody waits for go together, none later than answerPause; one that somebody waits for, or the end, takes them along.
func TestSubmitRelaxed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(Limits{})
		defer f.Close()
		stream, over := f.submitting(newConn(2))
		sent, seq := 0, uint64(0)
		send := func(n int) {
			for range n {
				stream.relaxed(t, one(sent))
				sent++
			}
			synctest.Wait()
		}
		want := func(n int, within time.Duration, what string) {
			t.Helper()
			began := time.Now()
			for range n {
				seq++
				stream.wantStored(t, 1, seq)
			}
			if took := time.Since(began); took != within {
				t.Errorf("%s: answered after %v, want %v", what, took, within)
			}
		}
		send(1)
		want(1, 0, "the first after a pause")
		send(2)
		want(2, answerPause, "two that follow it")
		time.Sleep(2 * time.Millisecond)
		send(2)
		stream.submit(t, one(sent))
		sent++
		want(3, 0, "one that is waited for behind two")
		send(maxGathered - 1)
		want(maxGathered-1, answerPause, "one less than are gathered")
		send(maxGathered)
		want(maxGathered, 0, "as many as are gathered")
		send(3)
		close(stream.frames)
		want(3, 0, "three before the end")
		stream.wantOver(t, over)
	})
}

// TestSubmitRelaxedFails: a relaxed frame that fails is answered in its turn.
func TestSubmitRelaxedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(Limits{})
		defer f.Close()
		stream, over := f.submitting(newConn(2))
		stream.relaxed(t, one(1))
		bad := one(2)
		bad.id = nil
		stream.relaxed(t, bad)
		stream.relaxed(t, one(3))
		stream.wantStored(t, 1, 1)
		if _, err := stream.answer(t); err == nil || errors.Is(err, errCut) {
			t.Errorf("without an id: %v", err)
		}
		stream.wantStored(t, 1, 2)
		close(stream.frames)
		stream.wantOver(t, over)
	})
}

// TestSubmitRelaxedBefore: an answer that somebody waits for goes as soon as the relaxed one before it can go.
func TestSubmitRelaxedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, gate := gated()
		defer f.Close()
		stream, over := f.submitting(newConn(2))
		bad := one(1)
		bad.id = nil
		wantBad := func() {
			t.Helper()
			if _, err := stream.answer(t); !errors.Is(err, quicrpc.ErrInvalidArgument) {
				t.Errorf("without an id: %v", err)
			}
		}
		stream.relaxed(t, bad)
		wantBad()
		stream.relaxed(t, bad) // waits for others to be answered with
		stream.relaxed(t, one(2))
		stream.submit(t, bad)
		synctest.Wait()
		began := time.Now()
		close(gate)
		wantBad()
		stream.wantStored(t, 1, 1)
		wantBad()
		if took := time.Since(began); took != 0 {
			t.Errorf("answered after %v", took)
		}
		close(stream.frames)
		stream.wantOver(t, over)
	})
}
