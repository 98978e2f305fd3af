package sim

import (
	"context"
	"encoding/binary"
	"errors"
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
	count  int    // of its messages
	talk   int    // one act of so many is no post
	under  []*act // what it does now, in order, until it knows how that ended
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
	to      []int // of a letter
	sent    bool  // the service may have it
	again   bool  // so it was when it was sent last
}

func (a *act) isLetter() bool { return len(a.to) > 0 }

// isFramed says whether a can go over a SUBMIT stream.
func (a *act) isFramed() bool { return !a.found && !a.m.Commit }

// outcomes is how many there are of a.
func (a *act) outcomes() int { return max(1, len(a.to)) }

// send notes that a is sent now.
func (a *act) send() { a.again, a.sent = a.sent, true }

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
	turn := func() error { return p.do(l, c) }
	p.talk = 3
	if p.w.rand(2) == 0 {
		turn = (&submitter{p: p, l: l, c: c}).turn
		p.talk = 3 + p.w.rand(100)
	}
	for ctx.Err() == nil && l.ctx.Err() == nil && !p.w.odds(40) {
		if turn() != nil {
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

// do does one thing by a call, or again what may or may not have happened. An error ends the connection.
func (p *person) do(l *link, c schemas.DeliveryService) error {
	p.mu.Lock()
	if len(p.under) == 0 {
		if a := p.choose(); a != nil {
			p.under = append(p.under, a)
		}
	}
	if len(p.under) == 0 {
		p.mu.Unlock()
		return nil
	}
	a := p.under[0]
	p.mu.Unlock()
	p.w.delay(50 * time.Millisecond)
	if p.w.odds(30) {
		l.breakOff() // before the call arrives
		return errBroken
	}
	a.send()
	l.calls.Add(1)
	err := p.perform(l, c, a)
	l.calls.Done()
	if errors.Is(err, errBroken) || errors.Is(err, quicrpc.ErrUnavailable) || errors.Is(err, quicrpc.ErrInternal) {
		return err
	}
	p.finished(1)
	return nil // whatever else was said is final
}

// finished returns the first n acts, and has them be under way no more.
func (p *person) finished(n int) []*act {
	p.mu.Lock()
	defer p.mu.Unlock()
	acts := p.under[:n]
	p.under = p.under[n:]
	return acts
}

// told hears an outcome of a post or a letter.
func (p *person) told(a *act, i int, s schemas.EnqueueStatus, seq uint64) {
	switch {
	case s == schemas.EnqueueStatus_notMember && !a.isLetter():
		return
	case s != schemas.EnqueueStatus_stored && s != schemas.EnqueueStatus_duplicate:
		p.w.t.Errorf("seed %d: %s: %v", p.w.seed, a.m.ID, s)
		return
	}
	p.first(a, s == schemas.EnqueueStatus_duplicate)
	if a.isLetter() {
		p.w.posted(a.to[i], a.m.ID, seq)
	} else {
		p.w.promised(a.group, a.m.ID, seq)
	}
}

// first checks that nothing is a duplicate when it is sent for the first time.
func (p *person) first(a *act, duplicate bool) {
	if duplicate && !a.again {
		p.w.t.Errorf("seed %d: %s is a duplicate when it is sent for the first time", p.w.seed, a.m.ID)
	}
}

// choose thinks of something to do. p.mu is held.
func (p *person) choose() *act {
	in := slices.DeleteFunc(slices.Sorted(maps.Keys(p.groups)), func(g string) bool { return !p.groups[g].member })
	if len(in) == 0 || p.w.isCalm() {
		return nil
	}
	if p.w.rand(4) == 0 {
		return p.letter()
	}
	group := in[p.w.rand(len(in))]
	v := p.groups[group]
	a := &act{group: group, m: p.message()}
	a.m.Epoch = v.epoch
	if !p.w.made(group) {
		a.found = true
		return a
	}
	if p.w.rand(p.talk) > 0 {
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
