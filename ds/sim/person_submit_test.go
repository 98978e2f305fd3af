package sim

import (
	"errors"
	"io"
	"slices"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// submitter sends a person's posts and letters over SUBMIT streams of one connection, several frames at a time. All else is done by calls, each when all before it is answered.
type submitter struct {
	p    *person
	l    *link
	c    schemas.DeliveryService
	s    *submits // nil: none is open
	sent []int    // frames that are not answered, by how many acts each has: the first of p.under
}

// turn sends some frames and hears some answers. An error ends the connection.
func (b *submitter) turn() error {
	w := b.p.w
	if b.s == nil {
		s, err := w.submit(b.l)
		if err != nil {
			return err
		}
		b.s, b.sent = s, nil
	}
	most := 6
	if w.odds(40) {
		most = 2 * maxSent
	}
	for range 1 + w.rand(most) {
		if sent, err := b.send(); err != nil {
			return err
		} else if !sent {
			break
		}
	}
	switch {
	case w.odds(20):
		return b.finish()
	case w.odds(20):
		close(b.s.cut) // its answers are lost, and the connection goes on
		b.s = nil
		return nil
	}
	w.delay(200 * time.Millisecond) // while it does not read
	left := 0
	if b.p.goesOn() {
		left = w.rand(len(b.sent) + 1) // for the next turn
	}
	for len(b.sent) > left {
		if err := b.hear(); err != nil {
			return err
		}
	}
	if left > 0 {
		return nil
	}
	return b.p.do(b.l, b.c)
}

// send sends a frame of what is not sent yet, if that can go into one.
func (b *submitter) send() (bool, error) {
	w := b.p.w
	acts := b.p.next(b.acts(), 1+w.rand(3))
	if len(acts) == 0 || len(b.sent) == maxSent {
		return false, nil
	}
	if w.odds(200) {
		b.l.breakOff()
		return false, errBroken
	}
	m, err := frame(acts, w.rand(2) == 0)
	if err != nil {
		return false, err
	}
	for _, a := range acts {
		a.send()
	}
	b.s.frames <- m
	b.sent = append(b.sent, len(acts))
	w.frames.Add(1)
	return true, nil
}

// acts is how many are sent and not answered.
func (b *submitter) acts() (n int) {
	for _, acts := range b.sent {
		n += acts
	}
	return n
}

// next returns up to n of the person's next acts, but for the first few, that can go into a frame together; there will be new ones.
func (p *person) next(first, n int) []*act {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.under) < first+n && (len(p.under) == 0 || p.under[len(p.under)-1].isFramed()) {
		a := p.choose()
		if a == nil {
			break
		}
		p.under = append(p.under, a)
	}
	acts := slices.Clone(p.under[min(first, len(p.under)):min(first+n, len(p.under))])
	if i := slices.IndexFunc(acts, func(a *act) bool { return !a.isFramed() || a.isLetter() != acts[0].isLetter() }); i >= 0 {
		acts = acts[:i]
	}
	return acts
}

// goesOn says whether the person has more for the stream.
func (p *person) goesOn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.w.isCalm() && len(p.under) > 0 && p.under[len(p.under)-1].isFramed()
}

func frame(acts []*act, relaxed bool) (*capnp.Message, error) {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return nil, err
	}
	f, err := schemas.NewRootSubmitFrame(seg)
	if err != nil {
		return nil, err
	}
	f.SetRelaxed(relaxed)
	if acts[0].isLetter() {
		return m, fillSubmissions(f.NewSubmissions, acts)
	}
	return m, fillPosts(f.NewPosts, acts)
}

// hear takes the next answer, unless it gets lost.
func (b *submitter) hear() error {
	p, w := b.p, b.p.w
	answer, err := b.s.next()
	if w.odds(200) {
		b.l.breakOff()
		return errBroken
	}
	switch {
	case err == io.EOF:
		return b.ended()
	case errors.Is(err, errBroken):
		return err
	case err != nil:
		w.t.Errorf("seed %d: person %d: %v", w.seed, p.n, err)
		return err
	}
	if answer.Which() == schemas.SubmitAnswer_Which_failed {
		reason, err := answer.Failed()
		if err == nil {
			err = quicrpc.FromReason(reason)
		}
		if !errors.Is(err, quicrpc.ErrUnavailable) {
			w.t.Errorf("seed %d: person %d: a frame failed: %v", w.seed, p.n, err)
		}
		return err
	}
	list, err := answer.Outcomes()
	if err != nil {
		return err
	}
	at, wanted := 0, 0
	for _, a := range p.finished(b.sent[0]) {
		for i := 0; i < a.outcomes() && at < list.Len(); i, at = i+1, at+1 {
			p.told(a, i, list.At(at).Status(), list.At(at).Seq())
		}
		wanted += a.outcomes()
	}
	if list.Len() != wanted {
		w.t.Errorf("seed %d: person %d: %d outcomes, not %d", w.seed, p.n, list.Len(), wanted)
	}
	b.sent = b.sent[1:]
	return nil
}

// ended is that the server ended the stream. It does so when it goes away, and then what it has not answered had no effect.
func (b *submitter) ended() error {
	select {
	case <-b.s.drained:
	default:
		b.p.w.t.Errorf("seed %d: the server ended the stream of %d before %d answers", b.p.w.seed, b.p.n, len(b.sent))
	}
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	for _, a := range b.p.under[:b.acts()] {
		a.sent = a.again
	}
	return errBroken
}

// finish ends the stream in good order: all is answered.
func (b *submitter) finish() error {
	close(b.s.frames)
	for len(b.sent) > 0 {
		if err := b.hear(); err != nil {
			return err
		}
	}
	_, err := b.s.next()
	if err != io.EOF {
		if !errors.Is(err, errBroken) {
			b.p.w.t.Errorf("seed %d: after the last answer to %d: %v", b.p.w.seed, b.p.n, err)
		}
		return errBroken
	}
	b.s = nil
	return nil
}
