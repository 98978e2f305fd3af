package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// person is one who sends, reads, and now and then loses the connection. What it knows outlives that.
type person struct {
	w *world
	n int

	mu     sync.Mutex
	inbox  uint64
	groups map[string]*view
	count  int  // of its messages
	under  *act // what it does now, until it knows how that ended
}

// view is a group as one member sees it.
type view struct {
	member bool
	epoch  uint64
	last   uint64 // seq; 0 if nothing was read since it became a member
	fresh  bool   // the commit of its epoch was read
	roster map[int]bool
}

// act is something that a person does; it is repeated with the same id until the answer is known.
type act struct {
	group   string
	found   bool
	m       message
	welcome []byte
}

func newPerson(w *world, n int) *person { return &person{w: w, n: n, groups: make(map[string]*view)} }

func key(n int) (id quicrpc.Peer) {
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	return id
}

// founds has the person make a group, of which it is a member for ever.
func (p *person) founds(group string) {
	p.groups[group] = &view{member: true, fresh: true, roster: map[int]bool{p.n: true}}
	p.w.founded(group, p.n)
}

// live connects again and again.
func (p *person) live(ctx context.Context) {
	for ctx.Err() == nil {
		p.connected(ctx)
		if p.w.odds(2) {
			p.w.delay(20 * time.Second)
		}
	}
}

// connected is the life of one connection.
func (p *person) connected(ctx context.Context) {
	l, c := p.w.connect(key(p.n))
	defer p.w.disconnect(l)
	defer c.Release()
	if p.listen(l, c) != nil {
		p.w.delay(time.Second)
		return
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer l.breakOff()
	reading.Go(func() {
		for {
			select {
			case s := <-l.pushes:
				reading.Go(func() { p.read(s) })
			case <-l.ctx.Done():
				return
			}
		}
	})
	for ctx.Err() == nil && l.ctx.Err() == nil && !p.w.odds(40) {
		if p.do(l, c) != nil {
			return
		}
		select {
		case <-time.After(time.Duration(p.w.rand(int(3 * time.Second)))):
		case <-ctx.Done():
		case <-l.ctx.Done():
		}
	}
}

func (p *person) listen(l *link, c schemas.DeliveryService) error {
	l.calls.Add(1)
	defer l.calls.Done()
	f, release := c.Listen(l.ctx, nil)
	defer release()
	_, err := f.Struct()
	return p.heard(l, err)
}

// heard is the error of a call as the person hears of it: nothing, if the connection broke meanwhile, or breaks now.
func (p *person) heard(l *link, err error) error {
	if p.w.odds(30) {
		l.breakOff()
	}
	if l.dead.Load() {
		return errBroken
	}
	return quicrpc.FromRPC(err)
}

// do does one thing, or again what may or may not have happened. An error ends the connection.
func (p *person) do(l *link, c schemas.DeliveryService) error {
	p.mu.Lock()
	if p.under == nil {
		p.under = p.choose()
	}
	a := p.under
	p.mu.Unlock()
	if a == nil {
		return nil
	}
	p.w.delay(50 * time.Millisecond)
	if p.w.odds(30) {
		l.breakOff() // before the call arrives
		return errBroken
	}
	l.calls.Add(1)
	err := p.perform(l, c, a)
	l.calls.Done()
	if errors.Is(err, errBroken) || errors.Is(err, quicrpc.ErrUnavailable) || errors.Is(err, quicrpc.ErrInternal) {
		return err
	}
	p.mu.Lock()
	p.under = nil
	p.mu.Unlock()
	return nil // whatever else was said is final
}

// choose thinks of something to do. p.mu is held.
func (p *person) choose() *act {
	in := slices.DeleteFunc(slices.Sorted(maps.Keys(p.groups)), func(g string) bool { return !p.groups[g].member })
	if len(in) == 0 || p.w.calm {
		return nil
	}
	group := in[p.w.rand(len(in))]
	v := p.groups[group]
	p.count++
	a := &act{group: group, m: message{ID: fmt.Sprintf("%06d/%08d", p.n, p.count), Sender: p.n, Epoch: v.epoch}}
	if !p.w.made(group) {
		a.found = true
		return a
	}
	if p.w.rand(3) > 0 {
		return a
	}
	a.m.Commit = true
	other := p.w.rand(len(p.w.people))
	switch {
	case other == p.n || p.w.rand(3) == 0: // an update
	case v.roster[other] && !p.w.isFounder(group, other):
		a.m.Removed = []int{other}
	case !v.roster[other]:
		a.m.Added = []int{other}
		w := a.m
		w.Roster = append(slices.Sorted(maps.Keys(v.roster)), other)
		a.welcome = w.encodeWelcome(group)
	}
	return a
}

func (a *act) id() []byte { return []byte(a.m.ID + "                ")[:16] }

// perform makes the call, and tells the oracle what was promised.
func (p *person) perform(l *link, c schemas.DeliveryService, a *act) error {
	switch {
	case a.found:
		f, release := c.CreateGroup(l.ctx, func(q schemas.DeliveryService_createGroup_Params) error { return q.SetGroupId([]byte(a.group)) })
		defer release()
		_, err := f.Struct()
		if err = p.heard(l, err); err == nil {
			p.w.make(a.group)
		}
		return err
	case a.m.Commit:
		return p.commit(l, c, a)
	}
	f, release := c.Post(l.ctx, func(q schemas.DeliveryService_post_Params) error {
		list, err := q.NewPosts(1)
		if err != nil {
			return err
		}
		m := list.At(0)
		return errors.Join(m.SetGroupId([]byte(a.group)), m.SetId(a.id()), m.SetPayload(a.m.encode(a.group)))
	})
	defer release()
	r, err := f.Struct()
	if err = p.heard(l, err); err != nil {
		return err
	}
	list, err := r.Results()
	if err != nil {
		return err
	}
	if s := list.At(0).Status(); s == schemas.EnqueueStatus_stored || s == schemas.EnqueueStatus_duplicate {
		p.w.promised(a.group, a.m.ID, list.At(0).Seq())
	}
	return nil
}

func (p *person) commit(l *link, c schemas.DeliveryService, a *act) error {
	f, release := c.Commit(l.ctx, func(q schemas.DeliveryService_commit_Params) error {
		m, err := q.NewCommit()
		if err != nil {
			return err
		}
		m.SetEpoch(a.m.Epoch)
		added, e1 := m.NewAdded(int32(len(a.m.Added)))
		removed, e2 := m.NewRemoved(int32(len(a.m.Removed)))
		err = errors.Join(e1, e2, m.SetGroupId([]byte(a.group)), m.SetId(a.id()), m.SetMessage_(a.m.encode(a.group)))
		for _, n := range a.m.Removed {
			id := key(n)
			err = errors.Join(err, removed.Set(0, id[:]))
		}
		for _, n := range a.m.Added {
			id := key(n)
			list, e3 := m.NewWelcomes(1)
			if err = errors.Join(err, e3, added.Set(0, id[:])); err != nil {
				return err
			}
			to, e4 := list.At(0).NewRecipients(1)
			err = errors.Join(err, e4, to.Set(0, id[:]), list.At(0).SetPayload(a.welcome))
		}
		return err
	})
	defer release()
	r, err := f.Struct()
	if err = p.heard(l, err); err != nil {
		return err
	}
	out, err := r.Result()
	if err != nil {
		return err
	}
	if s := out.Status(); s == schemas.CommitStatus_accepted || s == schemas.CommitStatus_duplicate {
		p.w.promised(a.group, a.m.ID, out.Seq())
	}
	return nil
}
