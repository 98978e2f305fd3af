package load

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

func init() {
	register("fanout", &scenario{run: fanout, check: checkFanout, main: Received, about: "one sender to a group of N members, who listen"})
}

const fanoutName = "the group"

func checkFanout(c *Config) error {
	if c.Members >= maxMembers {
		return fmt.Errorf("%w: %d members and the sender, at most %d", ErrConfig, c.Members, maxMembers)
	}
	return nil
}

// fanout: client 0 founds the group and sends, clients 1 to Members listen. The sender does not: each message counts Members deliveries.
func fanout(ctx context.Context, r *run) error {
	listening, hangUp := context.WithCancelCause(ctx)
	defer hangUp(nil)
	founder, err := r.dial(ctx, 0)
	if err != nil {
		return err
	}
	if err := r.each(ctx, r.cfg.Members, func(_ context.Context, i int) error {
		return r.attachMember(listening, hangUp, i+1)
	}); err != nil {
		return err
	}
	if err := r.foundOpaque(ctx, founder); err != nil {
		return err
	}
	before, _ := r.server.stats(ctx, false) // a daemon that is not ours has no debug socket that we know
	written := readCost(r.server.process(), "", false)
	if err := r.begin(ctx); err != nil {
		return err
	}
	send, read := r.readsOwn(listening, hangUp, founder)
	defer read()
	s := r.newSender(0, fanoutName, r.cfg.Members, 1, send)
	head := frame(r.cfg.group(0), 1, contentApplication)
	s.head = func() []byte { return head }
	if err := r.traffic(listening, []*sender{s}); err != nil {
		return err
	}
	r.tellCopies(ctx, before, written)
	return nil
}

// attachMember connects a member, who must get all that is sent to the group.
func (r *run) attachMember(ctx context.Context, cancel context.CancelCauseFunc, who int) error {
	group := client.Queue{Group: r.cfg.group(0), Shared: true}
	v := r.newReceiver(who, func(q client.Queue) string {
		if q == group {
			return fanoutName
		}
		return ""
	})
	v.expect(group)
	_, err := r.attachReceiver(ctx, cancel, v)
	return err
}

// ownEvery is how many messages the sender acknowledges at once.
const ownEvery = 1000

// readsOwn is toGroup for a sender that has what it posted, but does not listen: a member too, it acknowledges that now and then, because what a member
// has not acknowledged the service keeps. wait returns when it has, once ctx is over. If it cannot, it ends the run by fail.
func (r *run) readsOwn(ctx context.Context, fail context.CancelCauseFunc, s *client.Session) (send transmit, wait func()) {
	group := r.cfg.group(0)
	post, posted := toGroup(always(s), group), make(chan uint64, 1)
	ctx, stop := context.WithCancel(ctx)
	var task sync.WaitGroup
	task.Go(func() {
		for read := uint64(0); ; {
			select {
			case last := <-posted:
				if last < read+ownEvery {
					continue
				}
				read = last
				if err := s.Acknowledge(ctx, []client.Cursor{{Queue: client.Queue{Group: group, Shared: true}, Seq: last}}); err != nil && ctx.Err() == nil {
					fail(fmt.Errorf("the sender could not acknowledge what it sent: %w", err))
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	send = func(ctx context.Context, batch []message) (func() ([]outcome, error), error) {
		answer, err := post(ctx, batch)
		if err != nil {
			return nil, err
		}
		return func() ([]outcome, error) {
			out, err := answer()
			if err == nil && len(out) > 0 {
				select {
				case posted <- out[len(out)-1].seq:
				default:
				}
			}
			return out, err
		}, nil
	}
	return send, func() { stop(); task.Wait() }
}

// foundOpaque makes a group of the clients 0 to Members. Its payloads are no MLS: the service takes the roster from who commits.
func (r *run) foundOpaque(ctx context.Context, founder *client.Session) error {
	group := r.cfg.group(0)
	if err := founder.CreateGroup(ctx, group, 0, nil); err != nil {
		return fmt.Errorf("the group: %w", err)
	}
	added := make([]certs.Identity, r.cfg.Members)
	for i := range added {
		added[i] = r.cfg.identityOf(i + 1)
	}
	c := &client.GroupCommit{Group: group, ID: r.cfg.newIDs(-1).next(), Message: frame(group, 0, contentCommit), Added: added}
	out, err := founder.CommitGroup(ctx, c)
	if err == nil && out.Status != schemas.CommitStatus_accepted {
		err = errors.New(out.Status.String())
	}
	if err != nil {
		return fmt.Errorf("the commit that adds the members: %w", err)
	}
	return nil
}

// tellCopies tells how often a message was stored and what that wrote, whatever the number of members.
func (r *run) tellCopies(ctx context.Context, before daemonStats, written Cost) {
	messages := float64(r.stored.all.Load())
	if messages == 0 {
		return
	}
	if after, err := r.server.stats(ctx, false); err == nil && before.Goroutines > 0 {
		r.value("copies_per_message", float64(after.Store.Stored-before.Store.Stored)/messages)
	}
	if d := readCost(r.server.process(), "", false).minus(written); d.OK && d.Written >= 0 {
		r.value("bytes_written_per_message", float64(d.Written)/messages)
	}
}
