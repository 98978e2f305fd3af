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
	defer hangUp(nil)
	sessions := make([]*client.Session, r.cfg.Pairs)
	if err := r.each(ctx, r.cfg.Pairs, func(ctx context.Context, i int) (err error) {
		if !r.cfg.mine(i) {
			return nil
		}
		if sessions[i], err = r.dial(ctx, 2*i); err != nil {
			return err
		}
		v := r.newReceiver(2*i+1, inboxOnly(pairName(i)))
		v.expect(client.Queue{})
		_, err = r.attachReceiver(listening, hangUp, v)
		return err
	}); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	var senders []*sender
	for i, s := range sessions {
		if s != nil {
			senders = append(senders, r.newSender(2*i, pairName(i), 1, r.cfg.Pairs, toInbox(always(s), r.cfg.identityOf(2*i+1))))
		}
	}
	return r.traffic(listening, senders)
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
