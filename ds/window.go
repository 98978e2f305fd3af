package ds

import (
	"math"

	"quicnprotochat/store"
)

type sentMessage struct {
	seq  uint64
	size uint32
}

// forget drops what is up to seq from what is in flight. p.mu is held.
func (p *push) forget(seq uint64) {
	if seq <= p.acked {
		return
	}
	p.acked = seq
	n := 0
	for n < len(p.inFlight) && p.inFlight[n].seq <= seq {
		p.bytes -= uint64(p.inFlight[n].size)
		n++
	}
	p.inFlight = p.inFlight[:copy(p.inFlight, p.inFlight[n:])]
}

func (p *push) unacknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.inFlight)
}

// room is what the window leaves: 0 messages if it is full.
func (p *push) room() (messages, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &p.l.window
	if len(p.inFlight) >= int(w.messages) || p.bytes >= uint64(w.bytes) {
		return 0, 0
	}
	return int(w.messages) - len(p.inFlight), int(uint64(w.bytes) - p.bytes)
}

// sendSome sends one frame, if there is something and the window lets it. empty says that the queue holds nothing beyond what was sent.
func (p *push) sendSome() (sent, empty bool, err error) {
	if first := p.first; len(first) > 0 {
		p.first = nil
		return true, false, p.deliver(first, payloads(first))
	}
	st, ctx := p.l.s.store, p.l.ctx
	messages, bytes := p.room()
	if messages == 0 {
		// Another connection of the same owner may have acknowledged what fills the window.
		page, err := st.Read(ctx, p.id, math.MaxUint64, 1, 1)
		if err != nil {
			return false, false, err
		}
		p.skip(page.Acknowledged)
		if messages, bytes = p.room(); messages == 0 {
			return false, false, nil
		}
	}
	if p.id.Shared {
		if sent, err := p.sendKept(messages, bytes); sent || err != nil {
			return sent, false, err
		}
	}
	page, err := st.Read(ctx, p.id, p.next-1, min(messages, maxPage), min(bytes, maxFrameBytes))
	if err != nil {
		return false, false, err
	}
	p.skip(page.Acknowledged)
	if len(page.Messages) == 0 {
		return false, true, nil
	}
	size := payloads(page.Messages)
	if size > bytes && p.unacknowledged() > 0 {
		return false, false, nil // one that is larger than the rest of the window goes alone
	}
	return true, !page.More, p.deliver(page.Messages, size)
}

// skip goes on above cursor: what is below was acknowledged, on this connection or another.
func (p *push) skip(cursor uint64) {
	p.mu.Lock()
	p.forget(cursor)
	p.mu.Unlock()
	p.next = max(p.next, cursor+1)
}

// payloads is how many bytes of payload messages have.
func payloads(messages []store.Delivery) (n int) {
	for i := range messages {
		n += len(messages[i].Payload)
	}
	return n
}

// sendKept sends a frame that was made for another member of the group, if there is one that this one may have and that fits.
func (p *push) sendKept(messages, bytes int) (bool, error) {
	f := p.l.s.frames.find(frameKey{p.id.Group, p.next})
	if f == nil || len(f.messages) > messages || f.payload > bytes {
		return false, nil
	}
	page, err := p.l.s.store.Read(p.l.ctx, p.id, p.next-1, 1, 1)
	if err != nil {
		return false, err
	}
	p.skip(page.Acknowledged)
	if !f.shows(&page) {
		return false, nil
	}
	return true, p.sendFrame(f)
}

func (p *push) deliver(messages []store.Delivery, size int) error {
	if p.id.Shared {
		f, err := newSharedFrame(p.id.Group, messages, size)
		if err != nil {
			return err
		}
		p.l.s.frames.keep(f)
		return p.sendFrame(f)
	}
	m, err := deliverFrame(messages, size)
	if err != nil {
		return err
	}
	p.delivering(sentOf(messages), size)
	return p.stream.WriteMessage(m)
}

func (p *push) sendFrame(f *sharedFrame) error {
	p.delivering(f.messages, f.payload)
	return p.stream.WriteEncoded(f.encoded)
}

// delivering notes what is about to be written: the acknowledgement may be back before the write returns.
func (p *push) delivering(messages []sentMessage, size int) {
	last := messages[len(messages)-1].seq
	p.mu.Lock()
	p.inFlight = append(p.inFlight, messages...)
	p.bytes += uint64(size)
	p.sent = last
	p.mu.Unlock()
	p.next = last + 1
	if !p.q.key.inbox() {
		if large := size > largeFrame; large != p.large {
			p.large = large
			p.stream.SetUrgency(map[bool]int{true: urgencyLarge, false: urgencyNormal}[large])
		}
	}
	c := &p.l.s.counts
	c.messages.Add(uint64(len(messages)))
	c.bytes.Add(uint64(size))
	c.frames.Add(1)
}
