package ds

import (
	"capnproto.org/go/capnp/v3"

	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// PoolLow says that an owner should publish KeyPackages (requirements 11 and 16).
type PoolLow struct {
	Available      uint32 // single-use ones that are left
	LastResortUsed bool
}

// Notify pushes a notice to every connection on which the owner listens, on the inbox's stream. A newer one takes the place of one that was not sent yet; one for an owner who does not
// listen is lost. It does not block.
func (s *Service) Notify(owner store.Identity, n PoolLow) {
	s.mu.Lock()
	var found []*listener
	for _, l := range s.listeners {
		if l.owner == owner {
			found = append(found, l)
		}
	}
	s.mu.Unlock()
	for _, l := range found {
		l.mu.Lock()
		l.notice = &n
		l.mu.Unlock()
		l.wake(queueKey{})
	}
}

// hasNotice says whether q, which must be the inbox, has a notice to carry.
func (l *listener) hasNotice(q *queue) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return q.key.inbox() && l.notice != nil
}

// takeNotice returns the notice that q is to carry now, nil for none.
func (l *listener) takeNotice(q *queue) (n *PoolLow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.key.inbox() {
		n, l.notice = l.notice, nil
	}
	return n
}

// notify sends what there is of notices.
func (p *push) notify() (sent bool, err error) {
	n := p.l.takeNotice(p.q)
	if n == nil {
		return false, nil
	}
	m, err := noticeFrame(n)
	if err == nil {
		err = p.stream.WriteMessage(m)
	}
	return err == nil, err
}

func noticeFrame(n *PoolLow) (*capnp.Message, error) {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return nil, err
	}
	f, err := schemas.NewRootPushFrame(seg)
	if err != nil {
		return nil, err
	}
	notice, err := f.NewNotice()
	if err != nil {
		return nil, err
	}
	notice.SetPoolLow()
	notice.PoolLow().SetAvailable(n.Available)
	notice.PoolLow().SetLastResortUsed(n.LastResortUsed)
	return m, nil
}
