package ds

import (
	"context"
	"slices"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// Answers that nobody waits for go together: at most answerPause late, and at most maxGathered of them.
const (
	answerPause = 5 * time.Millisecond
	maxGathered = maxUnanswered / 2
)

// gather waits for frames that can be answered, and are to be answered now, and appends them to ready, in order; none when there will be no more.
func (p *submitter) gather(ready []*submitted) []*submitted {
	for {
		taken, pause, over := p.take(ready)
		if len(taken) > 0 || over {
			return taken
		}
		if pause == 0 {
			<-p.news
			continue
		}
		p.timer.Reset(pause)
		select {
		case <-p.news:
			p.timer.Stop()
		case <-p.timer.C:
		}
	}
}

// take appends what is to be answered now to ready; if that is nothing, it says how long what is settled may wait for more, 0 for ever, or that all is over.
func (p *submitter) take(ready []*submitted) (taken []*submitted, pause time.Duration, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, hurry := 0, p.ended || p.settled >= maxGathered
	for n < len(p.waiting) && p.waiting[n].done {
		hurry = hurry || !p.waiting[n].relaxed
		n++
	}
	p.gathers = false
	if n == 0 {
		return ready, 0, p.ended && len(p.waiting) == 0
	}
	now := time.Now()
	if pause = p.next.Sub(now); pause > 0 && !hurry {
		// One that is waited for may be done, behind one that is not: whose end is news then.
		p.gathers = !slices.ContainsFunc(p.waiting[n:], func(r *submitted) bool { return r.done && !r.relaxed })
		return ready, pause, false
	}
	p.next = now.Add(answerPause)
	p.settled -= n
	ready = append(ready, p.waiting[:n]...)
	p.waiting, p.writing = slices.Delete(p.waiting, 0, n), n
	return ready, 0, false
}

// answer writes answers until all is answered. When the stream breaks it goes on without.
func (p *submitter) answer() {
	broken := false
	var ready []*submitted
	for {
		clear(ready)
		ready = p.gather(ready[:0])
		if len(ready) == 0 {
			return
		}
		for _, r := range ready {
			if !broken {
				broken = p.write(r) != nil
			}
			p.stream.Release(r.held)
		}
		p.mu.Lock()
		p.writing = 0
		p.mu.Unlock()
		wake(p.room)
	}
}

func (p *submitter) write(r *submitted) error {
	m, err := p.message(r)
	if err != nil {
		p.s.log.Error("ds: answer to a submission", "err", err)
		p.stream.Cancel(quicrpc.StreamErrInternal)
		return err
	}
	return p.stream.WriteMessage(m)
}

// Rough sizes of an answer's parts, bytes.
const (
	answerOverhead  = 64
	outcomeOverhead = 24
)

func (p *submitter) message(r *submitted) (*capnp.Message, error) {
	err := r.err
	if err != nil && r.kind != nil {
		err = r.kind.failure(err)
	}
	if err == nil {
		m, a, failed := newAnswer(make([]byte, 0, answerOverhead+outcomeOverhead*len(r.results)))
		if failed != nil {
			return nil, failed
		}
		if err = p.outcomes(r, r.results, a); err == nil {
			return m, nil
		}
	}
	m, a, failed := newAnswer(nil) // a segment that is given does not grow
	if failed != nil {
		return nil, failed
	}
	reason, unexpected := quicrpc.Reason(err)
	if unexpected {
		p.s.log.Error("ds: submission failed", "err", err)
	}
	return m, a.SetFailed(reason)
}

func newAnswer(segment []byte) (m *capnp.Message, a schemas.SubmitAnswer, err error) {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(segment))
	if err == nil {
		a, err = schemas.NewRootSubmitAnswer(seg)
	}
	return m, a, err
}

func (p *submitter) outcomes(r *submitted, results []store.Result, a schemas.SubmitAnswer) error {
	list, err := a.NewOutcomes(int32(len(results)))
	if err != nil {
		return err
	}
	for i, res := range results {
		if err := r.kind.outcome(p.session.Context(), i, res, list.At(i)); err != nil {
			return err
		}
	}
	return nil
}

// submittedMessages are those of a frame of submissions.
type submittedMessages struct{ admitted[store.Message] }

func (f *submittedMessages) failure(err error) error { return f.s.failure(err) }

func (f *submittedMessages) settle(results []store.Result, stored bool) []store.Result {
	if stored {
		results = f.admitted.settle(results)
	}
	f.admitted = admitted[store.Message]{s: f.s}
	return results
}

func (f *submittedMessages) outcome(_ context.Context, _ int, r store.Result, to schemas.Outcome) error {
	to.SetStatus(statuses[r.Status])
	to.SetSeq(r.Seq)
	return nil
}

// submittedPosts are those of a frame of posts.
type submittedPosts struct {
	admitted[store.Post]
	groups map[int]string // of those that were of another epoch
}

func (f *submittedPosts) failure(err error) error { return f.s.groupFailure(err) }

func (f *submittedPosts) settle(results []store.Result, stored bool) []store.Result {
	if stored {
		results = f.admitted.settle(results)
		for i, r := range results {
			if r.Status == store.WrongEpoch {
				if f.groups == nil {
					f.groups = make(map[int]string)
				}
				f.groups[i] = f.all[i].Group
			}
		}
	}
	f.admitted = admitted[store.Post]{s: f.s}
	return results
}

func (f *submittedPosts) outcome(ctx context.Context, i int, r store.Result, to schemas.Outcome) error {
	to.SetStatus(statuses[r.Status])
	to.SetSeq(r.Seq)
	epoch, err := f.s.epochOf(ctx, f.groups[i], r)
	to.SetEpoch(epoch)
	return err
}
