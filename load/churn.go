package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
)

func init() {
	register("churn", &scenario{run: churn, main: Received, shared: true, about: "real MLS: members join, leave and renew their keys while others talk"})
}

func churn(ctx context.Context, r *run) error {
	return r.churning(ctx, &aside{
		during: func(context.Context) error { return nil },
		after:  func(context.Context, *party) error { return nil },
	})
}

// churning is churn, with more that happens meanwhile.
func (r *run) churning(ctx context.Context, more *aside) error {
	listening, hangUp := context.WithCancelCause(ctx)
	defer r.links.Wait()
	defer hangUp(nil)
	p, err := r.openParty(ctx, listening, hangUp, r.comers())
	if err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	senders := p.senders()
	var group errgroup.Group
	sending, stop := context.WithDeadline(listening, time.Unix(0, r.to.Load()))
	defer stop()
	e := &events{party: p, rng: r.cfg.rng(-1)}
	// Whichever fails first ends the others.
	for _, f := range []func() error{
		func() error { return e.run(sending, listening) },
		func() error { return more.during(sending) },
		func() error { return r.send(listening, senders) },
	} {
		group.Go(func() error {
			err := f()
			if err != nil {
				hangUp(err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err = r.drain(listening); err == nil {
		err = more.after(listening, p)
	}
	e.tell()
	r.tellAgain()
	return err
}

// comers is how many of a group come and go.
func (r *run) comers() int { return max(2, r.cfg.Members/2) }

// events makes members of all groups join, leave and renew their keys.
type events struct {
	*party
	rng *rand.Rand
	wg  sync.WaitGroup

	mu   sync.Mutex
	busy map[*member]bool

	joins, leaves, updates, conflicts, skipped atomic.Uint64
}

// An event's way through the service may take as long as a connection's end goes unnoticed, and a daemon's start.
const eventPatience = 2 * time.Minute

// run begins an event each time that one is due, whether those before are over or not, and waits for them at the end.
func (e *events) run(ctx, calls context.Context) error {
	defer e.wg.Wait()
	if e.r.cfg.Events == 0 || len(e.groups) == 0 {
		return nil
	}
	e.busy = make(map[*member]bool)
	failed := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	rate := e.r.cfg.Events * float64(len(e.groups)) / float64(e.r.cfg.Groups)
	for pace := newOpen(e.r.start, rate, true, e.rng); ; {
		due := pace.next(ctx, 1)
		if len(due) == 0 {
			e.wg.Wait()
			select {
			case err := <-failed:
				return err
			default:
				return nil
			}
		}
		at := due[0]
		c := e.groups[e.rng.IntN(len(e.groups))]
		by, comer := e.pick(c)
		if by == nil {
			e.skipped.Add(1) // all members of the group are at it
			continue
		}
		e.wg.Go(func() {
			defer e.free(by, comer)
			if err := e.happen(calls, by, comer, at); err != nil {
				select {
				case failed <- err:
					stop()
				default: // the first counts
				}
			}
		})
	}
}

// pick chooses who commits, and about whom; comer is nil for one that renews its own keys.
func (e *events) pick(c *circle) (by, comer *member) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if by = e.idle(c.talk); by == nil {
		return nil, nil
	}
	if e.rng.IntN(3) > 0 {
		comer = e.idle(c.others)
	}
	return by, comer
}

// idle takes one of the members that is at nothing; nil: there is none.
func (e *events) idle(of []*member) *member {
	for _, i := range e.rng.Perm(len(of)) {
		if !e.busy[of[i]] {
			e.busy[of[i]] = true
			return of[i]
		}
	}
	return nil
}

func (e *events) free(of ...*member) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range of {
		delete(e.busy, m)
	}
}

// happen is one event: its commit, and what that must lead to.
func (e *events) happen(ctx context.Context, by, comer *member, intended int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, eventPatience, errors.New("a change of a group did not come about in time"))
	defer cancel()
	if comer == nil {
		_, err := e.commit(ctx, by, update, intended)
		e.updates.Add(1)
		return err
	}
	comer.mu.Lock()
	in, t := comer.isIn(), comer.tracker
	comer.mu.Unlock()
	if !in {
		return e.join(ctx, by, comer, intended)
	}
	e.leaves.Add(1)
	seq, err := e.commit(ctx, by, removal(comer.id), intended)
	if err != nil || seq == 0 {
		return err
	}
	t.close(seq)
	return comer.await(ctx, comer.isOut)
}

func (e *events) join(ctx context.Context, by, comer *member, intended int64) error {
	if err := comer.publish(ctx); err != nil {
		return err
	}
	who := []certs.Identity{comer.id}
	packages, err := by.claim(ctx, who)
	if errors.Is(err, quicrpc.ErrRateLimited) || errors.Is(err, client.ErrNoKeyPackage) {
		e.skipped.Add(1) // one member may add another only so often; or the answer with its only package was lost
		return nil
	}
	if err != nil {
		return err
	}
	e.joins.Add(1)
	seq, err := e.commit(ctx, by, addition(who, packages), intended)
	if err != nil || seq == 0 {
		return err
	}
	if err := comer.await(ctx, comer.isIn); err != nil {
		return err
	}
	comer.mu.Lock()
	comer.tracker.open(seq)
	comer.mu.Unlock()
	return nil
}

// commit returns place 0 for a commit that the service has no room for.
func (e *events) commit(ctx context.Context, by *member, p plan, intended int64) (seq uint64, err error) {
	seq, races, err := by.commit(ctx, p)
	e.conflicts.Add(uint64(races))
	if errors.Is(err, errFull) {
		e.skipped.Add(1)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	at := now()
	e.r.count(at, &e.r.ops)
	if e.r.measured(intended) {
		e.r.rec.record(by.who, Commit, intended, at, 1)
	}
	return seq, nil
}

// tell adds what happened to the result.
func (e *events) tell() {
	e.r.value("joins", float64(e.joins.Load()))
	e.r.value("leaves", float64(e.leaves.Load()))
	e.r.value("updates", float64(e.updates.Load()))
	e.r.value("from_before_the_join", float64(e.r.before.Load()))
	e.r.value("races_lost", float64(e.conflicts.Load()))
	e.r.value("events_skipped", float64(e.skipped.Load()))
}
