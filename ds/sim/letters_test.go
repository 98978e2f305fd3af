package sim

import (
	"errors"
	"fmt"

	"quicnprotochat/schemas"
)

// letters is everybody's queue of messages from one person to some.
const letters = "letters"

// box is what is known of one person's letters.
type box struct {
	promised map[string]uint64 // as of a group
	got      map[uint64]*message
}

// letter thinks of one to some people. p.mu is held.
func (p *person) letter() *act {
	a := &act{m: p.message()}
	first := p.w.rand(len(p.w.people))
	for i := range 1 + p.w.rand(min(3, len(p.w.people))) {
		a.to = append(a.to, (first+i)%len(p.w.people))
	}
	return a
}

// message is the next of p's. p.mu is held.
func (p *person) message() message {
	p.count++
	return message{ID: fmt.Sprintf("%06d/%08d", p.n, p.count), Sender: p.n}
}

func fillSubmissions(make func(int32) (schemas.Submission_List, error), acts []*act) error {
	list, err := make(int32(len(acts)))
	for i, a := range acts {
		m := list.At(i)
		to, terr := m.NewRecipients(int32(len(a.to)))
		err = errors.Join(err, terr, m.SetGroupId([]byte(letters)), m.SetId(a.id()), m.SetPayload(a.m.encode(letters)))
		for j, n := range a.to {
			id := key(n)
			err = errors.Join(err, to.Set(j, id[:]))
		}
	}
	return err
}

// write sends a letter by a call.
func (p *person) write(l *link, c schemas.DeliveryService, a *act) error {
	f, release := c.EnqueueMany(l.ctx, func(q schemas.DeliveryService_enqueueMany_Params) error {
		return fillSubmissions(q.NewSubmissions, []*act{a})
	})
	defer release()
	r, err := f.Struct()
	if err = p.heard(l, err); err != nil {
		return err
	}
	results, err := r.Results()
	if err != nil {
		return err
	}
	list, err := results.At(0).Recipients()
	if err != nil {
		return err
	}
	for i := range a.to {
		p.told(a, i, list.At(i).Status(), list.At(i).Seq())
	}
	return nil
}

// box is that of n. o.mu is held.
func (o *oracle) box(n int) *box {
	if o.boxes == nil {
		o.boxes = make(map[int]*box)
	}
	if o.boxes[n] == nil {
		o.boxes[n] = &box{promised: make(map[string]uint64), got: make(map[uint64]*message)}
	}
	return o.boxes[n]
}

func (o *oracle) posted(n int, id string, seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.box(n).promised[id] = seq
}

func (o *oracle) opened(w *world, n int, seq uint64, m *message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.box(n)
	if old := b.got[seq]; old != nil && old.ID != m.ID {
		w.t.Errorf("seed %d: letter %d to %d is %s, and then %s", w.seed, seq, n, old.ID, m.ID)
	}
	b.got[seq] = m
}

// check judges the letters to n: all that were promised are there, once, those of each sender in order.
func (b *box) check(w *world, n int) {
	places, latest := make(map[string]uint64), make(map[int]string)
	for seq := uint64(1); seq <= uint64(len(b.got)); seq++ {
		m := b.got[seq]
		if m == nil {
			w.t.Errorf("seed %d: letter %d of %d to %d is missing", w.seed, seq, len(b.got), n)
			return
		}
		if places[m.ID] != 0 {
			w.t.Errorf("seed %d: letter %s to %d is at %d and at %d", w.seed, m.ID, n, places[m.ID], seq)
		}
		if m.ID < latest[m.Sender] {
			w.t.Errorf("seed %d: letter %s to %d is behind %s, which was sent later", w.seed, m.ID, n, latest[m.Sender])
		}
		places[m.ID], latest[m.Sender] = seq, m.ID
	}
	for id, seq := range b.promised {
		if seq == 0 || places[id] != seq {
			w.t.Errorf("seed %d: letter %s to %d was promised to be at %d, and is at %d", w.seed, id, n, seq, places[id])
		}
	}
}
