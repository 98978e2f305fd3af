package load

import (
	"context"
	"strconv"

	"quicnprotochat/client"
)

func init() {
	register("relay", &scenario{run: relay, main: Received, shared: true, about: "N senders to the inboxes of N recipients, who listen"})
}

// relay: sender i is client 2i, its recipient client 2i+1.
func relay(ctx context.Context, r *run) error {
	listening, hangUp := context.WithCancelCause(ctx)
	defer r.links.Wait()
	defer hangUp(nil)
	open := r.openPair
	if r.cfg.Bare {
		open = r.openBarePair
	}
	pairs := make([]transmit, r.cfg.Pairs)
	if err := r.each(ctx, r.cfg.Pairs, func(_ context.Context, i int) (err error) {
		if r.cfg.mine(i) {
			pairs[i], err = open(listening, hangUp, i)
		}
		return err
	}); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	var senders []*sender
	for i, send := range pairs {
		if send != nil {
			senders = append(senders, r.newSender(2*i, pairName(i), 1, r.cfg.Pairs, send))
		}
	}
	return r.traffic(listening, senders)
}

// openPair connects sender and recipient of pair i, until ctx is over; should the recipient fail before, it ends the run by fail.
func (r *run) openPair(ctx context.Context, fail context.CancelCauseFunc, i int) (transmit, error) {
	s, err := r.dial(ctx, 2*i)
	if err != nil {
		return nil, err
	}
	v := r.newReceiver(2*i+1, inboxOnly(pairName(i)))
	v.expect(client.Queue{})
	if _, err := r.attachReceiver(ctx, fail, v); err != nil {
		return nil, err
	}
	return toInbox(always(s), r.cfg.identityOf(2*i+1)), nil
}

// attachReceiver connects a receiver and has it listen until ctx is over; should it fail before, it ends the run by cancel. It returns when it listens.
func (r *run) attachReceiver(ctx context.Context, cancel context.CancelCauseFunc, v *receiver) (*client.Session, error) {
	s, err := r.dial(ctx, v.who)
	if err != nil {
		return nil, err
	}
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		err := v.listen(ctx, s, func() { close(started) })
		ended <- err
		if ctx.Err() == nil {
			cancel(err)
		}
	}()
	select {
	case <-started:
		return s, nil
	case err := <-ended:
		return nil, err
	}
}

// inboxOnly names the inbox, and no other queue.
func inboxOnly(name string) func(client.Queue) string {
	return func(q client.Queue) string {
		if q == (client.Queue{}) {
			return name
		}
		return ""
	}
}

func pairName(i int) string { return "pair " + strconv.Itoa(i) }
