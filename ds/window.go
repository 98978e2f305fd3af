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
	page, err := st.Read(ctx, p.id, p.next-1, min(messages, maxPage), min(bytes, maxFrameBytes))
	if err != nil {
		return false, false, err
	}
	p.skip(page.Acknowledged)
	if len(page.Messages) == 0 {
		return false, true, nil
	}
	size := 0
	for i := range page.Messages {
		size += len(page.Messages[i].Payload)
	}
	if size > bytes && p.unacknowledged() > 0 {
		return false, false, nil // one that is larger than the rest of the window goes alone
	}
	return true, false, p.deliver(page.Messages, size)
}

// skip goes on above cursor: what is below was acknowledged, on this connection or another.
func (p *push) skip(cursor uint64) {
	p.mu.Lock()
	p.forget(cursor)
	p.mu.Unlock()
	p.next = max(p.next, cursor+1)
}

func (p *push) deliver(messages []store.Delivery, size int) error {
	m, err := deliverFrame(messages, size)
	if err != nil {
		return err
	}
	last := messages[len(messages)-1].Seq
	p.mu.Lock() // before it is written: the acknowledgement may be back before the write returns
	for i := range messages {
		p.inFlight = append(p.inFlight, sentMessage{messages[i].Seq, uint32(len(messages[i].Payload))})
	}
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
	return p.stream.WriteMessage(m)
}
